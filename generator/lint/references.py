"""References lead somewhere, and what can be referred to is referred to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from generator.document import Document, Finding, as_object, is_list, is_object, pointer
from generator.schemas import NO_SCHEMAS, reachable

_BESIDE_REFERENCE = {"$ref", "description", "summary", "default", "deprecated", "x-python-name", "x-from-client"}


def check_references(document: Document) -> Iterator[Finding]:
    """References are local and lead somewhere; no component is left over."""
    yield from _dangling(document, document.data, "")
    yield from _unused(document)


def _dangling(document: Document, value: Any, place: str) -> Iterator[Finding]:
    if is_object(value):
        if isinstance(value.get("$ref"), str):
            yield from _reference(document, value, place)
        elif "$ref" in value and not place.endswith("/properties"):
            yield Finding(place, "A `$ref` is a text that names a place in this document.")
        for key, inner in value.items():
            if key not in NO_SCHEMAS:
                yield from _dangling(document, inner, place + pointer(key))
    elif is_list(value):
        for number, inner in enumerate(value):
            yield from _dangling(document, inner, f"{place}/{number}")


def _reference(document: Document, holder: dict[str, Any], place: str) -> Iterator[Finding]:
    reference = str(holder["$ref"])
    if not reference.startswith("#/"):
        yield Finding(place, f"`{reference}` is in another file; a document stands on its own.")
    elif document.resolve(reference) is None:
        yield Finding(place, f"`{reference}` does not exist.")
    for key in sorted(set(holder) - _BESIDE_REFERENCE):
        yield Finding(place, f"`{key}` beside `$ref` has no effect here; put it into what is referred to.")


def _unused(document: Document) -> Iterator[Finding]:
    reached = reachable(document, [document.data.get("paths"), document.data.get("webhooks")])
    for section, entries in as_object(document.data.get("components")).items():
        if section == "securitySchemes":
            continue
        for name in as_object(entries):
            place = pointer("components", section, name)
            if f"#{place}" not in reached:
                yield Finding(place, "Nothing refers to this; remove it.")
