"""Things that are awaited once, and that asyncio takes wherever it wants a coroutine: for a task or a group."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Coroutine, Generator
from types import SimpleNamespace, TracebackType
from typing import Any, Final, NoReturn, TypeVar

T = TypeVar("T")

_NOT_BEGUN: Final = SimpleNamespace(f_lasti=-1)
"""What stands for the frame of a coroutine that has not begun, as far as `inspect` looks at it."""


class AwaitedOnce(Coroutine[Any, Any, T]):
    """A coroutine that begins with the first await, so that it may also never begin, and be used in other ways."""

    __slots__ = ("_awaited", "_running")

    def __init__(self) -> None:
        self._awaited = False
        self._running: Coroutine[Any, Any, T] | None = None

    @abstractmethod
    def _begin(self) -> Coroutine[Any, Any, T]:
        """Return what is awaited."""

    @abstractmethod
    def _again(self) -> str:
        """Say what to do instead of awaiting a second time."""

    def __await__(self) -> Generator[Any, Any, T]:
        return self._once().__await__()

    def send(self, value: Any, /) -> Any:
        """Go on until the next suspension; asyncio calls it."""
        return self._started().send(value)

    def throw(self, kind: Any, value: BaseException | object = None, trace: TracebackType | None = None, /) -> Any:
        """Go on with an exception, such as a cancellation; asyncio calls it."""
        error = kind if isinstance(kind, BaseException) else value if isinstance(value, BaseException) else kind()
        return self._started().throw(error.with_traceback(trace) if trace is not None else error)

    # By these, `inspect` and with it anyio see how far a coroutine is.

    @property
    def cr_running(self) -> bool:
        """Whether it runs at this moment."""
        return bool(getattr(self._running, "cr_running", False))

    @property
    def cr_suspended(self) -> bool:
        """Whether it has begun, and waits."""
        return bool(getattr(self._running, "cr_suspended", False))

    @property
    def cr_frame(self) -> Any:
        """Where it is, `None` when it has ended."""
        return _NOT_BEGUN if self._running is None else getattr(self._running, "cr_frame", None)

    def close(self) -> None:
        """End it early; it cannot be awaited any more."""
        self._awaited = True
        if self._running is not None:
            self._running.close()

    def _started(self) -> Coroutine[Any, Any, T]:
        if self._running is None:
            self._running = self._once()
        return self._running

    def _once(self) -> Coroutine[Any, Any, T]:
        if self._awaited:
            raise RuntimeError(f"{self!r} was awaited already: {self._again()}")
        self._awaited = True
        return self._begin()


def refuses(advice: str) -> Callable[..., NoReturn]:
    """Make a special method for a wrong use, which Python would refuse with less advice."""

    def refuse(*_: object) -> NoReturn:
        raise TypeError(advice)

    return refuse
