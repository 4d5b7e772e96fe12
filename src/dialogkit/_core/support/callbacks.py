"""Callbacks of users, called so that their faults stay theirs."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, ParamSpec

P = ParamSpec("P")

logger = logging.getLogger("dialogkit")


class FirstFault:
    """Logs the first fault of something that calls can do without, and leaves it at that."""

    __slots__ = ("_known", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._known = False

    def report(self, fault: Exception) -> None:
        """Log `fault`, unless there has been one before."""
        if not self._known:
            self._known = True
            logger.error("%s failed; the call goes on without it", self._name, exc_info=fault)


class Guarded(Generic[P]):
    """A user's callback: when it fails, that is logged once, and the call that it watches goes on.

    Args:
        name: What to call it in the log.
        callback: The callback.
        passing: What it may raise on purpose; that passes through.
    """

    __slots__ = ("_callback", "_first_fault", "_passing")

    def __init__(self, name: str, callback: Callable[P, object], *, passing: tuple[type[Exception], ...] = ()) -> None:
        self._callback = callback
        self._first_fault = FirstFault(name)
        self._passing = passing

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call the callback; whatever it returns is dropped."""
        self.start(*args, **kwargs)

    async def run(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call the callback, and await what it returns if that can be awaited.

        It runs in the caller's task. Cancellation is nobody's fault and passes through.
        """
        waiting = self.start(*args, **kwargs)
        if waiting is not None:
            await self.finish(waiting)

    def start(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[object] | None:
        """Call the callback, and return what it returns if that can be awaited: `finish` does."""
        try:
            result = self._callback(*args, **kwargs)
        except self._passing:
            raise
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is the callback's own
            self._first_fault.report(exc)
            return None
        return result if result is not None and inspect.isawaitable(result) else None

    async def finish(self, waiting: Awaitable[object]) -> None:
        """Await what `start` has returned."""
        try:
            await waiting
        except self._passing:
            raise
        except Exception as exc:  # noqa: BLE001 - as above
            self._first_fault.report(exc)
