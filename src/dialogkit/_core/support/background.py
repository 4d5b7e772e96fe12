"""Work that goes on when whoever began it has left: been cancelled, or run out of time.

Event loops do not know each other, and each thread may have one. An `anyio.Event` belongs to the loop where it is
awaited, so a `Signal` keeps one for each waiter and wakes it in the waiter's own loop. Work is done in the loop that
began it; waiters of other loops look now and then whether that loop still runs, for one that was stopped with work in
it tells nobody.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

import anyio

T = TypeVar("T")

_LOOK: Final = 1.0
"""Seconds between looks whether the loop of the work still runs."""
_running: Final[set[asyncio.Task[None]]] = set()
"""Event loops hold their tasks weakly."""


def current_loop() -> object:
    """Return the running asyncio loop, or the token of the running trio loop."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        import trio  # noqa: PLC0415 - it is running, as asyncio is not

        return trio.lowlevel.current_trio_token()


def loop_or_none() -> object:
    """Return the running asyncio loop, the token of the running trio loop, or `None`."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return _trio_token()


def _trio_token() -> object:
    if "trio" not in sys.modules:
        return None
    import trio  # noqa: PLC0415 - it is loaded

    try:
        return trio.lowlevel.current_trio_token()
    except RuntimeError:
        return None


def call_in(loop: object, function: Callable[[], object]) -> bool:
    """Let `loop` call `function` soon, from whatever thread; return `False` if that loop has ended."""
    try:
        if isinstance(loop, asyncio.AbstractEventLoop):
            loop.call_soon_threadsafe(function)
        else:
            loop.run_sync_soon(function)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    except RuntimeError:  # asyncio's own, and the base of trio's
        return False
    return True


def still_runs(loop: object) -> bool:
    """Say whether `loop`, which may be another thread's, runs at present."""
    if isinstance(loop, asyncio.AbstractEventLoop):
        return loop.is_running()
    return call_in(loop, lambda: None)


class Signal:
    """An event that any thread can set, and any event loop can wait for. It is set once."""

    __slots__ = ("_guard", "_waiting", "is_set")

    def __init__(self) -> None:
        self.is_set = False
        self._guard = threading.Lock()  # never held for longer than it takes to add or remove a waiter
        self._waiting: dict[anyio.Event, object] = {}

    def set(self) -> None:
        """Wake all who wait."""
        with self._guard:
            self.is_set = True
            waiting, self._waiting = self._waiting, {}
        here = loop_or_none()
        for event, loop in waiting.items():
            if loop is here:
                event.set()
            else:
                call_in(loop, event.set)

    async def wait(self) -> None:
        """Wait until it is set."""
        event = anyio.Event()
        with self._guard:
            if self.is_set:
                event.set()
            else:
                self._waiting[event] = current_loop()
        try:
            await event.wait()
        finally:
            with self._guard:
                self._waiting.pop(event, None)


class Detached(Generic[T]):
    """Work in no one's scope, in the present event loop. Any number of callers can wait for it, in any loop.

    It ends early only with the event loop: under asyncio it is cancelled then, under trio it may shield itself.

    Args:
        work: What is to be done.
    """

    __slots__ = ("_done", "_error", "_home", "_result", "_work")

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._work = work
        self._done = Signal()
        self._result: list[T] = []
        self._error: Exception | None = None
        self._home = current_loop()
        if isinstance(self._home, asyncio.AbstractEventLoop):
            task = self._home.create_task(self._run())
            _running.add(task)
            task.add_done_callback(_running.discard)
        else:
            import trio  # noqa: PLC0415 - it is running

            trio.lowlevel.spawn_system_task(self._run, context=contextvars.copy_context())

    @property
    def is_under_way(self) -> bool:
        """Whether it is being done, so that one can wait for it."""
        return not self._done.is_set and (self._home is current_loop() or still_runs(self._home))

    async def result(self) -> T:
        """Wait for the result. Whoever leaves does not disturb the work.

        Raises:
            CancelledWorkError: The event loop that did the work ended before it was done.
            Exception: What the work has raised; only one may ask then.
        """
        if self._home is current_loop():
            await self._done.wait()
        while not self._done.is_set:
            with anyio.move_on_after(_LOOK):
                await self._done.wait()
            if not still_runs(self._home):
                break
        if self._error is not None:
            raise self._error
        if not self._result:
            raise CancelledWorkError
        return self._result[0]

    async def _run(self) -> None:
        try:
            self._result.append(await self._work())
        except Exception as exc:  # noqa: BLE001 - it is raised where the result is waited for
            self._error = exc
        finally:
            self._done.set()


class CancelledWorkError(Exception):
    """The event loop ended before the work did."""
