"""The body of a delivery, read once it is proven to be the platform's: JSON, envelope, moment.

JSON is read more strictly than an answer to a call: what two readers could understand differently is refused.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from functools import cache
from typing import Any, Final, TypeAlias, cast

from pydantic import TypeAdapter, ValidationError

from dialogkit._core.support.json import is_array, is_object

Payload: TypeAlias = dict[str, Any]

_DEEPEST: Final = 64
_MOST_DIGITS: Final = 1_000
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class UnreadableError(Exception):
    """The body is not what it should be; `str()` says why, without quoting it."""


def parse(body: bytes) -> Payload:
    """Return the JSON object in `body`.

    Raises:
        UnreadableError: It is not UTF-8, not JSON, no object, nested too deeply, or not to be understood in one way.
    """
    try:
        value: object = _decoder().decode(body.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UnreadableError("it is not UTF-8") from None
    except ValueError:
        raise UnreadableError("it is not JSON") from None
    except RecursionError:
        raise UnreadableError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise UnreadableError("it is JSON, but no object")
    payload = cast("Payload", value)
    _check(payload)
    return payload


def unwrapped(payload: Payload, wrappers: Sequence[str]) -> Payload:
    """Return the fields of an event as one object, whichever envelope the platform chose.

    What stands at the top wins, and a wrapper is opened only when it holds an object: in a flat event, the same key is
    an ordinary field.
    """
    opened = [key for key in wrappers if isinstance(payload.get(key), dict)]
    if not opened:
        return payload
    outside = {key: value for key, value in payload.items() if key not in opened}
    fields: Payload = {key: None for key, value in outside.items() if value is None}
    for key in reversed(opened):
        fields.update(payload[key])
    return fields | {key: value for key, value in outside.items() if value is not None}


def first_text(payload: Mapping[str, Any], keys: Iterable[str]) -> str | None:
    """Return the first of some fields that holds text."""
    return next((value for value in map(payload.get, keys) if isinstance(value, str) and value), None)


def moment(value: object) -> float | None:
    """Return the seconds since 1970 that a timestamp means, `None` if it means none.

    It may be ISO 8601 (UTC unless it says otherwise), or a number of seconds or milliseconds, also as text.
    """
    if not isinstance(value, str | int | float):
        return None
    try:
        date = _date().validate_python(value)
        return (date if date.tzinfo is not None else date.replace(tzinfo=timezone.utc)).timestamp()
    except (ValidationError, ValueError, OverflowError):
        return None


@cache
def _date() -> TypeAdapter[datetime]:
    return TypeAdapter(datetime)


@cache
def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=_object, parse_constant=_refuse_constant, parse_int=_int, parse_float=_float
    )


def _object(pairs: list[tuple[str, Any]]) -> Payload:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise UnreadableError("a name stands twice in one object")
    return result


def _refuse_constant(name: str) -> object:
    raise UnreadableError(f"{name} is no JSON number")


def _int(digits: str) -> int:
    # Reading the digits of a number takes the square of their count.
    if len(digits) > _MOST_DIGITS:
        raise UnreadableError("a number in it is too long")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise UnreadableError("a number in it is too large")
    return value


def _check(payload: Payload) -> None:
    """Refuse great depth, and mend text that cannot be written as UTF-8; without recursion, so that nothing breaks."""
    level: list[object] = [payload]
    for _ in range(_DEEPEST):
        level = [child for container in level for child in _mended(container)]
        if not level:
            return
    raise UnreadableError("it is nested too deeply")


def _mended(container: object) -> list[object]:
    """Replace lone surrogates, such as half an emoji that was cut, in place; return the containers inside."""
    inner: list[object] = []
    target: Any = container
    if is_object(container):
        if any(_LONE_SURROGATE.search(key) for key in container):
            raise UnreadableError("a name in it is not Unicode")
        pairs: list[tuple[Any, object]] = list(container.items())
    else:
        pairs = list(enumerate(cast("list[object]", target)))
    for key, value in pairs:
        if isinstance(value, str):
            if _LONE_SURROGATE.search(value):
                target[key] = _LONE_SURROGATE.sub("\ufffd", value)
        elif is_array(value) or is_object(value):
            inner.append(value)
    return inner
