"""A caller's arguments against the document: accepted strictly, and named as the caller wrote them when refused."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from types import NoneType
from typing import Any, Final, TypeAlias, cast

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, core_schema

from dialogkit._core.call import OMIT
from dialogkit._core.errors import InvalidArgumentError
from dialogkit._core.support.callbacks import logger

_Fields: TypeAlias = "dict[object, object]"
_WHOLE: Final = (str, int, float, bytes, BaseModel, NoneType)
_MOST_SAID: Final = 1_000
unknown_values: ContextVar[list[tuple[str, object]] | None] = ContextVar("unknown_values", default=None)
"""Where values are noticed while a call's arguments are checked that its enumerations do not know."""
_AS_THEY_ARE: Final = frozenset({str, int, bool, NoneType})


def validate(adapter: TypeAdapter[Any], value: Any, *, operation: str) -> Any:
    """Return `value` as what `adapter` makes of it, without any conversion.

    Raises:
        InvalidArgumentError: It is not what the document asks for.
    """
    plain: object = value
    try:
        if not _is_plain(value):
            plain = _plain(value)
            if (odd := _not_finite(plain)) is not None:
                at = odd.lstrip(".") or "the body"
                raise invalid(operation, at, "should be a finite number, since JSON has no other")
        return adapter.validator.validate_python(plain, strict=True)
    except ValidationError as exc:
        error = _refused(exc, plain, operation)
    except RecursionError:
        error = invalid(operation, "the body", "is nested too deeply, or holds itself")
    raise error


def notice_unknown(value: Any, info: core_schema.ValidationInfo[Any]) -> Any:
    """Remember a value that an open enumeration of arguments does not know; it is as good as any other."""
    noticed = unknown_values.get()
    if noticed is not None:
        noticed.append((info.field_name or "an argument", value))
    return value


def say_unknown(operation: str, values: Iterable[tuple[str, object]], said: set[tuple[str, str, str]]) -> None:
    """Warn of values that the document does not know, each once: they may be newer than it, or a slip of the pen."""
    for argument, value in values:
        what = (operation, argument, f"{value!r:.80}")
        if what not in said and len(said) < _MOST_SAID:
            said.add(what)
            logger.warning(
                "%s: %s is %s, which the document does not know. It is sent all the same; this is said once.", *what
            )


def invalid(operation: str, argument: str, rule: str) -> InvalidArgumentError:
    """Make the error for an argument that breaks `rule`, a clause that goes on after the argument's name.

    A rule about several arguments stands by itself, with an empty name.
    """
    return InvalidArgumentError(
        f"{operation}: {f'{argument} {rule}'.lstrip()}. Nothing was sent; correct the arguments.",
        operation=operation,
        argument=argument,
    )


def _is_plain(value: object) -> bool:
    """Say whether `value` is flat and as JSON has it: nearly always, and quickly told."""
    return type(value) is dict and _AS_THEY_ARE.issuperset(map(type, cast("_Fields", value).values()))


def _plain(value: object) -> Any:
    """Return `value` with every sequence as a list and every mapping as a dict, at any depth, without omissions.

    A model that is made to be sent is a mapping of what was set, so that it is checked once more: attributes can be
    set to anything.
    """
    if isinstance(value, BaseModel) and value.model_config.get("extra") == "forbid":
        return {name: _plain(getattr(value, name)) for name in value.model_fields_set}
    if isinstance(value, _WHOLE):
        return value
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
        return {name: _plain(each) for name, each in pairs if each is not OMIT}
    if isinstance(value, Sequence) and not isinstance(value, bytearray | memoryview):
        return [_plain(each) for each in cast("Sequence[object]", value)]
    return cast("Any", value)


def _not_finite(value: object) -> str | None:
    """Return the path to a number that is infinite or none, which would silently become null."""
    if isinstance(value, float):
        return None if math.isfinite(value) else ""
    if isinstance(value, dict):
        for name, each in cast("_Fields", value).items():
            if (odd := _not_finite(each)) is not None:
                return f".{name}{odd}"
    elif isinstance(value, list):
        for number, each in enumerate(cast("list[object]", value)):
            if (odd := _not_finite(each)) is not None:
                return f"[{number}]{odd}"
    return None


def _refused(exc: ValidationError, value: Any, operation: str) -> InvalidArgumentError:
    """Tell of the first argument that is wrong; a union has one complaint for each of its members."""
    complaints = exc.errors(include_url=False)
    places = [_place(each, value) for each in complaints]
    argument = places[0]
    same = [each for each, place in zip(complaints, places, strict=True) if place == argument]
    rules = list(dict.fromkeys(map(_rule, same)))
    given = "" if same[0]["type"] in {"missing", "extra_forbidden"} or not argument else _given(same[0]["input"])
    return invalid(operation, argument, ", or ".join(rules[:4]) + given)


def _place(complaint: ErrorDetails, value: Any) -> str:
    """Return the path to what is wrong, such as `working_hours[0].start_hour`, without the names of union members."""
    path = ""
    here = value
    steps = complaint["loc"]
    for number, step in enumerate(steps):
        if isinstance(step, int):
            path += f"[{step}]"
            here = _item(here, step)
            continue
        inner = _field(here, step)
        if inner is None and not (complaint["type"] == "missing" and number == len(steps) - 1):
            continue
        path += f".{step}" if path else step
        here = inner
    return path


def _item(value: object, index: int) -> Any:
    items = cast("list[object]", value) if isinstance(value, list) else []
    return items[index] if index < len(items) else None


def _field(value: object, name: str) -> Any:
    """Return a field of a mapping or model under either of its spellings; `OMIT` if it is null, `None` if absent."""
    if isinstance(value, BaseModel):
        found = getattr(value, name, None)
        return OMIT if found is None and name in type(value).model_fields else found
    if isinstance(value, dict):
        for key, each in cast("_Fields", value).items():
            if isinstance(key, str) and _loose(key) == _loose(name):
                return OMIT if each is None else each
    return None


def _loose(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _rule(complaint: ErrorDetails) -> str:
    kind, message = complaint["type"], complaint["msg"]
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        return "is not an argument of this operation"
    message = (
        message.removeprefix("Value error, ").removeprefix("Assertion failed, ").removeprefix("Input ").rstrip(".")
    )
    # "List should have at most 3 items": what it is said of has been named already
    subject, _, rest = message.partition(" should ")
    return f"should {rest}" if rest and subject.isalpha() else message


def _given(value: object) -> str:
    """Say what was given; a text may be a secret or a person's words, so only its type is told."""
    if value is None or isinstance(value, bool | int | float):
        return f", not {value!r}"
    return f" (given was a value of type {type(value).__name__})"
