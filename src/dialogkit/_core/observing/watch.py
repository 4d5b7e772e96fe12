"""Everyone who looks on while calls are sent: the user's hooks, the log, and OpenTelemetry.

An `Exchange` tells a `Watch` what happens, and is never stopped by it: whoever looks on may fail, and the call goes on.
Only cancellation passes through. When nobody looks on, an attempt costs a few comparisons.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from dialogkit._core.call import Operation
from dialogkit._core.errors import ConfigurationError, DialogkitError
from dialogkit._core.events import (
    RateLimitEvent,
    RateLimitHook,
    RequestEvent,
    RequestHook,
    ResponseEvent,
    ResponseHook,
    RetryEvent,
    RetryHook,
)
from dialogkit._core.http.transport import Answer, Request
from dialogkit._core.observing import logs
from dialogkit._core.observing.telemetry import Measured, Telemetry
from dialogkit._core.support.callbacks import Guarded
from dialogkit._core.support.printing import blotted


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What users want to be told.

    Raises:
        ConfigurationError: A hook cannot be called.
    """

    on_request: RequestHook | None = None
    on_response: ResponseHook | None = None
    on_retry: RetryHook | None = None
    on_rate_limit: RateLimitHook | None = None

    def __post_init__(self) -> None:
        for name in (each.name for each in fields(self)):
            hook = getattr(self, name)
            if hook is not None and not callable(hook):
                raise ConfigurationError(f"{name} takes a function or another callable, not {type(hook).__name__}")


class Watch:
    """Tells all who look on what happens to the calls of one client.

    Args:
        platform: As users write it.
        hooks: What the user wants to be told.
        clock: Seconds on a clock that never goes back.
    """

    __slots__ = (
        "_on_rate_limit",
        "_on_request",
        "_on_response",
        "_on_retry",
        "_told",
        "clock",
        "platform",
        "telemetry",
    )

    def __init__(self, platform: str, hooks: Hooks, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.platform = platform
        self.clock = clock
        self.telemetry = Telemetry(platform, clock)
        self._on_request = None if hooks.on_request is None else Guarded("on_request", hooks.on_request)
        self._on_response = None if hooks.on_response is None else Guarded("on_response", hooks.on_response)
        self._on_retry = None if hooks.on_retry is None else Guarded("on_retry", hooks.on_retry)
        self._on_rate_limit = None if hooks.on_rate_limit is None else Guarded("on_rate_limit", hooks.on_rate_limit)
        self._told = hooks.on_request is not None or hooks.on_response is not None

    async def sending(
        self, operation: Operation[Any], request: Request, *, attempt: int, location_id: str | None
    ) -> Attempt | None:
        """Tell that an attempt is about to be sent, and return what wants to hear how it ends, if anyone does.

        Args:
            operation: What is called.
            request: What is sent.
            attempt: 1 is the first.
            location_id: The location that the call concerns.
        """
        if not self.wanted:
            return None
        facts = self._facts(operation, attempt, location_id)
        if self._on_request is not None:
            await self._on_request.run(RequestEvent(**facts))
        return Attempt(self, operation, request, facts)

    @property
    def wanted(self) -> bool:
        """Whether anybody looks on at attempts."""
        return self._told or logs.attempts_are_logged() or logs.bodies_are_logged() or self.telemetry.active

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
        logs.log_retry(operation, error, attempt, delay)
        self.telemetry.retrying(operation, error)
        if self._on_retry is not None:
            await self._on_retry.run(
                RetryEvent(**self._facts(operation, attempt, location_id), error=error, delay=delay)
            )

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
        if reason == "refused":
            logs.log_refusal(operation, attempt, seconds)
        else:
            logs.log_wait(operation, attempt, seconds or 0.0)
            self.telemetry.waited(operation, seconds or 0.0)
        if self._on_rate_limit is not None:
            facts = self._facts(operation, attempt, location_id)
            await self._on_rate_limit.run(RateLimitEvent(**facts, reason=reason, seconds=seconds))

    async def respond(self, event: ResponseEvent) -> None:
        """Call the hook for answers."""
        if self._on_response is not None:
            await self._on_response.run(event)

    @property
    def wants_responses(self) -> bool:
        """Whether there is a hook for answers."""
        return self._on_response is not None

    def _facts(self, operation: Operation[Any], attempt: int, location_id: str | None) -> dict[str, Any]:
        return {
            "platform": self.platform,
            "operation": operation.id,
            "method": operation.method,
            "path": operation.path,
            "location_id": location_id,
            "attempt": attempt,
        }


_UNSEEN: Final = frozenset({"set-cookie", "set-cookie2"})


class Attempt:
    """One attempt on its way, while somebody looks on. It ends once: answered, failed or abandoned."""

    __slots__ = ("_facts", "_measured", "_number", "_operation", "_over", "_request", "_started", "_status", "_watch")

    def __init__(self, watch: Watch, operation: Operation[Any], request: Request, facts: dict[str, Any]) -> None:
        self._watch = watch
        self._operation = operation
        self._request = request
        self._facts = facts
        self._number: int = facts["attempt"]
        self._status = 0
        self._over = False
        if logs.bodies_are_logged():
            self._log_body("request", logs.content_of(request))
        self._measured: Measured | None = watch.telemetry.start(operation, request, self._number)
        self._started = watch.clock()

    async def answered(self, answer: Answer, request_id: str | None) -> None:
        """Tell that status line and headers have come.

        Args:
            answer: Its body need not be there.
            request_id: The platform's id of the request, if the headers tell one.
        """
        elapsed = self._end()
        self._status = answer.status
        if self._measured is not None:
            self._measured.answered(self._status, elapsed)
        logs.log_attempt(self._operation, str(self._status), self._number, elapsed)
        if self._operation.answer == "bytes" and answer.is_success and logs.bodies_are_logged():
            self._log_body(f"{self._status} response", None)  # read by the user, if at all
        if self._watch.wants_responses:
            secrets = logs.secrets_of(self._request)
            names = (name for name in answer.headers if name not in _UNSEEN)
            event = ResponseEvent(
                **self._facts,
                status=self._status,
                request_id=None if request_id is None else blotted(request_id, secrets),
                headers={name: blotted(answer.headers[name], secrets) for name in names},
                elapsed=elapsed,
            )
            await self._watch.respond(event)

    def failed(self, reason: str, *, timed_out: bool) -> None:
        """Tell that no answer came, or that its body broke off after it had begun; the latter is for the log only.

        Args:
            reason: What happened, as a clause.
            timed_out: Whether it took too long.
        """
        answered, elapsed = self._over, self._end()
        if self._measured is not None and not answered:
            self._measured.failed(elapsed, timed_out=timed_out)
        logs.log_attempt(self._operation, reason, self._number, elapsed)

    def abandoned(self) -> None:
        """Tell that nobody waits any more: the call was cancelled, or something else went wrong.

        Does nothing when the attempt has ended already, so that it may be told in passing.
        """
        if self._over:
            return
        elapsed = self._end()
        if self._measured is not None:
            self._measured.abandoned(elapsed)
        logs.log_attempt(self._operation, "abandoned", self._number, elapsed)

    def body(self, content: bytes) -> None:
        """Tell that the answer's body was read; for the log of bodies only."""
        if logs.bodies_are_logged():
            self._log_body(f"{self._status} response", content)

    def _end(self) -> float:
        self._over = True
        return self._watch.clock() - self._started

    def _log_body(self, what: str, content: bytes | None) -> None:
        logs.log_body(self._operation, what, content, self._number, logs.secrets_of(self._request))
