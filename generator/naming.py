"""Names of the platform as names of Python."""

from __future__ import annotations

import keyword
import re

from pydantic.alias_generators import to_camel

from dialogkit._core.codec.models import Model
from generator.reserved import imported_by

_WORD = re.compile(r"[A-Z]+(?=s(?![a-z]))s|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+|[0-9]+")
RESERVED_ARGUMENTS = frozenset({"client", "resume", "on_progress", "options"})
"""Names that every generated function may use for its own purposes."""


def words(name: str) -> list[str]:
    """Split a name into its words: `isGroupSms`, `content-type`, `URLs` -> `is group sms`, `content type`, `urls`."""
    return [word.lower() for part in re.split(r"[^A-Za-z0-9]+", name) for word in _WORD.findall(part)]


def python_name(wire: str) -> str:
    """Return the Python name of a property or parameter that does not bring one along in `x-python-name`."""
    name = "_".join(words(wire))
    if keyword.iskeyword(name) or _is_taken(name):
        return f"{name}_"
    return name


def is_python_name(name: str) -> bool:
    """Whether `name` can be an argument and an attribute as it is."""
    return bool(re.fullmatch(r"[a-z][a-z0-9_]*", name)) and not keyword.iskeyword(name) and not _is_taken(name)


def _is_taken(name: str) -> bool:
    """Whether a class or the module around it has this name already."""
    return hasattr(Model, name) or name in imported_by("models.py.jinja")


def constant_name(operation_id: str) -> str:
    """Return the name of an operation's constant."""
    return operation_id.upper()


def class_name(operation_id: str) -> str:
    """Return an operation's id as the stem of a class's name."""
    return "".join(word.capitalize() for word in operation_id.split("_"))


def has_camel_alias(python: str, wire: str) -> bool:
    """Whether the models' alias generator makes `wire` from `python` by itself."""
    return to_camel(python) == wire
