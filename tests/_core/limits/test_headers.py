"""What answers tell of the limits, and what of it is believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogkit._core.limits.headers import Doubts, HeaderReader, RateLimitHeaders
from dialogkit._core.limits.terms import Allowance
from tests.support.messages import answer_of

INTERVAL = RateLimitHeaders(limit="x-max", remaining="x-left", per_milliseconds="x-ms")
MINUTE = RateLimitHeaders(limit="x-limit", remaining="x-remaining", per=60, resets_at="x-reset")
DATE = "Sun, 10 May 2026 12:00:00 GMT"
NOW = 1_778_414_400


def read(**headers: str) -> tuple[Allowance, ...]:
    wire = {name.replace("_", "-"): value for name, value in headers.items()}
    return HeaderReader((INTERVAL, MINUTE)).read(answer_of(headers=wire).fields)


def test_an_interval_in_milliseconds() -> None:
    assert read(X_Max="100", x_left="7", X_MS="10000") == (Allowance(limit=100, per=10, remaining=7),)


def test_a_reset_in_unix_seconds_is_read_by_the_platforms_clock() -> None:
    told = read(x_limit="300", x_remaining="0", x_reset=str(NOW + 12), date=DATE)
    assert told == (Allowance(limit=300, per=60, remaining=0, resets_in=12),)


def test_without_a_date_our_clock_must_do(monkeypatch: pytest.MonkeyPatch) -> None:
    (told,) = read(x_limit="300", x_remaining="0", x_reset="4000000000")
    assert told.resets_in is None  # not within the minute that the limit is about
    (told,) = read(x_limit="300", x_remaining="0", x_reset=str(NOW + 12), date="yesterday")
    assert told.resets_in is None


def test_several_limits_are_read_together() -> None:
    told = read(x_max="10", x_left="9", x_ms="1000", x_limit="60", x_remaining="59")
    assert [each.per for each in told] == [1, 60]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x_max": "10"},
        {"x_max": "10", "x_left": "3"},
        {"x_max": "10", "x_left": "11", "x_ms": "1000"},
        {"x_max": "0", "x_left": "0", "x_ms": "1000"},
        {"x_max": "-5", "x_left": "1", "x_ms": "1000"},
        {"x_max": "ten", "x_left": "1", "x_ms": "1000"},
        {"x_max": "1e3", "x_left": "1", "x_ms": "1000"},
        {"x_max": "10", "x_left": "1", "x_ms": "0"},
        {"x_max": "10", "x_left": "1", "x_ms": "9" * 12},
        {"x_max": "9" * 400, "x_left": "1", "x_ms": "1000"},
        {"x_max": "\u00b2", "x_left": "1", "x_ms": "1000"},
    ],
)
def test_nonsense_tells_nothing(headers: dict[str, str]) -> None:
    fields = {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()}
    assert HeaderReader((INTERVAL, MINUTE)).read(fields) == ()


@pytest.mark.parametrize("reset", ["", "soon", str(NOW - 1), str(NOW + 61), "12.5", "9" * 15])
def test_a_reset_that_cannot_be_is_left_out(reset: str) -> None:
    (told,) = read(x_limit="300", x_remaining="5", x_reset=reset, date=DATE)
    assert told.resets_in is None


def test_a_platform_that_tells_nothing() -> None:
    assert HeaderReader().read({b"x-max": b"1"}) == ()


DAY = RateLimitHeaders(limit="x-day", remaining="x-day-left", per=86_400, begins_anew_in_milliseconds="x-day-ms")
BOTH = HeaderReader((INTERVAL, DAY))
SPENT = {"x-day": "1000", "x-day-left": "0", "x-day-ms": "81283000"}
BURST = {"x-max": "100", "x-left": "3", "x-ms": "10000"}


def test_a_day_s_end_in_milliseconds() -> None:
    (told,) = HeaderReader((DAY,)).read(answer_of(headers=SPENT).fields)
    assert told == Allowance(limit=1000, per=86_400, remaining=0, resets_in=81_283, begins_anew=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "7", **BURST}, 7),
        (BURST, 10),
        ({"x-ms": "10000"}, 10),
        (SPENT, 81_283),
        ({**SPENT, **BURST}, 81_283),
        ({**SPENT, **BURST, "retry-after": "7"}, 81_283),
        ({**SPENT, "x-day-left": "5"}, None),
        ({**SPENT, "x-day-left": "5", **BURST}, 10),
        ({"retry-after": "86400"}, 86_400),
        ({"retry-after": "86401", **BURST}, 10),
        ({"x-ms": "86400001"}, None),
    ],
)
def test_what_a_refusal_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert BOTH.pause(answer_of(headers=headers).fields) == seconds


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("retry-after", "1735689600"),
        ("retry-after", "1735689600000"),
        ("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT"),
        ("retry-after", "soon"),
        ("x-max", "0"),
        ("x-max", "ten"),
        ("x-left", "101"),
        ("x-ms", "0"),
        ("x-ms", "3456000000"),
        ("x-day-ms", "9" * 12),
        ("x-day-ms", "1735689600"),
    ],
)
def test_what_makes_no_sense_is_ignored_and_said_once(
    header: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    fields = answer_of(headers={**BURST, **SPENT, header: value}).fields
    doubts = Doubts()
    for _ in range(3):
        BOTH.read(fields, doubts)
        pause = BOTH.pause(fields, doubts)
        assert pause is None or pause <= 86_400
    (record,) = caplog.records
    assert header in record.getMessage()
    assert value in record.getMessage()


def test_a_value_that_makes_no_sense_forges_no_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    HeaderReader().retry_after({b"retry-after": b"1\x1b[2K\r\nERROR " + b"x" * 500}, Doubts())
    (record,) = caplog.records
    assert "\x1b" not in record.getMessage()
    assert "\n" not in record.getMessage()
    assert len(record.getMessage()) < 200


@given(st.dictionaries(st.sampled_from(["retry-after", *BURST, *SPENT]), st.text(max_size=20)))
def test_no_header_is_too_odd(headers: dict[str, str]) -> None:
    fields = {name.encode(): value.encode("utf-8", "surrogatepass") for name, value in headers.items()}
    pause = BOTH.pause(fields, Doubts())
    assert pause is None or 0 <= pause <= 86_400
    for told in BOTH.read(fields):
        assert 0 <= told.remaining <= told.limit
        assert 0 < told.per <= 86_400
        assert told.resets_in is None or 0 <= told.resets_in <= told.per
