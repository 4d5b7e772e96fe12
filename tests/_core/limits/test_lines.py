"""Operations with limits of their own: one line for each set of limits, over the same windows."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from dialogkit._core.errors import RateLimitWaitError
from dialogkit._core.limits.memory import MemoryRateLimiter
from dialogkit._core.limits.terms import Key, RateLimit

KEY: Key = ("Toy", "credential", "")
REQUESTS = RateLimit(3, per=10)
MESSAGES = RateLimit(1, per=60, name="messages")
READS = (REQUESTS,)
SENDS = (REQUESTS, MESSAGES)


async def go(limiter: MemoryRateLimiter, limits: tuple[RateLimit, ...]) -> None:
    (await limiter.acquire(KEY, limits, max_wait=None)).settle()


def run(*script: tuple[str, float]) -> list[tuple[str, int]]:
    """Let reads and sends begin at given seconds; return who went when, to the second."""
    went: list[tuple[str, int]] = []

    async def one(limiter: MemoryRateLimiter, name: str, start: float, zero: float) -> None:
        await trio.sleep(start)
        await go(limiter, SENDS if name.startswith("send") else READS)
        went.append((name, int(trio.current_time() - zero)))

    async def main() -> None:
        limiter, zero = MemoryRateLimiter(clock=trio.current_time), trio.current_time()
        async with trio.open_nursery() as nursery:
            for name, start in script:
                nursery.start_soon(one, limiter, name, start, zero)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    return went


def test_who_waits_for_a_message_does_not_hold_up_who_reads() -> None:
    assert run(("send 1", 0), ("send 2", 1), ("read", 2)) == [("send 1", 0), ("read", 2), ("send 2", 60)]


def test_both_take_from_the_same_requests() -> None:
    went = run(("send", 0), ("read 1", 1), ("read 2", 2), ("read 3", 3))
    assert went == [("send", 0), ("read 1", 1), ("read 2", 2), ("read 3", 10)]


@pytest.mark.parametrize("order", [("send", "read"), ("read", "send")])
def test_of_two_who_could_go_the_earlier_goes(order: tuple[str, str]) -> None:
    first, second = order
    went = run(("read a", 0), ("read b", 1), ("read c", 2), (first, 3), (second, 4))
    assert went[3:] == [(first, 10), (second, 11)]


def test_whoever_waits_longest_for_a_message_gets_the_next_request() -> None:
    reads = [(f"read {number}", 30.0 + number) for number in range(12)]
    went = dict(run(("send 1", 0), ("send 2", 1), *reads, *((f"late {n}", 59.0) for n in range(9))))
    assert went["send 2"] == 60 or went["send 2"] <= 70
    assert went["send 2"] <= min(went[f"late {n}"] for n in range(3, 9))


async def test_limits_of_different_names_are_counted_apart() -> None:
    limiter = MemoryRateLimiter(clock=lambda: 1.0)
    for name in ("messages", "knowledge"):
        await limiter.acquire(KEY, (RateLimit(1, per=60, name=name),), max_wait=0)
    with pytest.raises(RateLimitWaitError):
        await limiter.acquire(KEY, (RateLimit(1, per=60, name="messages"),), max_wait=0)


async def test_limits_of_its_own_win_over_what_the_client_asks_for() -> None:
    limiter = MemoryRateLimiter(limits=[RateLimit(2, per=60)], clock=lambda: 1.0)
    for _ in range(2):
        await limiter.acquire(KEY, (RateLimit(1, per=60),), max_wait=0)
    with pytest.raises(RateLimitWaitError):
        await limiter.acquire(KEY, (RateLimit(100, per=1),), max_wait=0)


async def test_equal_limits_are_one_line_however_they_are_given() -> None:
    limiter = MemoryRateLimiter()
    for _ in range(3):
        (await limiter.acquire(KEY, [RateLimit(3, per=10)], max_wait=1)).settle()
    assert len(limiter._keys[KEY].lines) == 1
    with pytest.raises(RateLimitWaitError):
        await limiter.acquire(KEY, READS, max_wait=1)
