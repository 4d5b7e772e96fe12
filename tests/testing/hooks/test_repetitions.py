"""Repetitions on the platforms' schedules, in a time that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dialogkit.testing import Delivery, Sandbox
from tests.support.endpoint import Endpoint
from tests.testing.tools import Clock, client_of, refused

MINUTE, DAY = 60, 24 * 3600
DOUBLING = [0, 120, 360, 840, 1800, 3720, 7560, 15_240, 30_600, 61_320, 122_760, 245_640]
"""When HoopAI's twelve attempts are due, in seconds: each pause is twice as long as the one before."""


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def hoopai() -> Iterator[Sandbox]:
    with Sandbox(tier=None, clock=Clock()) as sandbox:
        yield sandbox


def delivered(sandbox: Sandbox[Any]) -> Delivery:
    """Return the one delivery, once all is done that is due."""
    sandbox.webhooks.wait(30, repeats=False)
    (delivery,) = sandbox.deliveries
    return delivery


def test_hoopai_repeats_up_to_twelve_times_within_three_days(hoopai: Sandbox, endpoint: Endpoint) -> None:
    endpoint.status = 500
    hoopai.webhooks.register(endpoint.url)
    hoopai.webhooks.emit("ConversationEscalated", {"conversationId": "conversation_1"})
    assert len(delivered(hoopai).attempts) == 1
    hoopai.advance(60)
    assert len(delivered(hoopai).attempts) == 1, "it is not due yet"
    hoopai.advance(60)
    assert len(delivered(hoopai).attempts) == 2
    hoopai.advance(3 * DAY)
    last = delivered(hoopai)
    assert [attempt.due for attempt in last.attempts] == DOUBLING
    assert DOUBLING[-1] < 3 * DAY
    assert (last.done, last.accepted) == (True, False)
    first, *others = endpoint.received
    assert len(others) == 11
    assert all(each == first for each in others), "the same payload and signature, to the byte"


def test_it_stops_when_it_is_accepted(hoopai: Sandbox, endpoint: Endpoint) -> None:
    endpoint.status = 503
    hoopai.webhooks.register(endpoint.url)
    hoopai.webhooks.emit("ConversationEscalated")
    delivered(hoopai)
    endpoint.status = 200
    hoopai.advance(3 * DAY)
    assert [attempt.status for attempt in delivered(hoopai).attempts] == [503, 200]


def test_after_a_429_it_waits_ten_minutes(hoopai: Sandbox, endpoint: Endpoint) -> None:
    endpoint.status = 429
    hoopai.webhooks.register(endpoint.url)
    hoopai.webhooks.emit("ConversationEscalated")
    delivered(hoopai)
    hoopai.advance(35 * MINUTE)
    assert [attempt.due for attempt in delivered(hoopai).attempts] == [0, 600, 1200, 1800]


def test_hoverbot_repeats_for_a_day(endpoint: Endpoint) -> None:
    endpoint.status = 500
    with Sandbox(platform="hoverbot") as sandbox:
        sandbox.webhooks.register(endpoint.url)
        sandbox.webhooks.emit("lead.qualified", {"leadScore": 82})
        delivered(sandbox)
        sandbox.advance(DAY)
        last = delivered(sandbox)
    assert last.done
    assert (len(last.attempts), last.attempts[-1].due) == (11, 80 * (2**10 - 1))


def test_who_waits_for_a_far_repetition_is_told_how_to_get_there(hoopai: Sandbox, endpoint: Endpoint) -> None:
    endpoint.status = 500
    hoopai.webhooks.register(endpoint.url)
    hoopai.webhooks.emit("ConversationEscalated")
    delivered(hoopai)
    with pytest.raises(TimeoutError, match=r"attempt 1: 500\. Let time pass .* sandbox\.advance\(seconds\)"):
        hoopai.webhooks.wait(0.01)


async def test_waiting_works_from_async_code_too(hoopai: Sandbox, endpoint: Endpoint) -> None:
    endpoint.status = 500
    hoopai.webhooks.register(endpoint.url)
    hoopai.webhooks.emit("ConversationEscalated")
    await hoopai.webhooks.settled(30, repeats=False)
    assert [len(delivery.attempts) for delivery in hoopai.deliveries] == [1]


def test_pauses_of_one_s_own_hold_in_real_time(endpoint: Endpoint) -> None:
    endpoint.status = 429
    with Sandbox(webhook_backoff=0.01, webhook_attempts=3) as sandbox:
        sandbox.webhooks.register(endpoint.url)
        sandbox.webhooks.emit("ConversationEscalated")
        sandbox.webhooks.wait(30)
        assert [attempt.due for attempt in sandbox.deliveries[0].attempts] == pytest.approx([0, 0.01, 0.03])


def test_all_that_has_a_clock_goes_along(hoopai: Sandbox) -> None:
    token = hoopai.add_token(expires_in=60)
    with client_of(hoopai, token) as api:
        assert api.get("/conversations/conversation_1").status_code == 200
        hoopai.advance(60)
        assert refused(api.get("/conversations/conversation_1"), 401) == "The token has expired"
    hoopai.reset()
    assert hoopai.app.settings.clock() == Clock.START, "as new, it has the time that it was given"


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_time_goes_forward_only(hoopai: Sandbox, seconds: float) -> None:
    with pytest.raises(ValueError, match="a number from 0 up"):
        hoopai.advance(seconds)
