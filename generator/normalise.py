"""Rewrites a linted document into what the parser understands, without changing what it says.

The conventions leave little to do: every object, enumeration and union is a named component already. What is left
are the things that the parser refuses or takes for something else; and names. The parser makes Python names of its own
from all that it reads (`list` becomes `list_`, `+1` and `-1` become one), so it is handed neutral ones, and what it
finds is looked up under those.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from typing import Any

from generator.document import Document, JsonObject, as_list, as_object, is_list, is_object
from generator.schemas import METHODS, NO_SCHEMAS, parameters_of


@dataclass
class Normalised:
    """A document's data for the parser, and what its neutral names stand for."""

    data: JsonObject = field(default_factory=dict[str, Any])
    operations: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    """The path and the method of each neutral operation id."""
    paths: dict[str, str] = field(default_factory=dict[str, str])
    """The paths, by what the parser is handed for them."""
    properties: dict[str, str] = field(default_factory=dict[str, str])
    """The neutral names of properties, by their names on the wire."""


def normalise(document: Document) -> Normalised:
    """Return what the parser is handed for a document."""
    made = Normalised()
    # Parameters and responses stand where they are referred to; errors and events are none of the parser's business.
    components = as_object(document.data.get("components"))
    kept = {name: section for name, section in components.items() if name == "securitySchemes"}
    made.data = {key: value for key, value in document.data.items() if key != "webhooks"}
    made.data["components"] = {**kept, "schemas": {}, "requestBodies": {}}
    made.data["paths"] = {}
    for number, (path, item) in enumerate(as_object(document.data.get("paths")).items()):
        if path.startswith("/"):
            _add_path(document, made, f"/path_{number}", path, as_object(document.deref(item)))
    for name, schema in document.schemas.items():
        made.data["components"]["schemas"][name] = _all_of_alone(_renamed(made, schema))
    for name, body in as_object(components.get("requestBodies")).items():
        made.data["components"]["requestBodies"][name] = _renamed(made, body)
    return made


def _add_path(document: Document, made: Normalised, start: str, path: str, item: JsonObject) -> None:
    wires = re.findall(r"\{([^{}]*)\}", path)
    template = start + "".join(f"/{{parameter_{number}}}" for number, _ in enumerate(wires))
    made.paths[template] = path
    made.data["paths"][template] = {}
    for method in METHODS:
        if method in item:
            name = f"operation_{len(made.operations)}"
            made.operations[name] = (path, method)
            operation = as_object(item[method])
            made.data["paths"][template][method] = {
                **operation,
                "operationId": name,
                "tags": ["operations"],
                "parameters": list(_parameters(document, wires, item, operation)),
                "responses": _successes(document, made, operation),
                **({"requestBody": _renamed(made, operation["requestBody"])} if "requestBody" in operation else {}),
            }


def _parameters(document: Document, wires: list[str], item: JsonObject, operation: JsonObject) -> list[JsonObject]:
    """Return an operation's parameters, all of them strings: what they are is read from the document."""
    found = [(place, wire, parameter) for (place, wire), parameter in parameters_of(document, item, operation).items()]
    return [
        {
            "name": f"parameter_{wires.index(wire) if place == 'path' else len(wires) + number}",
            "in": place,
            "required": parameter.get("required") is True,
            "schema": {"type": "string"},
        }
        for number, (place, wire, parameter) in enumerate(found)
    ]


def _renamed(made: Normalised, value: Any) -> Any:
    """Return a copy of a part of the document with neutral names for properties."""
    if is_list(value):
        return [_renamed(made, each) for each in value]
    if not is_object(value):
        return copy.deepcopy(value)
    copied = {
        key: copy.deepcopy(inner) if key in NO_SCHEMAS else _renamed(made, inner)
        for key, inner in value.items()
        if key not in ("properties", "required", "discriminator")
    }
    properties = value.get("properties")
    if is_object(properties):
        copied["properties"] = {_neutral(made, name): _renamed(made, each) for name, each in properties.items()}
    if "required" in value:
        required = value["required"]
        copied["required"] = [_neutral(made, str(each)) for each in required] if is_list(required) else required
    return copied


def _neutral(made: Normalised, wire: str) -> str:
    return made.properties.setdefault(wire, f"property_{len(made.properties)}")


def _all_of_alone(schema: Any) -> Any:
    """Put own properties beside `allOf` into it: next to a single reference, the parser would forget them."""
    if is_object(schema) and "allOf" in schema and "properties" in schema:
        own = {key: schema.pop(key) for key in ("properties", "required") if key in schema}
        schema["allOf"] = [*as_list(schema["allOf"]), {"type": "object", **own}]
    return schema


def _successes(document: Document, made: Normalised, operation: JsonObject) -> JsonObject:
    # Errors are one typed family in the runtime; the parser would make a class of each body.
    return {
        status: _response(_renamed(made, document.deref(response)))
        for status, response in as_object(operation.get("responses")).items()
        if status.startswith("2")
    }


def _response(response: JsonObject) -> JsonObject:
    content = as_object(response.get("content"))
    return {**response, "content": {_media_type(media_type): media for media_type, media in content.items()}}


def _media_type(media_type: str) -> str:
    readable = media_type.startswith("text/") or media_type.partition(";")[0].strip().endswith("json")
    return media_type if readable else "application/octet-stream"
