"""Work that goes on when whoever began it has left: been cancelled, or run out of time."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

import anyio

T = TypeVar("T")

_running: Final[set[asyncio.Task[None]]] = set()
"""Event loops hold their tasks weakly."""


def current_loop() -> object:
    """Return the running asyncio loop, or the token of the running trio loop."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        import trio  # noqa: PLC0415 - it is running, as asyncio is not

        return trio.lowlevel.current_trio_token()


class Detached(Generic[T]):
    """Work in no one's scope, in the present event loop. Any number of callers can wait for it.

    It ends early only with the event loop: under asyncio it is cancelled then, under trio it may shield itself.

    Args:
        work: What is to be done.
    """

    __slots__ = ("_done", "_error", "_home", "_result", "_work")

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._work = work
        self._done = anyio.Event()
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
        """Whether it is being done in the present event loop, so that one can wait for it."""
        return not self._done.is_set() and self._home is current_loop()

    async def result(self) -> T:
        """Wait for the result. Whoever leaves does not disturb the work.

        Raises:
            CancelledWorkError: The event loop ended before the work did.
            Exception: What the work has raised; only one may ask then.
        """
        await self._done.wait()
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
