"""Building a result from an answer that differs from its document: what is right is converted, the rest is kept.

Every type is first given to pydantic. Only where it refuses, the parts are built one by one, down to the values that
are really different.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, TypeAlias, Union, cast, get_args, get_origin

from pydantic import AliasChoices, BaseModel, Discriminator, Tag, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True)
class Deviation:
    """One place where a value differs from its type."""

    path: Path
    message: str
    raw: bool = True
    """Whether the value was kept as it came."""


def build(expected: Any, value: Any, deviations: list[Deviation]) -> Any:
    """Return `value` (parsed JSON) as `expected`, as far as it is that; the rest goes to `deviations`."""
    return _Builder(deviations).build(expected, value, ())


def place(path: Path) -> str:
    """Write a path as it is written in Python, for example `conversations[3].email`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.isidentifier():
            text += f".{step}" if text else step
        else:
            text += f"[{step!r}]"
    return text


class _Builder:
    def __init__(self, deviations: list[Deviation]) -> None:
        self._deviations = deviations

    def build(self, expected: Any, value: Any, path: Path) -> Any:
        try:
            return _adapter(expected).validate_python(value)
        except ValidationError as exc:
            refusal = exc
        before = len(self._deviations)
        result = self._by_parts(expected, value, path, refusal)
        if len(self._deviations) == before:  # every part is right, and yet the whole is not
            self._deviations.append(Deviation(path, _reason(refusal), raw=False))
        return result

    def _by_parts(self, expected: Any, value: Any, path: Path, refusal: ValidationError) -> Any:
        raw: Any = value
        origin = get_origin(expected)
        if origin is Annotated:
            inner, *metadata = get_args(expected)
            return self._annotated(inner, metadata, value, path)
        if origin in (Union, types.UnionType):
            return self._union(get_args(expected), value, path, refusal)
        if isinstance(value, list) and origin in (list, Sequence):
            (inner,) = get_args(expected)
            elements = cast("list[object]", value)
            return [self.build(inner, each, (*path, index)) for index, each in enumerate(elements)]
        if isinstance(value, dict):
            values = cast("dict[str, Any]", value)
            if origin in (dict, Mapping):
                inner = get_args(expected)[1]
                return {key: self.build(inner, each, (*path, key)) for key, each in values.items()}
            if isinstance(expected, type) and issubclass(expected, BaseModel):
                return self._model(expected, values, path)
        self._deviations.append(Deviation(path, _reason(refusal)))
        return raw

    def _annotated(self, inner: Any, metadata: Sequence[Any], value: Any, path: Path) -> Any:
        for each in metadata:
            if isinstance(each, Discriminator) and callable(each.discriminator):
                tag = each.discriminator(value)
                for member in get_args(inner):
                    if any(isinstance(mark, Tag) and mark.tag == tag for mark in get_args(member)[1:]):
                        return self.build(get_args(member)[0], value, path)
        return self.build(inner, value, path)

    def _union(self, members: Iterable[Any], value: Any, path: Path, refusal: ValidationError) -> Any:
        """Build the member that fits best; a value of no member's kind stays as it is."""
        best: tuple[list[Deviation], Any] | None = None
        for member in members:
            deviations: list[Deviation] = []
            result = _Builder(deviations).build(member, value, path)
            if any(each.path == path and each.raw for each in deviations):
                continue
            if best is None or len(deviations) < len(best[0]):
                best = deviations, result
        if best is None:
            self._deviations.append(Deviation(path, _reason(refusal)))
            return value
        self._deviations += best[0]
        return best[1]

    def _model(self, model: type[BaseModel], values: dict[str, Any], path: Path) -> BaseModel:
        model.model_rebuild()
        fields: dict[str, Any] = {}
        given: set[str] = set()
        used: set[str] = set()
        for name, field in model.model_fields.items():
            key = next((key for key in _keys(name, field) if key in values), None)
            if key is not None:
                used.add(key)
                given.add(name)
                fields[name] = self.build(_annotation(field), values[key], (*path, name))
            elif field.is_required():
                self._deviations.append(Deviation((*path, name), "Field required", raw=False))
                fields[name] = None
            else:
                fields[name] = field.get_default(call_default_factory=True, validated_data=fields)
        result = model.model_construct(given)
        object.__setattr__(result, "__dict__", fields)
        if model.model_config.get("extra") == "allow":
            extra = {key: value for key, value in values.items() if key not in used}
            object.__setattr__(result, "__pydantic_extra__", extra)
        return result


def _keys(name: str, field: FieldInfo) -> list[str]:
    """Return the JSON keys under which a field may come, the best first."""
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return [*(each for each in choices if isinstance(each, str)), name]


def _annotation(field: FieldInfo) -> Any:
    if not field.metadata:
        return field.annotation
    parts = (field.annotation, *field.metadata)
    return cast(Any, Annotated)[parts]


@lru_cache(maxsize=1024)
def _cached_adapter(expected: Any) -> TypeAdapter[Any]:
    return TypeAdapter(expected)


def _adapter(expected: Any) -> TypeAdapter[Any]:
    try:
        return _cached_adapter(expected)
    except TypeError:  # an annotation need not be hashable
        return TypeAdapter(expected)


def _reason(refusal: ValidationError) -> str:
    """Return what pydantic found wrong, without the value."""
    errors = refusal.errors(include_url=False, include_input=False, include_context=False)
    telling = [each for each in errors if each["type"] != "literal_error"] or errors
    messages = dict.fromkeys(each["msg"] for each in telling)
    return " or ".join(messages)
