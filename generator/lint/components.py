"""Named schemas: names that can be classes, and stay apart."""

from __future__ import annotations

import re
from collections.abc import Iterator

from generator.document import Document, Finding, as_list, as_object, pointer
from generator.lint.walk import operations
from generator.naming import class_name
from generator.reserved import imported_by
from generator.schemas import component_kind, references, usage_of

_PASCAL_CASE = re.compile(r"[A-Z][A-Za-z0-9]*")
_SUFFIXES = ("Dto", "DTO", "Schema")
RESERVED = imported_by("models.py.jinja") | {"False", "None", "True"}
"""What the models' module imports; a class of such a name would hide it."""


def check_components(document: Document) -> Iterator[Finding]:
    """Names are PascalCase, unique whatever their case, described, and not needed by the generated code itself."""
    derived = dict(_derived(document))
    seen: dict[str, str] = {}
    for name, raw in document.schemas.items():
        place = pointer("components", "schemas", name)
        schema = as_object(raw)
        if not _PASCAL_CASE.fullmatch(name) or name.endswith(_SUFFIXES):
            yield Finding(place, f"`{name}` is not a concept in PascalCase, without Dto or Schema at its end.")
        if name in RESERVED:
            yield Finding(place, f"`{name}` is a name that the generated code needs for itself.")
        if name in derived:
            yield Finding(place, f"`{name}` is the name of what is generated for {derived[name]}.")
        if name.lower() in seen:
            yield Finding(place, f"`{name}` differs from `{seen[name.lower()]}` by case only.")
        seen.setdefault(name.lower(), name)
        if not schema.get("description"):
            yield Finding(place, "A named schema needs a description: it becomes a docstring.")
    yield from _circles(document)


def _derived(document: Document) -> Iterator[tuple[str, str]]:
    for place in operations(document):
        for suffix in ("Path", "Query", "Headers", "Body"):
            yield class_name(place.id) + suffix, f"the operation `{place.id}`"
    for name, schema in document.schemas.items():
        if component_kind(as_object(schema)) == "union":
            yield f"Unknown{name}", f"unknown members of `{name}`"


def _circles(document: Document) -> Iterator[Finding]:
    """An alias that contains itself without an object in between cannot be written in Python."""
    usage = usage_of(document)
    for name in sorted(usage.request | usage.response):
        waiting, seen = [name], set[str]()
        while waiting:
            schema = as_object(document.schemas.get(waiting.pop()))
            if not schema or component_kind(schema) not in ("alias", "union"):
                continue
            for reference in references(as_list([schema])):
                inner = reference.rpartition("/")[2]
                if inner == name:
                    yield Finding(pointer("components", "schemas", name), "This is defined by itself.")
                    return
                if inner not in seen:
                    seen.add(inner)
                    waiting.append(inner)
