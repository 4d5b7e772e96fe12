"""Handled once: what every store must do, and what each does of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from dialogkit import Claim, ConfigurationError, DedupeStore, MemoryDedupeStore, handled_once
from tests.support.backends import on_every_backend


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def memory(**options: Any) -> tuple[MemoryDedupeStore, Clock]:
    clock = Clock()
    return MemoryDedupeStore(clock=clock, **options), clock


async def test_only_the_first_claim_is_true() -> None:
    store, _ = memory()
    assert [await store.claim("a") for _ in range(3)] == [Claim.NEW, Claim.RUNNING, Claim.RUNNING]
    assert await store.claim("b")
    await store.confirm("a")
    assert await store.claim("a") is Claim.DONE
    assert [bool(each) for each in (Claim.NEW, Claim.RUNNING, Claim.DONE)] == [True, False, False]


async def test_what_is_released_can_be_claimed_again() -> None:
    store, _ = memory()
    assert await store.claim("a")
    await store.release("a")
    assert await store.claim("a") is Claim.NEW
    await store.confirm("a")
    await store.release("a")
    await store.release("never claimed")
    assert await store.claim("a") is Claim.DONE


async def test_a_claim_ends_with_its_lease_and_the_memory_with_its_time() -> None:
    store, clock = memory(lease=600, ttl=172_800)
    await store.claim("died")
    await store.claim("done")
    await store.confirm("done")
    clock.now += 599
    assert await store.claim("died") is Claim.RUNNING
    clock.now += 1
    assert await store.claim("died") is Claim.NEW
    clock.now += 172_800 - 600 - 1
    assert await store.claim("done") is Claim.DONE
    clock.now += 1
    assert await store.claim("done") is Claim.NEW


async def test_what_is_confirmed_twice_counts_from_the_second_time() -> None:
    store, clock = memory(ttl=100)
    await store.confirm("a")
    clock.now += 50
    await store.confirm("b")
    clock.now += 40
    await store.confirm("a")
    clock.now += 60
    assert await store.claim("b") is Claim.NEW
    assert await store.claim("a") is Claim.DONE


async def test_what_was_handled_after_its_lease_counts_as_handled() -> None:
    store, clock = memory(lease=10)
    await store.claim("slow")
    clock.now += 11
    await store.confirm("slow")
    assert await store.claim("slow") is Claim.DONE


async def test_a_claim_that_was_lost_frees_nothing() -> None:
    store, clock = memory(lease=10)
    assert await store.claim("a")  # by somebody slow
    clock.now += 11
    assert await store.claim("a") is Claim.NEW  # by somebody else
    await store.release("a")
    assert await store.claim("a") is Claim.RUNNING
    await store.release("a")
    assert await store.claim("a") is Claim.NEW


async def test_a_handler_that_outlasts_its_lease_and_fails_leaves_the_next_one_alone() -> None:
    store, clock = memory(lease=10)

    async def slow() -> None:
        async with handled_once(store, "a"):
            clock.now += 11
            await store.claim("a")  # its repetition
            raise ValueError("slow")

    with pytest.raises(ValueError, match="slow"):
        await slow()
    assert await store.claim("a") is Claim.RUNNING
    await store.confirm("a")
    assert await store.claim("a") is Claim.DONE


def test_one_store_serves_several_event_loops_and_threads() -> None:
    store, handled, barrier = MemoryDedupeStore(), list[str](), threading.Barrier(4)

    async def work() -> None:
        for number in range(300):
            async with handled_once(store, str(number)) as claim:
                await anyio.lowlevel.checkpoint()
                if claim:
                    handled.append(str(number))

    def run(backend: str) -> None:
        barrier.wait()
        anyio.run(work, backend=backend)

    threads = [threading.Thread(target=run, args=(backend,)) for backend in ("asyncio", "trio") * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(handled) == sorted(map(str, range(300)))
    assert len(store) == 300


async def test_memory_is_bounded_and_the_oldest_go_first(caplog: pytest.LogCaptureFixture) -> None:
    store, _ = memory(max_entries=3)
    for key in "abcde":
        await store.claim(key)
        await store.confirm(key)
    assert len(store) == 3
    assert [await store.claim(key) for key in "edc"] == [Claim.DONE] * 3
    assert await store.claim("a") is Claim.NEW
    assert len(store) == 3
    assert await store.claim("a") is Claim.RUNNING  # what is being handled goes last
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "max_entries" in warnings[0].getMessage()


async def test_what_has_expired_is_dropped() -> None:
    store, clock = memory(ttl=100, lease=10)
    for number in range(1_000):
        await store.claim(str(number))
        if number % 2:
            await store.confirm(str(number))
    assert len(store) == 1_000
    clock.now += 50
    await store.claim("x")
    assert len(store) == 501
    clock.now += 50
    await store.claim("y")
    assert len(store) == 1


@pytest.mark.parametrize(
    "options", [{"ttl": 0}, {"ttl": "1"}, {"lease": -1}, {"lease": float("inf")}, {"max_entries": 0}, {"ttl": None}]
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        MemoryDedupeStore(**options)


class Broken:
    """A store that fails where it is told to."""

    def __init__(self, *broken: str) -> None:
        self.calls: list[str] = []
        self._broken = broken

    async def claim(self, key: str) -> Claim:
        await self._called("claim")
        return Claim.NEW

    async def confirm(self, key: str) -> None:
        await self._called("confirm")

    async def release(self, key: str) -> None:
        await self._called("release")

    async def _called(self, name: str) -> None:
        await anyio.lowlevel.checkpoint()
        self.calls.append(name)
        if name in self._broken:
            raise OSError("the store is gone")


@on_every_backend
async def test_a_block_that_ends_well_was_handled() -> None:
    store, _ = memory()
    claims: list[Claim] = []
    for _ in range(3):
        async with handled_once(store, "a") as claim:
            claims.append(claim)
            async with handled_once(store, "a") as inner:
                claims.append(inner)
    assert claims == [Claim.NEW, Claim.RUNNING, Claim.DONE, Claim.DONE, Claim.DONE, Claim.DONE]


@on_every_backend
async def test_a_block_that_raises_gives_the_delivery_back() -> None:
    store, _ = memory()
    with pytest.raises(ValueError, match="mine"):
        async with handled_once(store, "a"):
            raise ValueError("mine")
    async with handled_once(store, "a") as claim:
        assert claim


@on_every_backend
async def test_a_block_that_had_nothing_to_do_takes_nothing_away() -> None:
    store, _ = memory()
    async with handled_once(store, "a") as first:
        assert first
        with pytest.raises(ValueError, match="mine"):
            async with handled_once(store, "a"):
                raise ValueError("mine")
        assert await store.claim("a") is Claim.RUNNING
    assert await store.claim("a") is Claim.DONE


@on_every_backend
async def test_a_block_that_is_cancelled_gives_the_delivery_back_although_that_has_to_wait() -> None:
    store = Broken()
    with anyio.CancelScope() as scope:
        async with handled_once(store, "a"):
            scope.cancel()
            await anyio.sleep_forever()
    assert store.calls == ["claim", "release"]


@on_every_backend
async def test_a_block_that_ends_well_in_a_cancelled_scope_was_handled_all_the_same() -> None:
    store = Broken()
    with anyio.CancelScope() as scope:
        async with handled_once(store, "a"):
            scope.cancel()
    assert store.calls == ["claim", "confirm"]


async def test_a_store_that_fails_after_the_handler_is_only_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    async with handled_once(Broken("confirm"), "k-1"):
        pass
    with pytest.raises(ValueError, match="mine"):
        async with handled_once(Broken("release"), "k-2"):
            raise ValueError("mine")
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "k-1" in caplog.records[0].getMessage()
    assert "k-2" in caplog.records[1].getMessage()


async def test_a_store_that_cannot_be_asked_fails_before_the_handler() -> None:
    with pytest.raises(OSError, match="the store is gone"):
        async with handled_once(Broken("claim"), "a"):
            pytest.fail("handled")


def test_a_store_that_does_not_answer_does_not_hold_the_handler_up(caplog: pytest.LogCaptureFixture) -> None:
    class Silent(Broken):
        async def confirm(self, key: str) -> None:
            await anyio.sleep_forever()

    async def main() -> None:
        async with handled_once(Silent(), "k-1"):
            pass

    trio_testing = pytest.importorskip("trio.testing")
    clock = trio_testing.MockClock(autojump_threshold=0)
    anyio.run(main, backend="trio", backend_options={"clock": clock})
    assert "did not answer for k-1" in caplog.text


async def test_of_many_at_once_one_handles() -> None:
    store: DedupeStore = MemoryDedupeStore()
    handled: list[int] = []

    async def deliver(number: int) -> None:
        async with handled_once(store, "a") as claim:
            await anyio.lowlevel.checkpoint()
            if claim:
                handled.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(deliver, number)
    assert len(handled) == 1


async def test_a_handler_is_called_until_it_succeeds_once() -> None:
    store = MemoryDedupeStore()
    attempts: list[int] = []

    async def deliver(handler: Callable[[int], None], number: int) -> bool:
        try:
            async with handled_once(store, "a") as claim:
                if claim:
                    handler(number)
                return claim is not Claim.RUNNING
        except ValueError:
            return False

    def handler(number: int) -> None:
        attempts.append(number)
        if number < 2:
            raise ValueError("not yet")

    answers = [await deliver(handler, number) for number in range(5)]
    assert (attempts, answers) == ([0, 1, 2], [False, False, True, True, True])
