"""Unions of objects: told apart by a tag that every member has."""

from __future__ import annotations

from collections.abc import Iterator

from generator.document import Document, Finding, JsonObject, as_list, as_object, is_object, pointer
from generator.schemas import component_kind, merged_properties, required_properties


def check_unions(document: Document) -> Iterator[Finding]:
    """Every union of objects has a discriminator, and its members carry the tag as a required constant."""
    for name, raw in document.schemas.items():
        schema = as_object(raw)
        place = pointer("components", "schemas", name)
        if "discriminator" in schema:
            yield from _discriminated(document, place, schema)
        else:
            yield from _plain(document, place, schema)


def _plain(document: Document, place: str, schema: JsonObject) -> Iterator[Finding]:
    members = [document.deref(member) for member in as_list(schema.get("oneOf"))]
    objects = [member for member in members if component_kind(member) == "model"]
    if len(objects) > 1:
        yield Finding(place, "A union of several objects needs a `discriminator`: guessing picks the wrong one.")
    for number, part in enumerate(as_list(schema.get("allOf"))):
        if component_kind(document.deref(part)) != "model":
            yield Finding(f"{place}/allOf/{number}", "Only objects with properties can be put together with `allOf`.")
    if len(as_list(schema.get("allOf"))) == 1 and "properties" not in schema:
        yield Finding(place, "`allOf` with one part says nothing; refer to the part itself.")


def _discriminated(document: Document, place: str, schema: JsonObject) -> Iterator[Finding]:
    discriminator = as_object(schema["discriminator"])
    tag = str(discriminator.get("propertyName"))
    mapping = {str(key): str(value) for key, value in as_object(discriminator.get("mapping")).items()}
    listed = [str(as_object(member).get("$ref")) for member in as_list(schema.get("oneOf"))]
    for reference in listed:
        if reference not in mapping.values():
            yield Finding(f"{place}/discriminator", f"`{reference}` is a member without a tag in `mapping`.")
    for value, reference in mapping.items():
        inner = f"{place}/discriminator/mapping{pointer(value)}"
        if reference not in listed:
            yield Finding(inner, f"`{reference}` is not among the members.")
        target = document.resolve(reference)
        if not is_object(target):
            yield Finding(inner, f"`{reference}` does not exist.")
        elif component_kind(target) != "model":
            yield Finding(inner, "A member of a discriminated union is an object with properties.")
        elif merged_properties(document, target).get(tag, {}).get("const") != value:
            yield Finding(inner, f"The property `{tag}` of this member is not `const: {value}`.")
        elif tag not in required_properties(document, target):
            yield Finding(inner, f"The property `{tag}` of this member is not required.")
    if not mapping:
        yield Finding(f"{place}/discriminator", "A discriminator needs a `mapping` of its tags.")
