"""Every operation and every schema of a document, with the place where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from generator.document import Document, JsonObject, as_list, as_object, is_list, is_object, pointer
from generator.schemas import METHODS

Where = Literal["component", "property", "items", "map", "member", "parameter", "media"]


@dataclass(frozen=True)
class OperationPlace:
    """An operation or a webhook."""

    pointer: str
    path: str
    method: str
    item: JsonObject
    operation: JsonObject
    webhook: bool = False

    @property
    def id(self) -> str:
        """The operation's id, for messages."""
        return str(self.operation.get("operationId", f"{self.method} {self.path}"))


@dataclass(frozen=True)
class SchemaPlace:
    """A schema, and what it is a schema of."""

    pointer: str
    schema: Any
    where: Where
    component: str | None = None
    """The named schema that this one is part of."""


def operations(document: Document) -> Iterator[OperationPlace]:
    """Every operation below `paths` and `webhooks`."""
    for section in ("paths", "webhooks"):
        for path, item in as_object(document.data.get(section)).items():
            for method in METHODS:
                if method in as_object(item):
                    yield OperationPlace(
                        pointer=pointer(section, path, method),
                        path=str(path),
                        method=method,
                        item=as_object(item),
                        operation=as_object(as_object(item)[method]),
                        webhook=section == "webhooks",
                    )


def parameters(document: Document) -> Iterator[tuple[str, JsonObject]]:
    """Every parameter where it is written out, with its pointer."""
    for name, parameter in as_object(as_object(document.data.get("components")).get("parameters")).items():
        yield pointer("components", "parameters", name), as_object(parameter)
    for section in ("paths", "webhooks"):
        for path, item in as_object(document.data.get(section)).items():
            yield from _own_parameters(pointer(section, path), as_object(item))
    for place in operations(document):
        yield from _own_parameters(place.pointer, place.operation)


def _own_parameters(place: str, holder: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    for number, parameter in enumerate(as_list(holder.get("parameters"))):
        if "$ref" not in as_object(parameter):
            yield f"{place}/parameters/{number}", as_object(parameter)


def media_types(document: Document) -> Iterator[tuple[str, str, JsonObject]]:
    """Pointer, name and object of every media type of a request body or a response."""
    components = as_object(document.data.get("components"))
    holders: list[tuple[str, Any]] = []
    for section in ("requestBodies", "responses"):
        for name, holder in as_object(components.get(section)).items():
            holders.append((pointer("components", section, name), holder))
    for operation in operations(document):
        holders.append((operation.pointer + "/requestBody", operation.operation.get("requestBody")))
        for status, response in as_object(operation.operation.get("responses")).items():
            holders.append((operation.pointer + pointer("responses", status), response))
    for place, holder in holders:
        for media_type, media in as_object(as_object(holder).get("content")).items():
            yield place + pointer("content", media_type), str(media_type), as_object(media)


def schemas(document: Document) -> Iterator[SchemaPlace]:
    """Every schema, with those inside it."""
    for name, schema in document.schemas.items():
        yield from _inside(SchemaPlace(pointer("components", "schemas", name), schema, "component", str(name)))
    for place, parameter in parameters(document):
        if "schema" in parameter:
            yield from _inside(SchemaPlace(f"{place}/schema", parameter["schema"], "parameter"))
    for place, _, media in media_types(document):
        if "schema" in media:
            yield from _inside(SchemaPlace(f"{place}/schema", media["schema"], "media"))


def _inside(place: SchemaPlace) -> Iterator[SchemaPlace]:
    yield place
    if not is_object(place.schema):
        return
    for name, schema in as_object(place.schema.get("properties")).items():
        yield from _part(place, pointer("properties", name), schema, "property")
    if "items" in place.schema:
        yield from _part(place, "/items", place.schema["items"], "items")
    if is_object(place.schema.get("additionalProperties")):
        yield from _part(place, "/additionalProperties", place.schema["additionalProperties"], "map")
    for key in ("oneOf", "anyOf", "allOf"):
        if is_list(place.schema.get(key)):
            for number, schema in enumerate(place.schema[key]):
                yield from _part(place, f"/{key}/{number}", schema, "member")


def _part(place: SchemaPlace, inner: str, schema: Any, where: Where) -> Iterator[SchemaPlace]:
    yield from _inside(SchemaPlace(place.pointer + inner, schema, where, place.component))
