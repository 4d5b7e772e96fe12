"""The delivery of webhooks: real HTTP from the sandbox's own event loop, repeated until it is accepted or given up.

Nothing here knows what a delivery says, or which platform it is from.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import anyio
import anyio.to_thread
import httpx

from dialogkit.testing.errors import SandboxError

_logger = logging.getLogger("dialogkit.testing")
_FACTOR: Final = 2
"""How much longer each pause is than the one before."""
_TOO_MANY: Final = 429
_ATTEMPTS: Final = 6
"""How many there are unless somebody says so."""
_LENGTH: Final = 10_000
_AT_ONCE: Final = 20
"""More only queue up at an app that is busy, and their waiting there counts towards the timeout."""
_LARGEST_ANSWER: Final = 64 * 1024
_IDLE: Final = 1.0
"""Seconds after which an idle connection is closed: sooner than servers do it, whose closing could cross a delivery."""
_PATIENCE: Final = 5.0


@dataclass(frozen=True)
class Attempt:
    """One try to deliver."""

    status: int | None
    """The HTTP status of the answer; None if there was none in time."""
    error: str | None
    """Why there was no answer."""
    seconds: float
    """How long it took."""
    due: float = 0.0
    """When it was due, in seconds after the first one was."""

    @property
    def accepted(self) -> bool:
        """Whether the answer was 200 to 299."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one endpoint, as it stood when you asked."""

    id: str
    """The same for all endpoints that get the event, and when it is repeated."""
    event: str
    """Name of the event."""
    url: str
    attempts: tuple[Attempt, ...]
    """What was tried so far, oldest first."""
    done: bool
    """Whether nothing more will be tried."""

    @property
    def accepted(self) -> bool:
        """Whether the endpoint has accepted it."""
        return bool(self.attempts) and self.attempts[-1].accepted


@dataclass(frozen=True)
class Persistence:
    """How long to wait for an answer, and how often to try."""

    timeout: float
    """Seconds within which the whole answer must come."""
    backoff: float
    """Seconds before the second attempt; each further pause is twice as long."""
    attempts: int
    """How many, at most."""
    slow_down: float | None = None
    """Seconds to wait after an answer of 429, where that is something else."""

    def __post_init__(self) -> None:
        if not (_is_number(self.timeout) and self.timeout > 0):
            raise ValueError(f"The timeout of webhooks must be a number of seconds above 0, not {self.timeout!r}.")
        if not (_is_number(self.backoff) and self.backoff >= 0):
            raise ValueError(f"The backoff of webhooks must be a number of seconds from 0 up, not {self.backoff!r}.")
        if not _is_count(self.attempts):
            raise ValueError(f"The attempts of webhooks must be a whole number from 1 up, not {self.attempts!r}.")

    def but(self, *, timeout: float | None, backoff: float | None, attempts: int | None) -> Persistence:
        """Return the same with changes; None changes nothing, but a backoff of one's own begins a schedule anew."""
        kept = self if backoff is None else Persistence(self.timeout, backoff, _ATTEMPTS)
        return replace(
            kept,
            timeout=kept.timeout if timeout is None else timeout,
            attempts=kept.attempts if attempts is None else attempts,
        )

    def pause(self, number: int, status: int | None) -> float:
        """Return how long to wait after the attempt of this number, from 1 up, was answered with `status`."""
        told_to_slow_down = status == _TOO_MANY and self.slow_down is not None
        return self.slow_down or 0.0 if told_to_slow_down else self.backoff * _FACTOR ** (number - 1)


@dataclass(frozen=True)
class Parcel:
    """What to deliver, and where."""

    id: str
    event: str
    url: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    persistence: Persistence


class _Shipment:
    """A parcel and what became of it."""

    def __init__(self, parcel: Parcel) -> None:
        self.parcel = parcel
        self.attempts: tuple[Attempt, ...] = ()
        self.done = False
        self.rests = False
        """Whether it waits for its next attempt."""
        self.task: asyncio.Task[None] | None = None

    def snapshot(self) -> Delivery:
        parcel = self.parcel
        return Delivery(parcel.id, parcel.event, parcel.url, self.attempts, self.done)


class Courier:
    """Delivers parcels while the sandbox runs, up to 20 at once and in no certain order, and keeps the newest 10,000.

    Pauses run with the monotonic clock, and `advance` puts the time forward: what one pause does not need of that, the
    next one gets. However far the time jumps, all that falls into the jump is delivered.

    All methods but `running` may be called from any thread.

    Args:
        on_attempt: Called after each attempt, in the sandbox's thread.

    """

    def __init__(self, on_attempt: Callable[[Delivery], None] | None = None) -> None:
        self._on_attempt = on_attempt
        self._changed = threading.Condition()
        self._shipments: dict[int, _Shipment] = {}
        self._open: set[_Shipment] = set()
        self._sent = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread: int | None = None
        self._client: httpx.AsyncClient | None = None
        self._slots: asyncio.Semaphore
        self._advanced = 0.0
        self._moved = asyncio.Event()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Deliver in the running event loop. At the end, what is under way is cancelled."""
        self._slots = asyncio.Semaphore(_AT_ONCE)
        with self._changed:
            self._loop, self._loop_thread = asyncio.get_running_loop(), threading.get_ident()
        try:
            yield
        finally:
            with self._changed:
                self._loop = self._loop_thread = None
                tasks = [each.task for each in self._open if each.task is not None]
                client, self._client = self._client, None
                self._abandon()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if client is not None:
                await client.aclose()

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """What was sent since the last `clear`, oldest first."""
        with self._changed:
            return tuple(each.snapshot() for each in self._shipments.values())

    def prepare(self) -> bool:
        """Get ready to send; return False if that cannot be done, since the sandbox does not run.

        It takes a while, since httpx reads certificates: so whoever registers does it, not the event loop.
        """
        with self._changed:
            if self._loop is None:
                return False
            if self._client is None:
                # A proxy that the environment names has no way to an app on this machine.
                limits = httpx.Limits(max_connections=None, max_keepalive_connections=_AT_ONCE, keepalive_expiry=_IDLE)
                self._client = httpx.AsyncClient(timeout=None, limits=limits, trust_env=False)  # noqa: S113 - _attempt
            return True

    def send(self, *parcels: Parcel) -> bool:
        """Deliver parcels; return False if that cannot be done, since the sandbox does not run."""
        with self._changed:
            if self._loop is None or not self.prepare():
                return False
            for parcel in parcels:
                shipment = _Shipment(parcel)
                self._sent += 1
                self._shipments[self._sent] = shipment
                self._open.add(shipment)
                if len(self._shipments) > _LENGTH:
                    del self._shipments[next(iter(self._shipments))]
                # Not in the caller's context: in that of a trio task, anyio would take this loop for trio's.
                self._loop.call_soon_threadsafe(self._start, shipment, context=contextvars.Context())
            return True

    def parcels(self, id_: str) -> list[Parcel]:
        """Return what was sent under an id, each parcel once."""
        with self._changed:
            found = {id(each.parcel): each.parcel for each in self._shipments.values() if each.parcel.id == id_}
        return list(found.values())

    def advance(self, seconds: float) -> None:
        """Put the time forward by which repetitions are due."""
        with self._changed:
            self._advanced += seconds
            for shipment in self._open:  # which may be due now: nobody should think that it rests
                shipment.rests = False
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def wait(self, timeout: float, *, repeats: bool = True, given_up: threading.Event | None = None) -> None:
        """Wait until all is delivered or given up.

        Args:
            timeout: Seconds to wait.
            repeats: Whether to wait for repetitions that are not due yet, too.
            given_up: Ends the waiting when it is set, followed by `wake`.

        Raises:
            TimeoutError: Something is still under way or due.

        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._idle(repeats) or (given_up and given_up.is_set()), timeout):
                left = [each.snapshot() for each in self._shipments.values() if each in self._open]
                raise TimeoutError(_unfinished(left, timeout))

    def _idle(self, repeats: bool) -> bool:
        return not self._open if repeats else all(each.rests for each in self._open)

    async def settled(self, timeout: float, *, repeats: bool = True) -> None:  # noqa: ASYNC109 - the same as in wait()
        """Do as `wait`, without holding up the event loop of whoever calls."""
        given_up = threading.Event()
        try:
            wait = partial(self.wait, timeout, repeats=repeats, given_up=given_up)
            await anyio.to_thread.run_sync(wait, abandon_on_cancel=True)
        finally:
            with self._changed:
                given_up.set()
                self._changed.notify_all()

    def clear(self) -> None:
        """Forget everything; what is under way is cancelled before this returns."""
        with self._changed:
            self._shipments.clear()
            if self._loop is None:
                return
            for shipment in self._open:
                self._loop.call_soon_threadsafe(self._cancel, shipment)
            if threading.get_ident() != self._loop_thread and not self._changed.wait_for(
                lambda: not self._open, _PATIENCE
            ):
                raise SandboxError("The webhooks that were under way could not be cancelled: the sandbox is blocked.")

    def _start(self, shipment: _Shipment) -> None:
        if shipment in self._open:
            shipment.task = asyncio.create_task(self._deliver(shipment))
            shipment.task.add_done_callback(lambda _: self._end(shipment))

    def _cancel(self, shipment: _Shipment) -> None:
        if shipment.task is not None:
            shipment.task.cancel()

    def _end(self, shipment: _Shipment) -> None:
        with self._changed:
            shipment.done = True
            self._open.discard(shipment)
            self._changed.notify_all()

    def _abandon(self) -> None:
        for shipment in self._open:
            shipment.done = True
        self._open.clear()
        self._changed.notify_all()

    async def _deliver(self, shipment: _Shipment) -> None:
        persistence, due, used = shipment.parcel.persistence, 0.0, self._advanced
        for number in range(1, persistence.attempts + 1):
            attempt = replace(await self._attempt(shipment.parcel), due=due)
            last = attempt.accepted or number == persistence.attempts
            with self._changed:
                shipment.attempts = (*shipment.attempts, attempt)
                shipment.done = last
                delivery = shipment.snapshot()
            self._tell(delivery)
            if last:
                return
            pause = persistence.pause(number, attempt.status)
            used += await self._pause(shipment, pause, used)
            due += pause

    async def _pause(self, shipment: _Shipment, seconds: float, used: float) -> float:
        """Wait for so long, or less if the time is put forward meanwhile, or was further than earlier pauses have used.

        Returns:
            What was used of the time that was put forward.

        """
        began = time.monotonic()
        while True:
            with self._changed:
                moved, ahead = self._moved, self._advanced - used
                left = seconds - (time.monotonic() - began)
                shipment.rests = left > ahead
                self._changed.notify_all()
            if not shipment.rests:
                return max(0.0, left)
            with anyio.move_on_after(left - ahead):
                await moved.wait()

    async def _attempt(self, parcel: Parcel) -> Attempt:
        status: int | None = None
        error: str | None = None
        timeout = parcel.persistence.timeout
        async with self._slots:
            started = time.perf_counter()
            with anyio.move_on_after(timeout) as scope:
                try:
                    status = await self._post(parcel)
                except Exception as exc:  # noqa: BLE001 - whatever it was, it was not delivered
                    error = f"{type(exc).__name__}: {exc}"
            if scope.cancelled_caught:
                error = f"no answer within {timeout:g} s"
            return Attempt(status, error, time.perf_counter() - started)

    async def _post(self, parcel: Parcel) -> int:
        client = self._client
        if client is None:
            raise RuntimeError("a webhook was to be sent before all was prepared")
        async with client.stream("POST", parcel.url, content=parcel.body, headers=parcel.headers) as answer:
            read = 0
            async for chunk in answer.aiter_raw():
                read += len(chunk)
                if read > _LARGEST_ANSWER:
                    break
            return answer.status_code

    def _tell(self, delivery: Delivery) -> None:
        if self._on_attempt is None:
            return
        try:
            self._on_attempt(delivery)
        except Exception:
            _logger.exception("The sandbox's on_delivery failed.")


def _unfinished(left: list[Delivery], timeout: float) -> str:
    shown = "; ".join(_state(each) for each in left[:3]) + ("; and more" if len(left) > 3 else "")
    repeated = any(each.attempts for each in left)
    advice = " Let time pass for what is repeated later: sandbox.advance(seconds)." if repeated else ""
    return f"After {timeout:g} s, {len(left)} webhooks are not delivered yet: {shown}.{advice}"


def _state(delivery: Delivery) -> str:
    subject = f"{delivery.event} to {delivery.url}"
    if not delivery.attempts:
        return f"{subject}, not answered so far"
    last = delivery.attempts[-1]
    return f"{subject}, attempt {len(delivery.attempts)}: {last.error or last.status}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
