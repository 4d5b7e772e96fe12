"""Schemas that are made of themselves, with nothing in between: there is no end to them."""

from __future__ import annotations

from collections.abc import Iterator

from generator.document import Document, Finding, as_list, as_object, pointer


def check_circles(document: Document) -> Iterator[Finding]:
    """No `$ref` leads back to itself, and no object is put together with `allOf` from itself."""
    for section, entries in as_object(document.data.get("components")).items():
        for name in as_object(entries):
            place = pointer("components", section, name)
            if _leads_back(document, f"#{place}"):
                yield Finding(place, "This is made of itself: its `$ref` or `allOf` leads back to it.")


def _leads_back(document: Document, start: str) -> bool:
    seen: set[str] = set()
    waiting = [*_made_of(document, start)]
    while waiting:
        reference = waiting.pop()
        if reference == start:
            return True
        if reference not in seen:
            seen.add(reference)
            waiting.extend(_made_of(document, reference))
    return False


def _made_of(document: Document, reference: str) -> Iterator[str]:
    value = as_object(document.resolve(reference))
    for part in (value, *as_list(value.get("allOf"))):
        inner = as_object(part).get("$ref")
        if isinstance(inner, str):
            yield inner
