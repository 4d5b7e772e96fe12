"""The keys of our own: known ones, in their places, with values that mean something."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from generator.document import Document, Finding, JsonObject, as_list, as_object, is_list, is_object, pointer
from generator.lint.names import arguments
from generator.lint.walk import OperationPlace, operations, parameters, schemas
from generator.naming import is_python_name, python_name
from generator.schemas import NO_SCHEMAS, merged_properties, parameters_of, success, unwrapped_schema, usage_of


def _is_names(value: Any) -> bool:
    return is_list(value) and bool(value) and all(isinstance(name, str) for name in value)


def _is_groups(value: Any) -> bool:
    return is_list(value) and bool(value) and all(_is_group(group) for group in value)


def _is_group(value: Any) -> bool:
    return is_list(value) and len(value) > 1 and all(isinstance(name, str) for name in value)


_NAMES: dict[str, Callable[[Any], bool]] = {
    "x-python-name": lambda value: isinstance(value, str) and is_python_name(value),
    "x-from-client": lambda value: isinstance(value, str) and is_python_name(value),
}
_PROPERTY: dict[str, Callable[[Any], bool]] = {
    **_NAMES,
    "x-also-known-as": _is_names,
}
_GROUPS: dict[str, Callable[[Any], bool]] = {
    "x-require-one-of": _is_groups,
    "x-require-together": _is_groups,
}
_OPERATION: dict[str, Callable[[Any], bool]] = {
    "x-source": lambda value: isinstance(value, str),
    "x-retry": lambda value: value in ("safe", "idempotent", "never-after-sent"),
    "x-unwrap": lambda value: isinstance(value, str),
    "x-also-wrapped-in": lambda value: _is_names(value) and len(set(value)) == len(value),
    "x-items": lambda value: isinstance(value, str),
    "x-single-as-list": lambda value: value is True,
    **_GROUPS,
}
_COMPONENT: dict[str, Callable[[Any], bool]] = {**_GROUPS, "x-read-as": lambda value: value in ("date-time", "date")}
_WEBHOOK = {"x-source": _OPERATION["x-source"]}
_INFO: dict[str, Callable[[Any], bool]] = {
    "x-client": lambda value: isinstance(value, str) and is_python_name(value),
    "x-account": lambda value: isinstance(value, str) and is_python_name(value),
    "x-sources": lambda value: is_object(value) and all(isinstance(name, str) for name in value.values()),
    "x-client-headers": lambda value: is_list(value) and all(isinstance(name, str) for name in value),
}


def known_keys() -> set[str]:
    """All keys of our own."""
    return {*_PROPERTY, *_COMPONENT, *_OPERATION, *_INFO}


def check_extensions(document: Document) -> Iterator[Finding]:
    """Only known `x-` keys are used, where they have a meaning, with values that they can have."""
    known: dict[str, dict[str, Callable[[Any], bool]]] = {"/info": _INFO}
    known |= {place: _NAMES for place, _ in parameters(document)}
    known |= {place.pointer: _COMPONENT for place in schemas(document) if place.where == "component"}
    known |= {place.pointer: _PROPERTY for place in schemas(document) if place.where == "property"}
    known |= {place.pointer: _WEBHOOK if place.webhook else _OPERATION for place in operations(document)}
    yield from _unknown(document.data, "", known)
    sources = as_object(as_object(document.data.get("info")).get("x-sources"))
    for place in operations(document):
        yield from _source(place, sources)
        if not place.webhook:
            yield from _result(document, place)
            yield from _query_groups(document, place)
    yield from _account(document)
    yield from _names(document)
    yield from _schema_groups(document)
    yield from _other_names(document)
    yield from _read_as(document)


def _unknown(value: Any, place: str, known: dict[str, dict[str, Callable[[Any], bool]]]) -> Iterator[Finding]:
    if is_list(value):
        for number, inner in enumerate(value):
            yield from _unknown(inner, f"{place}/{number}", known)
    elif is_object(value):
        for key, inner in value.items():
            here = place + pointer(key)
            if key.startswith("x-") and not place.endswith("/properties"):
                check = known.get(place, {}).get(key)
                if check is None:
                    yield Finding(here, f"`{key}` is not known here; openapi/README.md lists the keys.")
                elif not check(inner):
                    yield Finding(here, f"`{key}` cannot be {inner!r}; openapi/README.md says what it takes.")
            elif key not in NO_SCHEMAS:
                yield from _unknown(inner, here, known)


def _source(place: OperationPlace, sources: JsonObject) -> Iterator[Finding]:
    source = place.operation.get("x-source")
    if sources and source is None:
        yield Finding(place.pointer, "An operation needs an `x-source` when `info.x-sources` lists the sources.")
    elif source is not None and str(source) not in sources:
        yield Finding(f"{place.pointer}/x-source", f"`{source}` is not among `info.x-sources`.")


def _result(document: Document, place: OperationPlace) -> Iterator[Finding]:
    operation = place.operation
    _, response = success(document, operation)
    content = as_object(response.get("content"))
    schema = as_object(next(iter(content.values()), None)).get("schema")
    unwrap = operation.get("x-unwrap")
    if isinstance(unwrap, str) and unwrap not in merged_properties(document, document.deref(schema)):
        yield Finding(f"{place.pointer}/x-unwrap", f"The successful answer has no property `{unwrap}`.")
        return
    result = document.deref(unwrapped_schema(document, schema, unwrap))
    items = operation.get("x-items")
    if isinstance(items, str):
        found = document.deref(merged_properties(document, result).get(items))
        if found.get("type") not in ("array", ["array", "null"]):
            yield Finding(f"{place.pointer}/x-items", f"The result has no array `{items}`.")
    own = {str(unwrap), *_all_names(merged_properties(document, result))}
    for name in map(str, as_list(operation.get("x-also-wrapped-in"))):
        if name in own:
            yield Finding(f"{place.pointer}/x-also-wrapped-in", f"`{name}` has a meaning of its own in this answer.")
    if "x-single-as-list" in operation and result.get("type") != "array":
        yield Finding(f"{place.pointer}/x-single-as-list", "The result is no array.")


def _all_names(properties: Mapping[str, JsonObject]) -> Iterator[str]:
    for name, schema in properties.items():
        yield name
        yield from map(str, as_list(schema.get("x-also-known-as")))


def _account(document: Document) -> Iterator[Finding]:
    account = as_object(document.data.get("info")).get("x-account")
    named = [each for place in operations(document) if not place.webhook for each in arguments(document, place)]
    if isinstance(account, str) and account not in [name for _, name, _ in named]:
        yield Finding("/info/x-account", f"No operation has an argument `{account}`.")


def _query_groups(document: Document, place: OperationPlace) -> Iterator[Finding]:
    declared = {name for where, name in parameters_of(document, place.item, place.operation) if where == "query"}
    for key in _GROUPS:
        for group in as_list(place.operation.get(key)):
            for name in as_list(group):
                if str(name) not in declared:
                    yield Finding(f"{place.pointer}/{key}", f"The operation has no query parameter `{name}`.")


def _schema_groups(document: Document) -> Iterator[Finding]:
    usage = usage_of(document)
    for name, schema in document.schemas.items():
        for key in sorted(_GROUPS.keys() & as_object(schema).keys()):
            place = pointer("components", "schemas", name, key)
            if name in usage.response:
                yield Finding(place, f"`{key}` is a rule for requests, but answers hold `{name}` too.")
            properties = merged_properties(document, as_object(schema))
            for group in as_list(as_object(schema)[key]):
                for wire in as_list(group):
                    if str(wire) not in properties:
                        yield Finding(place, f"`{name}` has no property `{wire}`.")


def _other_names(document: Document) -> Iterator[Finding]:
    usage = usage_of(document)
    for name, schema in document.schemas.items():
        properties = merged_properties(document, as_object(schema))
        for wire in as_object(as_object(schema).get("properties")):
            others = {str(each) for each in as_list(properties[wire].get("x-also-known-as"))}
            place = pointer("components", "schemas", name, "properties", wire, "x-also-known-as")
            if others and name not in usage.response:
                yield Finding(place, f"Other names are for reading, but no answer holds `{name}`.")
            for other in sorted(others & properties.keys()):
                yield Finding(place, f"`{other}` is a property of its own.")


def _read_as(document: Document) -> Iterator[Finding]:
    usage = usage_of(document)
    for name, schema in document.schemas.items():
        if "x-read-as" in as_object(schema) and name in usage.request:
            place = pointer("components", "schemas", name, "x-read-as")
            yield Finding(place, f"How to read is a rule for answers, but requests hold `{name}` too.")


def _names(document: Document) -> Iterator[Finding]:
    for where, parameter in parameters(document):
        yield from _from_client(where, parameter, str(parameter.get("name")))
    for place in schemas(document):
        if place.where == "property" and is_object(place.schema):
            wire = place.pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
            yield from _from_client(place.pointer, place.schema, wire)


def _from_client(place: str, holder: JsonObject, wire: str) -> Iterator[Finding]:
    value = holder.get("x-from-client")
    name = holder.get("x-python-name", python_name(wire))
    if isinstance(value, str) and value != name:
        yield Finding(f"{place}/x-from-client", f"The client's `{value}` cannot fill the argument `{name}`.")
