"""An agency that works for many locations with one token of its own."""

from __future__ import annotations

from collections import Counter

import anyio
import anyio.lowlevel

from dialogkit import HoopAI, MemoryRateLimiter, OAuth2, RetryPolicy
from dialogkit.testing import Sandbox, faults

LOCATIONS, AT_ONCE = 100, 20


class SimulatedTime:
    """A clock for limiter and sandbox, on which nothing takes time but the limiter's waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def wait(self, event: anyio.Event, seconds: float) -> None:
        until = self.now + seconds  # several may wait at once
        await anyio.lowlevel.checkpoint()
        if not event.is_set():
            self.now = max(self.now, until)


async def test_a_hundred_locations_get_their_tokens_within_the_limits_though_each_fifth_answer_is_a_fault() -> None:
    """Nothing is refused for its rate: the exchange of a token is counted with the agency, whose token it is sent with.

    The policy is a patient one: of three attempts all fail in one of 125 cases, whatever the limiter does.
    """
    time, lost = SimulatedTime(), list[str]()
    limiter = MemoryRateLimiter(clock=time, wait=time.wait)
    patient = RetryPolicy(max_attempts=12, base_delay=0, quota=None)
    async with Sandbox(monotonic=time) as sandbox:
        # A renewal's deadline is by another clock, on which the limiter's minutes are no time.
        auth = OAuth2(
            sandbox.client_id,
            sandbox.client_secret,
            company_id=sandbox.company_id,
            user_type="Company",
            refresh_timeout=3_600,
        )
        async with HoopAI(auth=auth, base_url=sandbox.url, rate_limit=limiter, retry=patient) as hoop:
            await auth.exchange(hoop, code=sandbox.authorize(user_type="Company"))
            sandbox.inject(faults.Status(500), on="*", rate=0.2, seed=1)
            room = anyio.Semaphore(AT_ONCE)

            async def search(location: str) -> None:
                async with room:
                    await hoop.for_location(location).conversations.search(limit=1)
                lost.remove(location)

            lost += [sandbox.add_location(f"loc_{number}") for number in range(LOCATIONS)]
            async with anyio.create_task_group() as tasks:
                for location in tuple(lost):
                    tasks.start_soon(search, location)
        answered = Counter((request.operation_id, request.status) for request in sandbox.requests)
    assert lost == []
    assert {status for _, status in answered} == {200, 500}
    assert answered["get_location_token", 200] == answered["search_conversations", 200] == LOCATIONS
    exchanges = answered["get_location_token", 200] + answered["get_location_token", 500]
    assert time.now >= 60 * (exchanges // 60)  # 60 a minute, for the agency
    counted = {key.key[-1] for key in limiter.snapshot()}
    assert sandbox.company_id in counted
