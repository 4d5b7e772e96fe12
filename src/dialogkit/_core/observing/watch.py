"""Everyone who looks on while calls are sent: the user's hooks and observers, the log, and OpenTelemetry.

An `Exchange` tells a `Watch` what happens, which tells the observers, and is never stopped by them: whoever looks on
may fail, and the call goes on. Only cancellation passes through, and `StopCall` from `on_request`. When nobody looks
on, an attempt costs a few comparisons.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Literal, cast

from dialogkit._core.call import Operation
from dialogkit._core.errors import ConfigurationError, DialogkitError, StopCall
from dialogkit._core.events import RateLimitEvent, RetryEvent
from dialogkit._core.http.transport import Answer, Request
from dialogkit._core.observing.hooks import HookObserver, Hooks
from dialogkit._core.observing.logs import LogObserver
from dialogkit._core.observing.observer import ABANDONED, AttemptInfo, Observer, note_answer
from dialogkit._core.observing.telemetry import Telemetry
from dialogkit._core.support.callbacks import FirstFault, Guarded

_MOMENTS: Final = ("on_request", "on_response", "on_body", "on_failure", "on_retry", "on_rate_limit")
_PASSING: Final[dict[str, tuple[type[Exception], ...]]] = {"on_request": (StopCall,)}


class _Member:
    """An observer, and how it is told of the moments that it listens to: so that its faults stay its own."""

    __slots__ = ("guards", "is_watching")

    def __init__(self, observer: Observer) -> None:
        is_own = isinstance(observer, HookObserver | LogObserver | Telemetry)
        prefix = "" if isinstance(observer, HookObserver) else f"{type(observer).__name__}."
        self.is_watching: Callable[[], bool] = observer.is_watching if is_own else _asking(observer, prefix)
        self.guards: dict[str, Guarded[...]] = {
            moment: Guarded(prefix + moment, getattr(observer, moment), passing=_PASSING.get(moment, ()))
            for moment in _MOMENTS
            if getattr(type(observer), moment) is not getattr(Observer, moment)
        }


def _asking(observer: Observer, prefix: str) -> Callable[[], bool]:
    """Return what asks an observer of the user's whether it is watching."""
    first_fault = FirstFault(prefix + "is_watching")

    def ask() -> bool:
        try:
            return observer.is_watching()
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is the observer's own
            first_fault.report(exc)
            return False

    return ask


async def _tell(members: Iterable[_Member], moment: str, *args: object) -> None:
    """Tell each member in turn, and wait for those that want to be awaited."""
    for member in members:
        guard = member.guards.get(moment)
        if guard is not None and (waiting := guard.start(*args)) is not None:
            await guard.finish(waiting)


def _mention(members: Iterable[_Member], moment: str, *args: object, **kwargs: object) -> None:
    """Tell each member, and wait for nobody: the call may be cancelled already."""
    for member in members:
        if (guard := member.guards.get(moment)) is not None:
            guard(*args, **kwargs)


class Watch:
    """Tells all who look on what happens to the calls of one client.

    Args:
        platform: As users write it.
        hooks: What the user wants to be told.
        observers: Who else wants to be told.
        clock: Seconds on a clock that never goes back.

    Raises:
        ConfigurationError: One of `observers` is none.
    """

    __slots__ = ("_members", "clock", "platform")

    def __init__(
        self,
        platform: str,
        hooks: Hooks,
        *,
        observers: Sequence[Observer] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        own = [HookObserver(hooks)] if hooks else []
        self.platform = platform
        self.clock = clock
        self._members = tuple(map(_Member, [*own, *_checked(observers), LogObserver(), Telemetry(platform, clock)]))

    async def sending(
        self, operation: Operation[Any], request: Request, *, attempt: int, location_id: str | None
    ) -> Attempt | None:
        """Tell that an attempt is about to be sent, and return what wants to hear how it ends, if anyone does.

        Args:
            operation: What is called.
            request: What is sent.
            attempt: 1 is the first.
            location_id: The location that the call concerns.

        Raises:
            StopCall: An observer says that it must not be sent.
        """
        members = [member for member in self._members if member.is_watching()]
        if not members:
            return None
        info = AttemptInfo(self.platform, operation, request, attempt=attempt, location_id=location_id)
        begun = Attempt(info, members, self.clock)
        await begun.begin()
        return begun

    @property
    def wanted(self) -> bool:
        """Whether anybody looks on at attempts."""
        for member in self._members:  # noqa: SIM110 - a generator costs more than all that it asks
            if member.is_watching():
                return True
        return False

    async def retrying(
        self,
        operation: Operation[Any],
        *,
        attempt: int,
        location_id: str | None,
        error: DialogkitError,
        delay: float,
    ) -> None:
        """Tell that an attempt failed and the call will be sent again.

        Args:
            operation: What is called.
            attempt: The attempt that failed.
            location_id: The location that the call concerns.
            error: What it ended with.
            delay: Seconds until the next attempt.
        """
        facts = self._facts(operation, attempt, location_id)
        await _tell(reversed(self._members), "on_retry", RetryEvent(**facts, error=error, delay=delay))

    async def held_back(
        self,
        operation: Operation[Any],
        *,
        attempt: int,
        location_id: str | None,
        reason: Literal["waited", "refused"],
        seconds: float | None,
    ) -> None:
        """Tell that a rate limit held a call back.

        Args:
            operation: What is called.
            attempt: The attempt that waited or was refused.
            location_id: The location that the call concerns.
            reason: `waited` for the client's own limiter, or `refused` by the platform.
            seconds: How long it waited, or is asked to wait if the platform said so.
        """
        facts = self._facts(operation, attempt, location_id)
        await _tell(reversed(self._members), "on_rate_limit", RateLimitEvent(**facts, reason=reason, seconds=seconds))

    def _facts(self, operation: Operation[Any], attempt: int, location_id: str | None) -> dict[str, Any]:
        return {
            "platform": self.platform,
            "operation": operation.id,
            "method": operation.method,
            "path": operation.path,
            "location_id": location_id,
            "attempt": attempt,
        }


class Attempt:
    """One attempt on its way, while somebody looks on. It ends once: answered, failed or abandoned.

    Args:
        info: What observers see of it.
        members: Who looks on, in the order in which they hear of its beginning.
        clock: Seconds on a clock that never goes back.
    """

    __slots__ = ("_clock", "_info", "_members", "_over", "_started")

    def __init__(self, info: AttemptInfo, members: list[_Member], clock: Callable[[], float]) -> None:
        self._info = info
        self._members = members
        self._clock = clock
        self._started = clock()
        self._over = False

    async def begin(self) -> None:
        """Tell that it is about to be sent.

        Raises:
            StopCall: An observer says that it must not be; those who were told of it are told of its end.
        """
        everybody, self._members = self._members, list[_Member]()
        try:
            for member in everybody:
                self._members.append(member)
                await _tell((member,), "on_request", self._info)
        except BaseException:
            self.abandoned()
            raise
        self._started = self._clock()  # observers' time is not the platform's

    async def answered(self, answer: Answer, request_id: str | None) -> None:
        """Tell that status line and headers have come.

        Args:
            answer: Its body need not be there.
            request_id: The platform's id of the request, if the headers tell one.
        """
        self._end()
        note_answer(self._info, answer, request_id)
        await _tell(reversed(self._members), "on_response", self._info)

    def failed(self, reason: str, *, timed_out: bool) -> None:
        """Tell that no answer came, or that its body broke off after it had begun.

        Args:
            reason: What happened, as a clause.
            timed_out: Whether it took too long.
        """
        self._end()
        _mention(reversed(self._members), "on_failure", self._info, reason, timed_out=timed_out)

    def abandoned(self) -> None:
        """Tell that nobody waits any more: the call was cancelled, or something else went wrong.

        Does nothing when the attempt has ended already, so that it may be told in passing.
        """
        if not self._over:
            self.failed(ABANDONED, timed_out=False)

    def body(self, content: bytes) -> None:
        """Tell that the answer's body was read."""
        _mention(reversed(self._members), "on_body", self._info, content)

    def _end(self) -> None:
        self._over = True
        self._info.elapsed = self._clock() - self._started


def _checked(observers: Sequence[Observer]) -> Sequence[Observer]:
    given = cast("object", observers)
    if not isinstance(given, Sequence) or not all(
        isinstance(each, Observer) for each in cast("Sequence[object]", given)
    ):
        raise ConfigurationError("observers takes a list of objects whose classes are made of dialogkit.Observer")
    return observers
