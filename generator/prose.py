"""A document's prose in the words of Python: the names that users write, and no others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from generator.document import Document, as_object, is_list, is_object
from generator.lint.walk import parameters, schemas
from generator.naming import python_name
from generator.schemas import NO_SCHEMAS

_CODE = re.compile(r"`([^`\s]+)`")
_PROSE = ("description", "summary")


def in_users_words(document: Document, names: Mapping[str, str]) -> Document:
    """Return the document with its prose rewritten.

    Args:
        document: What is said of it holds in its own words.
        names: What users write for its operations, by their ids.
    """
    known = _python_names(document) | {operation: document.called(name) for operation, name in names.items()}
    return replace(document, data=_rewritten(document.data, known))


def _python_names(document: Document) -> dict[str, str]:
    """Properties and parameters by their names on the wire, as far as each is the same everywhere."""
    found: dict[str, set[str]] = {}
    for _, parameter in parameters(document):
        _add(found, str(parameter.get("name")), parameter)
    for place in schemas(document):
        for wire, schema in as_object(as_object(place.schema).get("properties")).items():
            _add(found, str(wire), as_object(schema))
    return {wire: names.pop() for wire, names in found.items() if len(names) == 1}


def _add(found: dict[str, set[str]], wire: str, holder: Mapping[str, Any]) -> None:
    found.setdefault(wire, set()).add(str(holder.get("x-python-name", python_name(wire))))


def _rewritten(value: Any, names: Mapping[str, str]) -> Any:
    if is_list(value):
        return [_rewritten(each, names) for each in value]
    if not is_object(value):
        return value
    return {
        key: in_python_spelling(inner, names)
        if key in _PROSE and isinstance(inner, str)
        else inner
        if key in NO_SCHEMAS
        else _rewritten(inner, names)
        for key, inner in value.items()
    }


def in_python_spelling(text: str, names: Mapping[str, str]) -> str:
    """Call things by their Python names where prose mentions them in backticks, also as parts of a path of names."""

    def spelled(found: re.Match[str]) -> str:
        name = found[1]
        parts = name.split(".")
        if name not in names and all(part in names for part in parts):
            name = ".".join(names[part] for part in parts)
        return f"`{names.get(name, name)}`"

    return _CODE.sub(spelled, text)
