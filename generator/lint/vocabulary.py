"""The keys of OpenAPI that are translated; any other would be dropped, which is said and not done."""

from __future__ import annotations

from collections.abc import Iterator

from generator.document import Document, Finding, JsonObject, as_object, pointer
from generator.lint.walk import operations, parameters
from generator.schemas import METHODS

_DOCUMENT = {"openapi", "info", "servers", "security", "tags", "paths", "webhooks", "components"}
_COMPONENTS = {"schemas", "parameters", "headers", "responses", "requestBodies", "securitySchemes"}
_PATH_ITEM = {*METHODS, "parameters"}
_OPERATION = {
    "operationId", "tags", "summary", "description", "deprecated", "security", "parameters", "requestBody", "responses",
}  # fmt: skip
_PARAMETER = {
    "name", "in", "description", "required", "deprecated", "schema", "explode", "style", "example", "examples",
}  # fmt: skip
_BODY = {"$ref", "description", "required", "content"}
_RESPONSE = {"$ref", "description", "headers", "content"}
_MEDIA = {"schema", "example", "examples"}
_STYLES = {"path": "simple", "query": "form", "header": "simple"}


def check_vocabulary(document: Document) -> Iterator[Finding]:
    """Everything that a document says is translated, or is a finding."""
    yield from _unknown("", document.data, _DOCUMENT)
    components = as_object(document.data.get("components"))
    yield from _unknown("/components", components, _COMPONENTS)
    for section in ("paths", "webhooks"):
        for path, item in as_object(document.data.get(section)).items():
            if not path.startswith("x-"):
                yield from _unknown(pointer(section, path), as_object(item), _PATH_ITEM)
    for place, parameter in parameters(document):
        yield from _unknown(place, parameter, _PARAMETER)
        style = parameter.get("style")
        if style is not None and style != _STYLES.get(str(parameter.get("in"))):
            yield Finding(f"{place}/style", f"The generator does not translate the style `{style}` here.")
    for section, known in (("requestBodies", _BODY), ("responses", _RESPONSE)):
        for name, holder in as_object(components.get(section)).items():
            yield from _content(pointer("components", section, name), as_object(holder), known)
    yield from _operations(document)


def _operations(document: Document) -> Iterator[Finding]:
    for place in operations(document):
        yield from _unknown(place.pointer, place.operation, _OPERATION)
        yield from _content(f"{place.pointer}/requestBody", as_object(place.operation.get("requestBody")), _BODY)
        for status, response in as_object(place.operation.get("responses")).items():
            inner = place.pointer + pointer("responses", status)
            yield from _content(inner, as_object(response), _RESPONSE)
            if status.startswith("2"):
                yield from _without_schema(inner, document.deref(response))


def _unknown(place: str, holder: JsonObject, known: set[str]) -> Iterator[Finding]:
    for key in sorted(holder.keys() - known):
        if key == "$ref":
            yield Finding(place, "A path is written out where it stands; move what `$ref` leads to here.")
        elif not key.startswith("x-"):
            yield Finding(place + pointer(key), f"The generator does not translate `{key}`.")


def _content(place: str, holder: JsonObject, known: set[str]) -> Iterator[Finding]:
    yield from _unknown(place, holder, known)
    for name, media in as_object(holder.get("content")).items():
        yield from _unknown(place + pointer("content", name), as_object(media), _MEDIA)


def _without_schema(place: str, response: JsonObject) -> Iterator[Finding]:
    for name, media in as_object(response.get("content")).items():
        if "schema" not in as_object(media):
            yield Finding(place, f"An answer needs a schema: what is `{name}` here? For anything at all, write `{{}}`.")
