"""Parameters: where they are, what they are called, and that paths and their parameters agree."""

from __future__ import annotations

import re
from collections.abc import Iterator

from generator.document import Document, Finding, as_list, as_object, is_object, pointer
from generator.lint.walk import OperationPlace, operations, parameters
from generator.parse import parameters_of

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NEVER_DECLARED = {"accept", "authorization", "content-type"}


def check_parameters(document: Document) -> Iterator[Finding]:
    """Every parameter is described, can be encoded, and stands where the path says."""
    filled = {str(name).lower() for name in as_list(as_object(document.data.get("info")).get("x-client-headers"))}
    for where, parameter in parameters(document):
        yield from _parameter(document, where, parameter)
        if parameter.get("in") == "header":
            yield from _header(where, str(parameter.get("name")), filled)
    for place in operations(document):
        if not place.webhook:
            yield from _path(document, place)
            yield from _repeated(document, place)


def _parameter(document: Document, place: str, parameter: dict[str, object]) -> Iterator[Finding]:
    if parameter.get("in") not in ("path", "query", "header"):
        yield Finding(place, f"Parameters stand in path, query or header, not in `{parameter.get('in')}`.")
    if not parameter.get("description"):
        yield Finding(place, "A parameter needs a description: meaning, unit, limits.")
    schema = parameter.get("schema")
    if not is_object(schema):
        yield Finding(place, "A parameter needs a `schema`.")
        return
    kind = document.deref(schema).get("type")
    if parameter.get("in") == "path" and kind not in ("string", "integer"):
        yield Finding(f"{place}/schema", "A path parameter is a string or an integer.")
    if parameter.get("in") == "path" and parameter.get("required") is not True:
        yield Finding(place, "A path parameter is always `required: true`.")
    if parameter.get("in") in ("path", "header") and kind in ("array", "object"):
        yield Finding(f"{place}/schema", "Lists and objects have no agreed form in a path or a header.")
    if parameter.get("in") == "query" and kind == "object":
        yield Finding(f"{place}/schema", "An object has no agreed form in a query; declare its parts.")
    if kind == "array" and "explode" not in parameter:
        yield Finding(place, "Say with `explode` whether a list repeats its key (true) or is joined by commas (false).")


def _header(place: str, name: str, filled: set[str]) -> Iterator[Finding]:
    if not _HEADER_NAME.fullmatch(name):
        yield Finding(f"{place}/name", f"The header name {name!a} has characters that HTTP does not allow.")
    if name.lower() in _NEVER_DECLARED:
        yield Finding(f"{place}/name", f"The client sends `{name}` itself; do not declare it.")
    elif name.lower() in filled:
        yield Finding(f"{place}/name", f"`{name}` is one of the headers in `info.x-client-headers`; do not declare it.")


def _path(document: Document, place: OperationPlace) -> Iterator[Finding]:
    wanted = re.findall(r"\{([^{}]*)\}", place.path)
    given = [name for where, name in parameters_of(document, place.item, place.operation) if where == "path"]
    for name in wanted:
        if name not in given:
            yield Finding(place.pointer, f"The path parameter `{name}` is not declared.")
    for name in given:
        if name not in wanted:
            yield Finding(place.pointer, f"The path has no `{{{name}}}`, but the parameter is declared.")
    if sorted(wanted) == sorted(given) and wanted != given:
        yield Finding(place.pointer, f"Path parameters are declared in the path's order: {', '.join(wanted)}.")
    if len(set(wanted)) != len(wanted):
        yield Finding(place.pointer, "A path parameter stands twice in the path.")


def _repeated(document: Document, place: OperationPlace) -> Iterator[Finding]:
    for holder, inner in ((place.item, place.pointer.rpartition("/")[0]), (place.operation, place.pointer)):
        seen: set[tuple[str, str]] = set()
        for number, entry in enumerate(as_list(holder.get("parameters"))):
            parameter = document.deref(entry)
            key = str(parameter.get("in")), str(parameter.get("name"))
            if parameter and key in seen:
                yield Finding(inner + pointer("parameters", number), f"The parameter `{key[1]}` is declared twice.")
            seen.add(key)
