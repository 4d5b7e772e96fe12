"""Platforms deliver at least once; a `DedupeStore` makes that handled once.

A claim is for a while only (its lease), so that a process that dies while it handles an event does not take the event
with it: the platform delivers again, and whoever gets it then handles it. What was handled is remembered for longer
than platforms repeat.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import Enum
from typing import Final, Protocol

import anyio

from dialogkit._core.errors import ConfigurationError
from dialogkit._core.support.callbacks import logger
from dialogkit._core.support.checks import is_count, is_positive

DEFAULT_TTL: Final = 604_800.0
"""Seven days: platforms repeat for up to three, and a delivery may be as old as that; see `verifier.py`."""
DEFAULT_LEASE: Final = 600.0
_CLEANUP: Final = 10.0
"""Seconds for telling the store what has become of an event, also when its handler was cancelled."""


class Claim(Enum):
    """Whose a delivery is. Only `NEW` is true."""

    NEW = "new"
    """Yours: handle it, then `confirm` or `release` it."""
    RUNNING = "running"
    """Somebody is at it, and may fail. Let the platform deliver it again later: answer 409, not 200."""
    DONE = "done"
    """It was handled. Answer 200 and do nothing."""

    def __bool__(self) -> bool:
        return self is Claim.NEW


class DedupeStore(Protocol):
    """Remembers which deliveries were handled. Whatever has these three methods can be one.

    Keys are those of `WebhookDelivery.key`: printable ASCII of up to 200 characters.
    """

    async def claim(self, key: str) -> Claim:
        """Take a delivery for a while, if nobody has it and it was not handled; in one step."""
        ...

    async def confirm(self, key: str) -> None:
        """Remember that a claimed delivery was handled."""
        ...

    async def release(self, key: str) -> None:
        """Give a claimed delivery back, so that its repetition is handled."""
        ...


@asynccontextmanager
async def handled_once(store: DedupeStore, key: str) -> AsyncGenerator[Claim]:
    """Claim a delivery for the time of a block, in which it is handled if the claim is true.

    ::

        async with handled_once(store, delivery.key) as claim:
            if claim:
                await handle(delivery.event)

    At the block's end the delivery counts as handled. When the block raises, or is cancelled, the claim is released,
    so that the platform's repetition is handled.

    Args:
        store: Where claims are kept.
        key: The delivery's key.

    Raises:
        DialogkitError: The store cannot be asked. Answer with a 5xx, and the platform delivers again.
    """
    claim = await store.claim(key)
    if not claim:
        yield claim
        return
    try:
        yield claim
    except BaseException:
        await _tell(store.release, key, "it is free again only when its lease is over")
        raise
    await _tell(store.confirm, key, "it would be handled again when its lease is over")


async def _tell(tell: Callable[[str], Awaitable[None]], key: str, consequence: str) -> None:
    """Tell the store, and only warn if that fails: the event was handled, or its own error is on the way up."""
    with anyio.move_on_after(_CLEANUP, shield=True) as scope:
        try:
            await tell(key)
        except Exception as exc:  # noqa: BLE001 - a store of the user's may raise anything
            logger.warning("The dedupe store failed for %s (%r): %s", key, exc, consequence)
    if scope.cancelled_caught:
        logger.warning("The dedupe store did not answer for %s: %s", key, consequence)


class MemoryDedupeStore:
    """Remembers deliveries in this process, for one event loop. It forgets everything when the process ends.

    Args:
        ttl: Seconds for which a handled delivery is remembered; more than the three days for which platforms repeat.
        lease: Seconds after which a claim that was neither confirmed nor released is free again; more than any
            handler takes.
        max_entries: How many deliveries are remembered at most; the oldest are forgotten first, with a warning.
        clock: Returns seconds that never run backwards.

    Raises:
        ConfigurationError: An argument makes no sense.
    """

    def __init__(
        self,
        *,
        ttl: float = DEFAULT_TTL,
        lease: float = DEFAULT_LEASE,
        max_entries: int = 100_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_times(ttl, lease)
        if not is_count(max_entries):
            raise ConfigurationError(f"max_entries must be a whole number from 1 up, not {max_entries!r}")
        self._ttl = ttl
        self._lease = lease
        self._max_entries = max_entries
        self._clock = clock
        # In the order in which they expire: what is claimed expires sooner than what is handled.
        self._running: OrderedDict[str, float] = OrderedDict()
        self._done: OrderedDict[str, float] = OrderedDict()
        self._warned = False

    async def claim(self, key: str) -> Claim:
        """Take a delivery for the time of the lease, if nobody has it and it was not handled."""
        now = self._clock()
        self._forget(now)
        if key in self._done:
            return Claim.DONE
        if key in self._running:
            return Claim.RUNNING
        self._running[key] = now + self._lease
        self._make_room()
        return Claim.NEW

    async def confirm(self, key: str) -> None:
        """Remember that a delivery was handled."""
        now = self._clock()
        self._forget(now)
        self._running.pop(key, None)
        self._done.pop(key, None)
        self._done[key] = now + self._ttl
        self._make_room()

    async def release(self, key: str) -> None:
        """Give a claimed delivery back. What was handled stays so."""
        self._running.pop(key, None)

    def __len__(self) -> int:
        return len(self._running) + len(self._done)

    def __repr__(self) -> str:
        return f"<MemoryDedupeStore of {len(self)} deliveries>"

    def _forget(self, now: float) -> None:
        for entries in (self._running, self._done):
            while entries and next(iter(entries.values())) <= now:
                entries.popitem(last=False)

    def _make_room(self) -> None:
        while len(self) > self._max_entries:
            (self._done or self._running).popitem(last=False)
            if not self._warned:
                self._warned = True
                logger.warning(
                    "The dedupe store holds %d deliveries and forgets the oldest before their time, so that a late "
                    "repetition would be handled again: give it more max_entries",
                    self._max_entries,
                )


def check_times(ttl: object, lease: object) -> None:
    """Raise `ConfigurationError` unless both are numbers of seconds."""
    for name, value in (("ttl", ttl), ("lease", lease)):
        if not is_positive(value) or value == float("inf"):
            raise ConfigurationError(f"{name} must be a positive number of seconds, not {value!r}")
