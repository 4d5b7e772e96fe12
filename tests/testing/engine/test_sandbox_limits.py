from __future__ import annotations

import inspect
from collections.abc import Sequence

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogkit.testing import Sandbox, SandboxError
from dialogkit.testing.engine.limits import Limits, Window
from dialogkit.testing.hoopai.limits import TIERS, headers
from tests.testing.tools import HERE, Clock, client_of


class Monotonic:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Monotonic:
    return Monotonic()


def test_a_burst_ends_at_the_limit_of_the_second(time: Monotonic) -> None:
    limits = Limits(TIERS["standard"], time, headers)
    verdicts = [limits.admit("key") for _ in range(11)]
    assert [verdict.retry_after for verdict in verdicts] == [None] * 10 + [1]
    assert verdicts[0].headers == {
        "X-RateLimit-Limit-Daily": "200000",
        "X-RateLimit-Daily-Remaining": "199999",
        "X-RateLimit-Daily-Reset": "86400000",
        "X-RateLimit-Interval-Milliseconds": "1000",
        "X-RateLimit-Max": "10",
        "X-RateLimit-Remaining": "9",
    }
    assert verdicts[-1].headers["X-RateLimit-Remaining"] == "0"
    assert "Retry-After" not in verdicts[-1].headers, "a client waits the interval"


def test_waiting_is_rounded_up_to_whole_seconds(time: Monotonic) -> None:
    limits = Limits((Window(1, 60), Window(1, 1)), time)
    limits.admit("key")
    time.now += 12.5
    assert limits.admit("key").retry_after == 48
    time.now += 47
    assert limits.admit("key").retry_after == 1
    time.now += 0.5
    assert limits.admit("key").retry_after is None


def test_a_refused_request_does_not_count(time: Monotonic) -> None:
    limits = Limits((Window(2, 1),), time)
    for _ in range(5):
        limits.admit("key")
    time.now += 1
    assert limits.admit("key").retry_after is None


def test_keys_are_counted_apart(time: Monotonic) -> None:
    limits = Limits((Window(1, 1),), time)
    assert limits.admit(("a", "x")).retry_after is None
    assert limits.admit(("a", "y")).retry_after is None
    assert limits.admit(("a", "x")).retry_after == 1


def test_a_day_begins_with_the_first_request_and_lasts_24_hours(time: Monotonic) -> None:
    limits = Limits((Window(1, 1),), time, headers)

    def told() -> tuple[str, str]:
        said = limits.admit("key").headers
        return said["X-RateLimit-Daily-Remaining"], said["X-RateLimit-Daily-Reset"]

    assert told() == ("199999", "86400000")
    time.now += 1.5
    assert told() == ("199998", "86398500")
    time.now += 86_397.5
    assert told() == ("199997", "1000")
    time.now += 1
    assert told() == ("199999", "86400000")


def test_a_day_that_is_spent(time: Monotonic) -> None:
    limits = Limits((Window(10, 1),), time, headers, day=3)
    assert [limits.admit("key").retry_after for _ in range(4)] == [None, None, None, 86_400]
    time.now += 80_000
    spent = limits.admit("key")
    assert spent.retry_after == 6_400
    assert spent.headers["X-RateLimit-Daily-Reset"] == "6400000"
    assert "Retry-After" not in spent.headers
    assert limits.admit("other").retry_after is None
    time.now += 6_400
    assert limits.admit("key").retry_after is None


def test_a_day_can_be_spent_at_once() -> None:
    with Sandbox(monotonic=Monotonic()) as sandbox, client_of(sandbox) as api:
        other = {"locationId": sandbox.add_location("loc_other")}
        sandbox.spend_day()
        answer = api.get("/conversations/bots", params=HERE)
        assert answer.status_code == 429
        assert answer.headers["X-RateLimit-Daily-Remaining"] == "0"
        assert answer.headers["X-RateLimit-Daily-Reset"] == "86400000"
        assert api.get("/conversations/bots", params=other).status_code == 200, "each location has a day of its own"
        sandbox.advance(86_400)
        assert api.get("/conversations/bots", params=HERE).status_code == 200
    with pytest.raises(SandboxError, match="give it a tier"):
        Sandbox(tier=None).spend_day()


def test_leniently_each_429_says_how_long_to_wait() -> None:
    with Sandbox(monotonic=Monotonic(), lenient=True) as sandbox, client_of(sandbox) as api:
        answers = [api.get("/conversations/bots", params=HERE) for _ in range(11)]
    assert answers[-1].headers["Retry-After"] == "1"


@given(st.lists(st.floats(0, 3), min_size=1, max_size=200))
def test_no_window_ever_holds_more_than_its_limit(pauses: Sequence[float]) -> None:
    time = Monotonic()
    windows = (Window(7, 10), Window(3, 1))
    limits = Limits(windows, time)
    admitted: list[float] = []
    for pause in pauses:
        time.now += pause
        verdict = limits.admit("key")
        if verdict.retry_after is None:
            admitted.append(time.now)
        else:
            later = Monotonic()
            later.now = time.now + verdict.retry_after
            assert all(
                sum(later.now - window.seconds < moment <= time.now for moment in admitted) < window.limit
                for window in windows
            ), "it would have been too early after Retry-After"
            assert verdict.retry_after <= 10
    for window in windows:
        for moment in admitted:
            assert sum(moment - window.seconds < other <= moment for other in admitted) <= window.limit


def test_over_http() -> None:
    time, clock = Monotonic(), Clock()
    with (
        Sandbox(tier="standard", clock=clock, monotonic=time, validate_responses=True) as sandbox,
        client_of(sandbox) as api,
    ):
        sandbox.add_location("loc_other")
        answers = [api.get("/conversations/bots", params=HERE) for _ in range(11)]
        assert [answer.status_code for answer in answers] == [200] * 10 + [429]
        assert answers[0].headers["X-RateLimit-Remaining"] == "9"
        assert "Retry-After" not in answers[-1].headers
        assert answers[-1].headers["X-RateLimit-Interval-Milliseconds"] == "1000"
        assert answers[-1].json()["statusCode"] == 429
        other = {"locationId": "loc_other"}
        assert api.get("/conversations/bots", params=other).status_code == 200
        assert api.post("/conversations/bots", json={**other, "name": "B", "systemPrompt": ""}).status_code == 201
        assert api.get("/conversations/conversation_1").status_code == 429, "counted where the key belongs"
        assert httpx.get(f"{sandbox.url}/conversations/bots").status_code == 401, "who is unknown is not counted"
        time.now += 1
        refused = api.get("/conversations/bots/nothing", params=HERE)
        assert (refused.status_code, refused.headers["X-RateLimit-Remaining"]) == (404, "9")
        for _ in range(5):
            time.now += 1
            answers = [api.get("/conversations/bots", params=HERE) for _ in range(10)]
        assert answers[-1].status_code == 429, "the minute's limit is reached"
        assert int(answers[-1].headers["Retry-After"]) == 54
        sandbox.reset()
        assert api.get("/conversations/bots", params=HERE).status_code == 200


def test_the_limits_of_the_marketplace() -> None:
    with Sandbox(tier="marketplace", monotonic=Monotonic()) as sandbox, client_of(sandbox) as api:
        answer = api.get("/conversations/bots", params=HERE)
    told = [answer.headers[f"X-RateLimit-{name}"] for name in ("Max", "Interval-Milliseconds", "Limit-Daily")]
    assert told == ["100", "10000", "200000"]
    assert str(inspect.signature(Sandbox.__init__).parameters["tier"].default) == "<the platform's smallest tier>"


def test_the_token_endpoint_has_a_limit_of_its_own() -> None:
    with Sandbox(tier="agency", monotonic=Monotonic()) as sandbox:
        answers = [httpx.post(f"{sandbox.url}/oauth/token").status_code for _ in range(6)]
    assert answers == [400] * 5 + [429]


def test_without_a_tier_there_is_no_limit(api: httpx.Client) -> None:
    answers = [api.get("/conversations/bots", params=HERE) for _ in range(30)]
    assert {answer.status_code for answer in answers} == {200}
    assert not [name for name in answers[0].headers if name.lower().startswith("x-ratelimit")]
