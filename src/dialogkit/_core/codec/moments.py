"""Dates and moments, in the forms in which platforms write them.

Arguments are checked strictly, and in them a unit that was mistaken for another is refused: a moment in milliseconds is
no moment in seconds. Answers are read as they come.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Annotated, Any, Final, TypeAlias

from pydantic import Field, GetCoreSchemaHandler, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from dialogkit._core.support.json import is_object

_ORIGIN: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
# In seconds this is the year 5138, in milliseconds 1973: nobody means the one and writes the other.
_TOO_LARGE_FOR_SECONDS: Final = 100_000_000_000
# In seconds this is the year 2001, in milliseconds the 12th day of 1970.
_LARGE_FOR_SECONDS: Final = 1_000_000_000


def _aware(value: Any) -> Any:
    """Refuse a moment that every reader would understand as another; what comes as JSON is text here, and passes."""
    if isinstance(value, datetime) and value.tzinfo is None:
        raise PydanticCustomError("naive_datetime", "should have a time zone, for example UTC")
    return value


def _of_parts(value: dict[str, Any]) -> datetime:
    """Return the moment that `seconds` and `nanoseconds` since 1970 mean, the leading underscores of some aside."""
    fields = {name.removeprefix("_"): each for name, each in value.items()}
    seconds, nanoseconds = fields.pop("seconds", None), fields.pop("nanoseconds", 0)
    if fields or type(seconds) is not int or type(nanoseconds) is not int:
        raise PydanticCustomError("moment", "should be a date, or its `seconds` and `nanoseconds`")
    try:
        return _ORIGIN + timedelta(0, seconds, nanoseconds // 1_000)
    except OverflowError:
        raise PydanticCustomError("moment", "should be a date that a calendar has") from None


class _OrParts:
    """Marks a date that may come as an object of `seconds` and `nanoseconds`; others are read as fast as without."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        parts = core_schema.no_info_after_validator_function(_of_parts, core_schema.dict_schema())
        return core_schema.union_schema([handler(source), parts], mode="left_to_right")


Timestamp: TypeAlias = Annotated[datetime, _OrParts]
"""A moment that a platform answers: ISO 8601, epoch seconds or milliseconds, or `{"seconds", "nanoseconds"}`."""


class _Epoch:
    """Marks a whole number that counts since 1970; in an answer, one that is a number is read as fast as any number."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        number = handler(source)
        moment = core_schema.no_info_before_validator_function(self._of_moment, number)
        return core_schema.lax_or_strict_schema(
            lax_schema=core_schema.union_schema([number, moment], mode="left_to_right"),
            strict_schema=core_schema.no_info_before_validator_function(self._given, number),
        )

    def _of_moment(self, value: Any) -> Any:
        if is_object(value):
            value = _of_parts(value)
        if not isinstance(value, datetime):
            return value
        _aware(value)
        return (value - _ORIGIN) // timedelta(seconds=1) if self._per_second == 1 else _milliseconds(value)

    def _given(self, value: Any) -> Any:
        """Take what a caller gives, unless it is in the other unit."""
        if isinstance(value, datetime):
            return self._of_moment(value)
        if type(value) is not int:
            return value
        if self._per_second == 1 and abs(value) >= _TOO_LARGE_FOR_SECONDS:
            raise PydanticCustomError("unit", "should be in seconds since 1970, not in milliseconds")
        if self._per_second != 1 and _LARGE_FOR_SECONDS <= abs(value) < _TOO_LARGE_FOR_SECONDS:
            raise PydanticCustomError("unit", "should be in milliseconds since 1970, not in seconds")
        return value


def _milliseconds(value: datetime) -> int:
    return (value - _ORIGIN) // timedelta(milliseconds=1)


UnixSeconds: TypeAlias = Annotated[int, _Epoch(1)]
"""Seconds since 1970-01-01 UTC; a `datetime` with a time zone is converted."""
UnixMilliseconds: TypeAlias = Annotated[int, _Epoch(1_000)]
"""Milliseconds since 1970-01-01 UTC; a `datetime` with a time zone is converted."""


def _moment(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    return value if type(value) is date else handler(_aware(value))


def _day(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    return value.date() if isinstance(value, datetime) else handler(value)


IsoDateTime: TypeAlias = Annotated[datetime | date | str, Field(union_mode="left_to_right"), WrapValidator(_moment)]
"""A moment to send; a `datetime` needs a time zone, and a `date` is sent as one, without a time.

What a platform answers becomes a `datetime` where it is written as ISO 8601.
"""
IsoDate: TypeAlias = Annotated[date | str, Field(union_mode="left_to_right"), WrapValidator(_day)]
"""A date to send; of a `datetime`, its day.

What a platform answers becomes a `date` where it is written as ISO 8601.
"""
