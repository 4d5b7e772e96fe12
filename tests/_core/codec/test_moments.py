from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from dialogkit._core.codec.moments import IsoDate, IsoDateTime, UnixMilliseconds, UnixSeconds

SECONDS: TypeAdapter[Any] = TypeAdapter(UnixSeconds)
MILLISECONDS: TypeAdapter[Any] = TypeAdapter(UnixMilliseconds)
NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


@given(st.datetimes(timezones=st.timezones()), st.booleans())
def test_moments_become_whole_numbers(moment: datetime, strict: bool) -> None:
    elapsed = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert SECONDS.validate_python(moment, strict=strict) == elapsed // timedelta(seconds=1)
    assert MILLISECONDS.validate_python(moment, strict=strict) == elapsed // timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("adapter", "value", "said"),
    [
        (SECONDS, 1_798_761_600_000, "seconds since 1970, not in milliseconds"),
        (SECONDS, -1_798_761_600_000, "seconds since 1970"),
        (MILLISECONDS, 1_798_761_600, "milliseconds since 1970, not in seconds"),
        (SECONDS, "1798761600", "integer"),
        (SECONDS, True, "integer"),
        (SECONDS, 1.5, "integer"),
        (MILLISECONDS, date(2026, 1, 1), "integer"),
    ],
)
def test_an_argument_in_another_unit_is_refused(adapter: TypeAdapter[Any], value: object, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        adapter.validate_python(value, strict=True)


@pytest.mark.parametrize("value", [0, 1, 86_400, 1_798_761_600, 4_102_444_800])
def test_an_argument_in_seconds_is_taken(value: int) -> None:
    assert SECONDS.validate_python(value, strict=True) == value
    assert MILLISECONDS.validate_python(value * 1_000, strict=True) == value * 1_000


def test_an_answer_is_read_in_whatever_unit_it_comes() -> None:
    assert SECONDS.validate_json("1798761600000") == 1_798_761_600_000
    assert MILLISECONDS.validate_json("1798761600") == 1_798_761_600
    assert MILLISECONDS.validate_json('{"seconds": 1784283629, "nanoseconds": 850000000}') == 1_784_283_629_850
    assert SECONDS.validate_json('{"_seconds": 1784283629, "_nanoseconds": 850000000}') == 1_784_283_629
    for wrong in ('{"seconds": "x"}', '{"more": 1}', '{"seconds": 1e300}', '{"seconds": 999999999999999}'):
        with pytest.raises(ValidationError):
            MILLISECONDS.validate_json(wrong)


@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [
        (IsoDateTime, NOON, "2026-01-01T12:00:00Z"),
        (IsoDateTime, date(2026, 1, 1), "2026-01-01"),
        (IsoDateTime, "2026-01-01", "2026-01-01"),
        (IsoDate, date(2026, 1, 1), "2026-01-01"),
        (IsoDate, NOON, "2026-01-01"),
        (IsoDate, "2026-01-01", "2026-01-01"),
    ],
)
def test_a_date_and_a_moment_are_taken_for_each_other(kind: Any, value: object, written: str) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    assert adapter.dump_python(adapter.validate_python(value, strict=True), mode="json") == written
