"""What values of a schema look like on the wire, as far as the place where they stand cares."""

from __future__ import annotations

from collections.abc import Iterator

from generator.document import Document, JsonObject, as_list, as_object, is_list

SCALARS = frozenset({"string", "integer", "number", "boolean"})
"""What can be written as one text."""


def forms(document: Document, schema: object) -> set[str]:
    """Return the JSON types that a schema allows; bytes are a `file`, and what has no type is `any`."""
    return {_form(each) for each in _alternatives(document, schema, set())}


def item_forms(document: Document, schema: object) -> set[str]:
    """Return the forms of the entries, where a schema allows lists."""
    lists = [each for each in _alternatives(document, schema, set()) if _form(each) == "array"]
    return set[str]().union(*(forms(document, each.get("items")) for each in lists))


def _alternatives(document: Document, schema: object, seen: set[str]) -> Iterator[JsonObject]:
    """The plain schemas that a union is made of, or the schema itself."""
    reference = as_object(schema).get("$ref")
    if isinstance(reference, str):
        if reference not in seen:
            yield from _alternatives(document, document.resolve(reference), seen | {reference})
        return
    for key in ("oneOf", "anyOf"):
        if is_list(as_object(schema).get(key)):
            for member in as_list(as_object(schema)[key]):
                yield from _alternatives(document, member, seen)
            return
    kinds = as_object(schema).get("type")
    for kind in kinds if is_list(kinds) else [kinds]:
        yield {**as_object(schema), "type": kind}


def _form(schema: JsonObject) -> str:
    if schema.get("format") == "binary":
        return "file"
    kind = schema.get("type")
    if isinstance(kind, str):
        return kind
    if "const" in schema:
        constant: object = schema["const"]
        return "boolean" if isinstance(constant, bool) else "integer" if isinstance(constant, int) else "string"
    return "object" if "properties" in schema or "allOf" in schema else "any"
