"""Platforms deliver at least once; a `DedupeStore` makes that handled once.

A claim is for a while only (its lease), so that a process that dies while it handles an event does not take the event
with it: the platform delivers again, and whoever gets it then handles it. What was handled is remembered for longer
than platforms repeat.

A handler that outlasts its lease may see its delivery claimed anew. Its claim is then no longer the delivery's, and to
give it back frees nothing: each claim has a token, and only the newest one's holds the delivery. A store knows claims
by their delivery's key, so where several of one delivery are open in it, the oldest ends first (`OpenClaims`).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import Enum
from typing import Final, Generic, Protocol, TypeVar

import anyio

from dialogkit._core.errors import ConfigurationError
from dialogkit._core.support.callbacks import logger
from dialogkit._core.support.checks import is_count, is_positive

TokenT = TypeVar("TokenT")

DEFAULT_TTL: Final = 604_800.0
"""Seven days: platforms repeat for up to three, and a delivery may be as old as that; see `verifier.py`."""
DEFAULT_LEASE: Final = 600.0
_MOST_OF_ONE: Final = 8
"""Claims of one delivery that are open at once: each needs a handler that outlasted its lease."""
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
        """Give a claimed delivery back, so that its repetition is handled. A claim of somebody else's stays."""
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


class OpenClaims(Generic[TokenT]):
    """The claims that one store has given out and that have not ended, by the keys of their deliveries.

    Args:
        most: How many are remembered; claims that nobody confirms or gives back end with their lease, and need not be
            remembered for ever.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._tokens: OrderedDict[str, deque[TokenT]] = OrderedDict()

    def begin(self, key: str, token: TokenT) -> None:
        """Remember a claim."""
        self._tokens.setdefault(key, deque(maxlen=_MOST_OF_ONE)).append(token)
        while len(self._tokens) > self._most:
            self._tokens.popitem(last=False)

    def end(self, key: str) -> TokenT | None:
        """Forget the oldest claim of a delivery, and return its token; `None` if there is none."""
        tokens = self._tokens.get(key)
        if tokens is None:
            return None
        token = tokens.popleft()
        if not tokens:
            del self._tokens[key]
        return token

    def __len__(self) -> int:
        return len(self._tokens)


class MemoryDedupeStore:
    """Remembers deliveries in this process, for any number of event loops and threads.

    It forgets everything when the process ends.

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
        self._running: OrderedDict[str, tuple[float, object]] = OrderedDict()
        self._done: OrderedDict[str, float] = OrderedDict()
        self._claims = OpenClaims[object](max_entries)
        self._lock = threading.Lock()
        self._warned = False

    async def claim(self, key: str) -> Claim:
        """Take a delivery for the time of the lease, if nobody has it and it was not handled."""
        with self._lock:
            now = self._clock()
            self._forget(now)
            if key in self._done:
                return Claim.DONE
            if key in self._running:
                return Claim.RUNNING
            token = object()
            self._running[key] = (now + self._lease, token)
            self._claims.begin(key, token)
            self._make_room()
            return Claim.NEW

    async def confirm(self, key: str) -> None:
        """Remember that a delivery was handled."""
        with self._lock:
            now = self._clock()
            self._forget(now)
            self._claims.end(key)
            self._running.pop(key, None)
            self._done.pop(key, None)
            self._done[key] = now + self._ttl
            self._make_room()

    async def release(self, key: str) -> None:
        """Give a claimed delivery back. What was handled, or claimed by others since its lease was over, stays so."""
        with self._lock:
            token = self._claims.end(key)
            if token is not None and self._running.get(key, (0.0, None))[1] is token:
                del self._running[key]

    def __len__(self) -> int:
        return len(self._running) + len(self._done)

    def __repr__(self) -> str:
        return f"<MemoryDedupeStore of {len(self)} deliveries>"

    def _forget(self, now: float) -> None:
        while self._running and next(iter(self._running.values()))[0] <= now:
            self._running.popitem(last=False)
        while self._done and next(iter(self._done.values())) <= now:
            self._done.popitem(last=False)

    def _make_room(self) -> None:
        while len(self) > self._max_entries:
            if self._done:
                self._done.popitem(last=False)
            else:
                self._running.popitem(last=False)
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
