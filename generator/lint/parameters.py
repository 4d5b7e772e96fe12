"""Parameters: where they are, what they are called, and that paths and their parameters agree."""

from __future__ import annotations

import re
from collections.abc import Iterator

from generator.document import Document, Finding, JsonObject, as_list, as_object, is_object, pointer
from generator.lint.forms import SCALARS, forms, item_forms
from generator.lint.walk import OperationPlace, operations, parameters
from generator.schemas import parameters_of

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
    if parameter.get("in") == "path" and parameter.get("required") is not True:
        yield Finding(place, "A path parameter is always `required: true`.")
    yield from _form(document, place, str(parameter.get("in")), schema)
    if "array" in forms(document, schema) and "explode" not in parameter:
        yield Finding(place, "Say with `explode` whether a list repeats its key (true) or is joined by commas (false).")


def _form(document: Document, place: str, where: str, schema: JsonObject) -> Iterator[Finding]:
    """What the runtime can write as text in that place, and nothing else."""
    found = forms(document, schema)
    inner = f"{place}/schema"
    if where == "path" and not found <= SCALARS:
        yield Finding(inner, "A path parameter is a string, a number or a boolean.")
    if where in ("path", "header") and found & {"array", "object"}:
        yield Finding(inner, "Lists and objects have no agreed form in a path or a header.")
    if where == "query" and "object" in found:
        yield Finding(inner, "An object has no agreed form in a query; declare its parts.")
    if where == "query" and not item_forms(document, schema) <= SCALARS:
        yield Finding(inner, "A list in a query holds strings, numbers or booleans.")
    if where != "path" and found & {"file", "any"}:
        yield Finding(inner, "A parameter says of what type it is, and that is not bytes.")


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
