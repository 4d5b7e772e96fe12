"""What answers tell of the limits, and what of it is believed."""

from __future__ import annotations

import pytest

from dialogkit._core.limits.headers import HeaderReader, RateLimitHeaders
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
