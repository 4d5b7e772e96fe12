"""Types as Python code: in models, in signatures, and as results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from generator.model import (
    NONE,
    Alias,
    Component,
    Constant,
    Enumeration,
    ListOf,
    MapOf,
    Model,
    Named,
    OneOf,
    Plain,
    Side,
    Type,
    Union,
)

_PLAIN = {"any": "Any", "str": "str", "int": "int", "float": "float", "bool": "bool", "none": "None"}
_IN_ANSWERS = {"datetime": "Timestamp", "date": "dt.date"}
_IN_REQUESTS = {"datetime": "IsoDateTime", "date": "IsoDate"}
_IN_MODELS = {"unix-ms": "UnixMilliseconds", "unix-s": "UnixSeconds", "file": "Any", "bytes": "Any"}
_IN_SIGNATURES = {
    "datetime": ("datetime", "date", "str"),
    "date": ("date", "str"),
    "unix-ms": ("datetime", "int"),
    "unix-s": ("datetime", "int"),
    "file": ("FileInput",),
    "bytes": ("bytes",),
}
_BUILTINS = ("list", "dict", "str", "int", "float", "bool")
_ANY_OBJECT = "Mapping[str, Any]"


def literal(value: Any) -> str:
    """Write a value as Python code, with double quotes."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if value.isprintable() else repr(value)
    return repr(value)


def literals(values: Iterable[str | int]) -> str:
    """Write the known values of an open enumeration, and the type that takes the others."""
    known = list(values)
    kinds = dict.fromkeys(type(value).__name__ for value in known)
    return " | ".join([f"Literal[{', '.join(literal(value) for value in known)}]", *kinds])


def limits_call(limits: Iterable[tuple[str, Any]]) -> str:
    """Write constraints as arguments of `Field`."""
    return ", ".join(f"{name}={_limit(name, value)}" for name, value in limits)


def _limit(name: str, value: Any) -> str:
    raw = name == "pattern" and '"' not in value and not value.endswith("\\")
    return f'r"{value}"' if raw else literal(value)


def in_model(value: Type, side: Side, *, shadowed: frozenset[str] = frozenset()) -> str:
    """Write a type as a model's annotation.

    `shadowed` are names of builtins that fields of the same class hide.
    """

    def builtin(name: str) -> str:
        return f"builtins.{name}" if name in shadowed else name

    def write(part: Type) -> str:
        match part:
            case Plain(kind=kind, limits=limits):
                if side == "response" or kind not in _IN_REQUESTS:
                    name = _IN_ANSWERS.get(kind) or _IN_MODELS.get(kind) or _PLAIN[kind]
                else:
                    name = _IN_REQUESTS[kind]
                name = builtin(name) if name in _BUILTINS else name
                return f"Annotated[{name}, Field({limits_call(limits)})]" if limits else name
            case Constant(value=constant):
                return f"Literal[{literal(constant)}]"
            case ListOf(item=item, limits=limits):
                name = f"{builtin('list')}[{write(item)}]"
                return f"Annotated[{name}, Field({limits_call(limits)})]" if limits else name
            case MapOf(value=inner):
                return f"{builtin('dict')}[{builtin('str')}, {write(inner)}]"
            case Named(name=name):
                return name
            case OneOf(members=members):
                return " | ".join(write(member) for member in members)

    return write(value)


def as_result(value: Type) -> str:  # noqa: PLR0911 - one case per type
    """Write a type as what a function returns."""
    match value:
        case Named(name=name):
            return f"models.{name}"
        case ListOf(item=item):
            return f"list[{as_result(item)}]"
        case MapOf(value=inner):
            return f"dict[str, {as_result(inner)}]"
        case OneOf(members=members):
            return " | ".join(as_result(member) for member in members)
        case Plain(kind="datetime"):
            return "datetime"
        case Plain(kind="date"):
            return "date"
        case Plain(kind=kind):
            return _PLAIN.get(kind, "int" if kind.startswith("unix") else "bytes")
        case Constant(value=constant):
            return f"Literal[{literal(constant)}]"


class Signatures:
    """Writes types as arguments, which are wider than what is kept: any sequence, any mapping, a model or its keys."""

    def __init__(self, components: Iterable[Component]) -> None:
        self._components: Mapping[str, Component] = {component.name: component for component in components}

    def argument(self, value: Type) -> str:
        """Write a type as an argument's annotation."""
        return " | ".join(self._parts(value))

    def _parts(self, value: Type) -> list[str]:
        match value:
            case Plain(kind=kind):
                return list(_IN_SIGNATURES.get(kind, (_PLAIN.get(kind, ""),)))
            case Constant(value=constant):
                return [f"Literal[{literal(constant)}]"]
            case ListOf(item=item):
                return [f"Sequence[{self.argument(item)}]"]
            case MapOf(value=inner):
                return [f"Mapping[str, {self.argument(inner)}]"]
            case Named(name=name):
                return self._named(name)
            case OneOf(members=members):
                return self._joined(members)

    def _joined(self, members: tuple[Type, ...]) -> list[str]:
        constants = [member for member in members if isinstance(member, Constant)]
        parts: list[str] = []
        if constants:
            parts.append(f"Literal[{', '.join(literal(constant.value) for constant in constants)}]")
        for member in members:
            if not isinstance(member, Constant) and member != NONE:
                parts.extend(self._parts(member))
        # Any mapping comes once and at the end, after the models whose keys it may hold.
        parts.sort(key=lambda part: part == _ANY_OBJECT)
        return list(dict.fromkeys([*parts, "None"] if NONE in members else parts))

    def _named(self, name: str) -> list[str]:
        match self._components[name]:
            case Model() | Union():
                return [f"models.{name}", _ANY_OBJECT]
            case Enumeration():
                return [f"models.{name}"]
            case Alias(type=aliased):
                return [f"models.{name}"] if self._is_scalar(aliased) else self._parts(aliased)

    def _is_scalar(self, value: Type) -> bool:
        match value:
            case Plain(kind=kind):
                return kind not in _IN_SIGNATURES
            case OneOf(members=members):
                return all(self._is_scalar(member) for member in members)
            case Named(name=name):
                component = self._components[name]
                return isinstance(component, Enumeration) or (
                    isinstance(component, Alias) and self._is_scalar(component.type)
                )
            case _:
                return isinstance(value, Constant)
