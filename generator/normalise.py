"""Rewrites a linted document into what the parser understands, without changing what it says.

The conventions leave little to do: every object, enumeration and union is a named component already. What is left
are the things that the parser refuses or takes for something else.
"""

from __future__ import annotations

import copy

from generator.document import Document, JsonObject, as_list, as_object
from generator.schemas import METHODS


def normalise(document: Document) -> JsonObject:
    """Return a copy of the document's data for the parser."""
    data = copy.deepcopy(document.data)
    paths = as_object(data.get("paths"))
    data["paths"] = {path: item for path, item in paths.items() if path.startswith("/")}
    for item in data["paths"].values():
        for method in METHODS:
            if method in item:
                _normalise_operation(document, item[method])
    data.pop("webhooks", None)
    for schema in as_object(as_object(data.get("components")).get("schemas")).values():
        _normalise_all_of(as_object(schema))
    return data


def _normalise_all_of(schema: JsonObject) -> None:
    """Put own properties beside `allOf` into it: next to a single reference, the parser would forget them."""
    if "allOf" in schema and "properties" in schema:
        own = {key: schema.pop(key) for key in ("properties", "required") if key in schema}
        schema["allOf"] = [*as_list(schema["allOf"]), {"type": "object", **own}]


def _normalise_operation(document: Document, operation: JsonObject) -> None:
    responses = as_object(operation.get("responses"))
    # Errors are one typed family in the runtime; the parser would make a class of each body.
    operation["responses"] = {
        status: _normalise_response(document.deref(response))
        for status, response in responses.items()
        if status.startswith("2")
    }


def _normalise_response(response: JsonObject) -> JsonObject:
    content = as_object(response.get("content"))
    return {
        **copy.deepcopy(response),
        "content": {_media_type(media_type): copy.deepcopy(media) for media_type, media in content.items()},
    }


def _media_type(media_type: str) -> str:
    readable = media_type.startswith("text/") or media_type.partition(";")[0].strip().endswith("json")
    return media_type if readable else "application/octet-stream"
