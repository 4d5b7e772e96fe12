"""Python names: none is impossible, and no two things in one place share one."""

from __future__ import annotations

from collections.abc import Iterator

from generator.document import Document, Finding, as_object, pointer
from generator.lint.walk import OperationPlace, operations
from generator.naming import RESERVED_ARGUMENTS, is_python_name, python_name
from generator.schemas import component_kind, merged_properties, parameters_of


def check_names(document: Document) -> Iterator[Finding]:
    """Attributes of a class and arguments of a function have names of their own."""
    for name, schema in document.schemas.items():
        if component_kind(as_object(schema)) == "model":
            owner = pointer("components", "schemas", name)
            named = [
                (wire, _name(wire, raw), owner + pointer("properties", wire))
                for wire, raw in merged_properties(document, as_object(schema)).items()
            ]
            yield from _collisions(named, f"`{name}`")
    for place in operations(document):
        if not place.webhook:
            yield from _arguments(document, place)


def _name(wire: str, holder: dict[str, object]) -> str:
    given = holder.get("x-python-name")
    return given if isinstance(given, str) and is_python_name(given) else python_name(wire)


def _collisions(named: list[tuple[str, str, str]], owner: str) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for wire, name, place in named:
        if not is_python_name(name) and not is_python_name(name.removesuffix("_")) and not name.endswith("_"):
            yield Finding(place, f"`{wire}` has no Python name; give it one with `x-python-name`.")
        if name in seen:
            yield Finding(
                place, f"`{wire}` and `{seen[name]}` are both `{name}` in {owner}; rename one with `x-python-name`."
            )
        seen.setdefault(name, wire)


def arguments(document: Document, place: OperationPlace) -> list[tuple[str, str, str]]:
    """The arguments of an operation: each one's name on the wire and in Python, and where it is declared."""
    named = [
        (wire, _name(wire, parameter), place.pointer)
        for (_, wire), parameter in parameters_of(document, place.item, place.operation).items()
    ]
    return named + [(wire, name, place.pointer) for wire, name in _body_arguments(document, place).items()]


def _arguments(document: Document, place: OperationPlace) -> Iterator[Finding]:
    named = arguments(document, place)
    for wire, name, inner in named:
        if name in RESERVED_ARGUMENTS:
            yield Finding(inner, f"`{wire}` would be the argument `{name}`, which every function has for itself.")
    yield from _collisions(named, f"`{place.id}`")


def _body_arguments(document: Document, place: OperationPlace) -> dict[str, str]:
    body = document.deref(place.operation.get("requestBody"))
    found: dict[str, str] = {}
    for media in as_object(body.get("content")).values():
        schema = document.deref(as_object(media).get("schema"))
        kind = component_kind(schema)
        if kind == "model":
            found |= {wire: _name(wire, raw) for wire, raw in merged_properties(document, schema).items()}
        elif kind == "union":
            for reference in as_object(as_object(schema["discriminator"]).get("mapping")).values():
                member = as_object(document.resolve(str(reference)))
                found |= {wire: _name(wire, raw) for wire, raw in merged_properties(document, member).items()}
        elif schema:
            found["body"] = "body"
    return found
