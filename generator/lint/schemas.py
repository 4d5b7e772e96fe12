"""Schemas: only what has one clear translation into Python."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import pydantic_core
from pydantic_core import SchemaValidator, core_schema

from generator.document import Document, Finding, JsonObject, as_list, as_object, is_list, is_object
from generator.lint.walk import SchemaPlace, schemas
from generator.schemas import LIMIT_KEYS, usage_of

_TYPES = {"string", "integer", "number", "boolean", "array", "object", "null"}
_KNOWN = {
    "$ref", "type", "format", "description", "properties", "required", "items", "additionalProperties", "enum",
    "const", "oneOf", "allOf", "discriminator", "default", "deprecated", "example", "examples", *LIMIT_KEYS,
}  # fmt: skip
_FORMATS = {
    "string": {"date-time", "date", "password", "binary", "email", "uri", "uuid", "byte"},
    "integer": {"unix-ms", "unix-s", "int32", "int64"},
    "number": {"float", "double"},
}
_SHAPES: dict[str, tuple[type, str]] = {
    "description": (str, "a text"),
    "properties": (dict, "a mapping of names to schemas"),
    "discriminator": (dict, "a mapping with `propertyName` and `mapping`"),
    "required": (list, "a list of names"),
    "enum": (list, "a list of values"),
    "oneOf": (list, "a list of schemas"),
    "allOf": (list, "a list of schemas"),
    "deprecated": (bool, "true or false"),
}
_LIMITED = {
    "minLength": "string", "maxLength": "string", "pattern": "string", "minItems": "array", "maxItems": "array",
}  # fmt: skip


def check_schemas(document: Document) -> Iterator[Finding]:
    """Schemas use what the generator translates; objects, enumerations and unions have names; limits make sense."""
    usage = usage_of(document)
    for place in schemas(document):
        if not is_object(place.schema):
            yield Finding(place.pointer, "A schema is an object; for anything at all, write `{}`.")
            continue
        yield from _vocabulary(place, place.schema)
        yield from _shapes(place, place.schema)
        yield from _types(place, place.schema)
        yield from _inline(place, place.schema)
        yield from _required(document, place, place.schema)
        yield from _limits(place, place.schema)
        if place.component in usage.response and place.component not in usage.request:
            for key in sorted(LIMIT_KEYS & set(place.schema)):
                yield Finding(place.pointer, f"`{key}` limits an answer, which only makes reading it fail; remove it.")
        if (
            place.component in usage.request
            and place.where == "property"
            and not (place.schema.get("description") or document.deref(place.schema).get("description"))
        ):
            yield Finding(place.pointer, "A property of a request needs a description: meaning, unit, limits.")


def _vocabulary(place: SchemaPlace, schema: JsonObject) -> Iterator[Finding]:
    for key in sorted(set(schema) - _KNOWN):
        if key == "nullable":
            yield Finding(place.pointer, "`nullable` is OpenAPI 3.0; write `type: [string, 'null']`.")
        elif key == "anyOf":
            yield Finding(place.pointer, "`anyOf` is written as `oneOf` here.")
        elif not key.startswith("x-"):
            yield Finding(place.pointer, f"The generator does not translate `{key}`.")
    if schema.get("additionalProperties") is False:
        yield Finding(place.pointer, "`additionalProperties: false` would forbid what the platform may add; remove it.")


def _shapes(place: SchemaPlace, schema: JsonObject) -> Iterator[Finding]:
    for key, (kind, words) in _SHAPES.items():
        if key in schema and not isinstance(schema[key], kind):
            yield Finding(place.pointer, f"`{key}` is {words}.")


def _types(place: SchemaPlace, schema: JsonObject) -> Iterator[Finding]:
    kinds = _kinds(schema)
    for kind in kinds:
        if kind and kind not in _TYPES:
            yield Finding(place.pointer, f"`{kind}` is no type of JSON.")
    if is_list(schema.get("type")) and (len(kinds) > 2 or len(set(kinds) - {"null"}) != 1):
        yield Finding(place.pointer, "A list of types is one type and perhaps 'null'; name other unions.")
    if "array" in kinds and "items" not in schema:
        yield Finding(place.pointer, "An array needs `items`; for unknown ones write `items: {}`.")
    kind = kinds[0]
    if "format" in schema and str(schema["format"]) not in _FORMATS.get(kind, set()):
        yield Finding(place.pointer, f"The generator knows no format `{schema['format']}` of type `{kind}`.")
    if "enum" in schema and not (
        kind in ("string", "integer")
        and len(kinds) == 1
        and as_list(schema["enum"])
        and all(type(value) is (str if kind == "string" else int) for value in as_list(schema["enum"]))
    ):
        yield Finding(place.pointer, "An enumeration has `type: string` (or integer) and at least one value of it.")
    values = [str(value) for value in as_list(schema.get("enum"))]
    for value in sorted({value for value in values if values.count(value) > 1}):
        yield Finding(place.pointer, f"The value `{value}` stands twice in this enumeration.")
    if "const" in schema and not isinstance(schema["const"], str | int):
        yield Finding(place.pointer, "A `const` is a string, an integer or a boolean.")


def _kinds(schema: JsonObject) -> list[str]:
    kinds = schema["type"] if is_list(schema.get("type")) else [schema.get("type", "")]
    return sorted((str(kind) for kind in kinds), key=lambda kind: kind == "null") or [""]


def _number(schema: JsonObject, key: str, otherwise: float) -> float:
    value = schema.get(key)
    return value if isinstance(value, int | float) else otherwise


def _inline(place: SchemaPlace, schema: JsonObject) -> Iterator[Finding]:
    if place.where == "component":
        return
    if "enum" in schema:
        yield Finding(place.pointer, "An enumeration needs a name: move it to components and refer to it.")
    if "properties" in schema or (schema.get("type") == "object" and "additionalProperties" not in schema):
        yield Finding(place.pointer, "An object needs a name: move it to components and refer to it.")
    if "allOf" in schema:
        yield Finding(place.pointer, "`allOf` stands in a component only; here, refer to one.")
    if "oneOf" in schema and not _may_stand_inline(place, as_list(schema["oneOf"])):
        yield Finding(place.pointer, "A union needs a name: move it to components and refer to it.")


def _may_stand_inline(place: SchemaPlace, members: list[Any]) -> bool:
    if place.where == "parameter":
        return not any({"properties", "enum", "oneOf"} & set(as_object(member)) for member in members)
    return len(members) == 2 and "$ref" in as_object(members[0]) and members[1] == {"type": "null"}


def _required(document: Document, place: SchemaPlace, schema: JsonObject) -> Iterator[Finding]:
    known = set(as_object(schema.get("properties")))
    for part in as_list(schema.get("allOf")):
        known |= set(as_object(document.deref(part).get("properties")))
    for name in as_list(schema.get("required")):
        if str(name) not in known:
            yield Finding(f"{place.pointer}/required", f"`{name}` is required, but no property has this name.")


def _limits(place: SchemaPlace, schema: JsonObject) -> Iterator[Finding]:
    for low, high in (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems")):
        if _number(schema, low, 0) > _number(schema, high, _number(schema, low, 0)):
            yield Finding(place.pointer, f"`{low}` is above `{high}`.")
    kinds = _kinds(schema)
    for key in sorted(
        key for key in LIMIT_KEYS if isinstance(schema.get(key), float) and not math.isfinite(schema[key])
    ):
        yield Finding(place.pointer, f"`{key}` is no finite number.")
    for key in sorted(LIMIT_KEYS & set(schema)):
        wanted = {_LIMITED[key]} if key in _LIMITED else {"integer", "number"}
        if not wanted.intersection(kinds):
            yield Finding(place.pointer, f"`{key}` limits {' or '.join(sorted(wanted))}, which this is not.")
    default = schema.get("default")
    if isinstance(default, int | float) and not (
        _number(schema, "minimum", default) <= default <= _number(schema, "maximum", default)
    ):
        yield Finding(place.pointer, f"The default {default} is outside the limits.")
    if "pattern" in schema:
        yield from _pattern(place, str(schema["pattern"]))


def _pattern(place: SchemaPlace, pattern: str) -> Iterator[Finding]:
    try:
        re.compile(pattern)
        SchemaValidator(core_schema.str_schema(pattern=pattern))
    except (re.error, pydantic_core.SchemaError):
        yield Finding(place.pointer, f"The pattern {pattern!r} cannot be compiled (look-around is not supported).")
