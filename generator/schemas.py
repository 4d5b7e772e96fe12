"""Schemas as types, and where each named schema is used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from generator.document import Document, JsonObject, as_list, as_object, is_list, is_object
from generator.model import ANY, NONE, Constant, Kind, ListOf, MapOf, Named, OneOf, Plain, Side, Type

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
NO_SCHEMAS = ("example", "examples", "default", "enum", "const")
"""Keys whose values are data, whatever they look like."""
SCHEMA_PREFIX = "#/components/schemas/"

_LIMITS = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
    "minLength": "min_length",
    "maxLength": "max_length",
    "pattern": "pattern",
}
_ARRAY_LIMITS = {"minItems": "min_length", "maxItems": "max_length"}
LIMIT_KEYS = frozenset(_LIMITS) | frozenset(_ARRAY_LIMITS)

_STRINGS: dict[str, Kind] = {"date-time": "datetime", "date": "date", "binary": "file"}
_INTEGERS: dict[str, Kind] = {"unix-ms": "unix-ms", "unix-s": "unix-s"}


def component_kind(schema: JsonObject) -> Literal["model", "enum", "union", "alias"]:
    """What a named schema becomes in Python."""
    if "enum" in schema:
        return "enum"
    if "discriminator" in schema:
        return "union"
    if "properties" in schema or ("allOf" in schema and len(as_list(schema["allOf"])) > 1):
        return "model"
    return "alias"


def type_of(schema: Any) -> Type:  # noqa: PLR0911 - one case per kind of schema
    """Translate a schema of a linted document; a named one stays a name."""
    if not is_object(schema):
        return ANY
    if "$ref" in schema:
        return Named(str(schema["$ref"]).removeprefix(SCHEMA_PREFIX))
    if "const" in schema:
        return Constant(schema["const"])
    if "x-read-as" in schema:
        return Plain(_STRINGS[str(schema["x-read-as"])])
    for key in ("oneOf", "anyOf", "allOf"):
        if key in schema:
            return _one_of(type_of(member) for member in as_list(schema[key]))
    if is_list(schema.get("type")):
        return _one_of(type_of({**schema, "type": name}) for name in schema["type"])
    return _single(schema)


def _single(schema: JsonObject) -> Type:  # noqa: PLR0911 - one case per type
    match schema.get("type"):
        case "string":
            return Plain(_STRINGS.get(schema.get("format", ""), "str"), _limits(schema, _LIMITS))
        case "integer":
            return Plain(_INTEGERS.get(schema.get("format", ""), "int"), _limits(schema, _LIMITS))
        case "number":
            return Plain("float", _limits(schema, _LIMITS))
        case "boolean":
            return Plain("bool")
        case "null":
            return NONE
        case "array":
            return ListOf(type_of(schema.get("items")), _limits(schema, _ARRAY_LIMITS))
        case "object":
            return MapOf(type_of(schema.get("additionalProperties")))
        case _:
            return ANY


def _one_of(members: Iterable[Type]) -> Type:
    flat: list[Type] = []
    for member in members:
        for single in member.members if isinstance(member, OneOf) else (member,):
            if single not in flat:
                flat.append(single)
    flat.sort(key=lambda member: member == NONE)
    return flat[0] if len(flat) == 1 else OneOf(tuple(flat))


def one_of(*members: Type) -> Type:
    """Join types into one; null comes last."""
    return _one_of(members)


def _limits(schema: JsonObject, known: dict[str, str]) -> tuple[tuple[str, Any], ...]:
    return tuple((argument, schema[key]) for key, argument in known.items() if key in schema)


def is_secret(schema: JsonObject) -> bool:
    """Whether values must not appear in a repr."""
    return schema.get("format") == "password"


def merged_properties(document: Document, schema: JsonObject) -> dict[str, JsonObject]:
    """The properties of an object, those of its `allOf` parts included."""
    found: dict[str, JsonObject] = {}
    for part in as_list(schema.get("allOf")):
        found.update(merged_properties(document, document.deref(part)))
    found.update({str(name): as_object(value) for name, value in as_object(schema.get("properties")).items()})
    return found


def required_properties(document: Document, schema: JsonObject) -> set[str]:
    """The names of an object's required properties, those of its `allOf` parts included."""
    names = {str(name) for name in as_list(schema.get("required"))}
    return names.union(*(required_properties(document, document.deref(part)) for part in as_list(schema.get("allOf"))))


def references(value: Any) -> Iterator[str]:
    """Every `$ref` and every discriminator's target inside a part of the document."""
    if is_object(value):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for key, inner in value.items():
            if key not in NO_SCHEMAS:
                yield from references(inner)
    elif is_list(value):
        for inner in value:
            yield from references(inner)


def reachable(document: Document, value: Any) -> set[str]:
    """Every reference that a part of the document leads to, directly or by way of others."""
    found: set[str] = set()
    waiting = [*references(value)]
    while waiting:
        reference = waiting.pop()
        if reference not in found:
            found.add(reference)
            waiting.extend(references(document.resolve(reference)))
    return found


def parameters_of(document: Document, item: JsonObject, operation: JsonObject) -> dict[tuple[str, str], JsonObject]:
    """The parameters of an operation and of its path item, by place and name; references are resolved."""
    found: dict[tuple[str, str], JsonObject] = {}
    for holder in (item, operation):
        for entry in as_list(holder.get("parameters")):
            parameter = document.deref(entry)
            found[str(parameter.get("in")), str(parameter.get("name"))] = parameter
    return found


def success(document: Document, operation: JsonObject) -> tuple[str, JsonObject]:
    """The status and the response of an operation's success."""
    for status, response in as_object(operation.get("responses")).items():
        if str(status).startswith("2"):
            return str(status), document.deref(response)
    return "", {}


def unwrapped_schema(document: Document, schema: Any, unwrap: object) -> Any:
    """The schema of what a function returns: the property `unwrap` of its envelope, or the schema itself."""
    if not isinstance(unwrap, str):
        return schema
    return merged_properties(document, document.deref(schema)).get(unwrap, {})


@dataclass
class Usage:
    """The named schemas that requests and answers reach."""

    request: set[str] = field(default_factory=set[str])
    response: set[str] = field(default_factory=set[str])

    def side(self, name: str) -> Side:
        """Which way values of a named schema travel."""
        if name in self.request:
            return "both" if name in self.response else "request"
        return "response"


def usage_of(document: Document) -> Usage:
    """Find out which way values of each named schema travel."""
    usage = Usage()
    for item in as_object(document.data.get("paths")).values():
        _reach(document, as_list(as_object(item).get("parameters")), usage.request)
        for method in METHODS:
            operation = as_object(as_object(item).get(method))
            _reach(document, [operation.get("parameters"), operation.get("requestBody")], usage.request)
            _, response = success(document, operation)
            for media in as_object(response.get("content")).values():
                schema = as_object(media).get("schema")
                _reach(document, unwrapped_schema(document, schema, operation.get("x-unwrap")), usage.response)
    for item in as_object(document.data.get("webhooks")).values():
        for operation in as_object(item).values():
            _reach(document, as_object(operation).get("requestBody"), usage.response)
    return usage


def _reach(document: Document, value: Any, found: set[str], seen: set[str] | None = None) -> None:
    seen = set() if seen is None else seen
    for reference in references(value):
        if reference in seen:
            continue
        seen.add(reference)
        name = reference.removeprefix(SCHEMA_PREFIX)
        if name != reference:
            if name in found:
                continue
            found.add(name)
        _reach(document, document.resolve(reference), found, seen)
