"""The one place where a call becomes an answer."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, cast

import anyio

from dialogkit._core.auth.bearer import AuthContext
from dialogkit._core.call import Call, CallOptions
from dialogkit._core.codec.arguments import invalid
from dialogkit._core.codec.decoding import decode
from dialogkit._core.codec.models import attach_info
from dialogkit._core.errors import (
    ConfigurationError,
    DeadlineExceededError,
    DialogkitError,
    RateLimitWaitError,
)
from dialogkit._core.files.downloads import ByteStream
from dialogkit._core.http.messages import Answer, Request
from dialogkit._core.http.pool import Connection, TransportFailure
from dialogkit._core.limits.terms import Allowance, Permit, RateLimit, RateLimiter
from dialogkit._core.observing.logs import secrets_of
from dialogkit._core.observing.watch import Attempt
from dialogkit._core.response import APIResponse, ResponseInfo
from dialogkit._core.sending.encoding import Encoded, encode, encode_link
from dialogkit._core.sending.errors import (
    Refusal,
    request_id_of,
    retry_after_of,
    silence_error,
    status_error,
    too_late_error,
    wait_error,
)
from dialogkit._core.sending.retry import (
    STRAIN,
    TIMEOUT_STRAIN,
    Setback,
    may_repeat_after_silence,
    may_repeat_after_status,
    strain_of,
)
from dialogkit._core.sending.settings import Settings
from dialogkit._core.support.checks import is_positive

T = TypeVar("T")

_NOTICEABLE: Final = 0.001
"""Seconds; a limiter that takes less has not made anybody wait."""
_OWN_OPTIONS: Final = CallOptions()


class _Exchange:
    """One call on its way: what it is, and how it has gone so far. Its fields never hold a credential as text."""

    __slots__ = (
        "attempts",
        "borrowed",
        "call",
        "deadline",
        "encoded",
        "last",
        "options",
        "refused_credential",
        "sent",
        "started",
        "timeout",
        "watched",
    )

    def __init__(self, call: Call[Any], encoded: Encoded, started: float, settings: Settings) -> None:
        self.call = call
        self.encoded = encoded
        self.options = call.options or _OWN_OPTIONS
        self.started = started
        self.timeout = _seconds(self.name, "timeout", self.options.timeout, settings.timeout) or settings.timeout
        seconds = _seconds(self.name, "deadline", self.options.deadline, settings.deadline)
        self.deadline = None if seconds is None else started + seconds
        self.attempts = 0
        self.borrowed = 0.0  # what the last retry took from the quota
        self.watched: Attempt | None = None  # the present attempt, if somebody looks on
        self.sent = False
        self.last: DialogkitError | None = None
        self.refused_credential = False

    @property
    def name(self) -> str:
        """The operation's id."""
        return self.call.operation.id

    def facts(self) -> dict[str, Any]:
        """Return what hooks are told about the present attempt."""
        return {
            "operation": self.call.operation,
            "attempt": self.attempts,
            "location_id": self.encoded.location_id,
        }

    def __repr__(self) -> str:
        return f"<_Exchange of {self.name}>"


class Sender:
    """Turns calls into answers.

    Args:
        settings: What the client was told.
        connection: Where requests go.
        clock: Seconds on a clock that never goes back.
        sleep: Waits for so many seconds on the same clock.
    """

    __slots__ = ("_clock", "_connection", "_settings", "_sleep")

    def __init__(
        self,
        settings: Settings,
        connection: Connection,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = anyio.sleep,
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._clock = clock
        self._sleep = sleep

    async def call(self, call: Call[T], /) -> T:
        """Send `call` and return its decoded result.

        An answer of bytes is returned open, once it begins; the deadline covers the time until then.

        Raises:
            DialogkitError: See `dialogkit._core.errors`.
        """
        return cast("T", await self._within_deadline(call, encode(call, self._settings)))

    async def fetch(self, url: str) -> ByteStream:
        """Send a GET to a complete URL, without credential, version or limits, and return its answer as it begins.

        Raises:
            DialogkitError: See `dialogkit._core.errors`.
        """
        encoded = encode_link(url, allow_insecure=self._settings.allow_insecure)
        return cast("ByteStream", await self._within_deadline(Call(encoded.operation), encoded))

    async def _within_deadline(self, call: Call[Any], encoded: Encoded) -> Any:
        if self._connection.closed:
            raise ConfigurationError(f"{call.operation.id}: this client is closed. Nothing was sent; make a new one.")
        exchange = _Exchange(call, encoded, self._clock(), self._settings)
        if exchange.deadline is None:
            return await self._attempts(exchange)
        with anyio.move_on_after(exchange.deadline - exchange.started):
            return await self._attempts(exchange)
        raise self._too_late(exchange)

    async def _attempts(self, exchange: _Exchange) -> Any:
        settings = self._settings
        while True:
            answer = await self._attempt(exchange)
            strain = answer.strain if isinstance(answer, Setback) else 0.0
            if not strain:
                settings.quota.answered(exchange.borrowed)
            if not isinstance(answer, Setback):
                return answer
            delay = self._delay(exchange, answer)
            if delay is None:
                try:
                    raise answer.error
                finally:
                    del answer  # the error's traceback holds this frame: both would wait for the garbage collector
            exchange.last = answer.error
            if exchange.deadline is not None and self._clock() + delay >= exchange.deadline:
                raise self._too_late(exchange)
            if not settings.quota.take(strain):
                raise answer.error
            exchange.borrowed = strain
            await settings.watch.retrying(**exchange.facts(), error=answer.error, delay=delay)
            if delay > 0:
                await self._sleep(delay)

    async def _attempt(self, exchange: _Exchange) -> Any:
        """Send the request once; return the result, or what came in its way."""
        request = await self._authenticated(exchange)
        try:
            answer = await self._transmit(exchange, request)
            if exchange.watched is not None or self._settings.platform.deprecation_header is not None:
                await self._announce(exchange, answer)
            if answer.is_success:
                return await self._result(exchange, answer)
            return await self._refused(exchange, request, answer)
        except TransportFailure as exc:
            failure = exc
            if exchange.watched is not None:
                exchange.watched.failed(exc.reason, timed_out=exc.timed_out)
        finally:
            if exchange.watched is not None:
                exchange.watched.abandoned()
        return self._silence(exchange, failure)

    async def _authenticated(self, exchange: _Exchange) -> Request:
        if not exchange.call.operation.authenticated:
            return exchange.encoded.request({})
        context = AuthContext(operation=exchange.name, location_id=exchange.encoded.location_id, client=self)
        return exchange.encoded.request(await self._settings.auth.headers(context))

    async def _transmit(self, exchange: _Exchange, request: Request) -> Answer:
        """Wait for the limiter's permit, and send."""
        limits = self._settings.limits_of(exchange.call.operation)
        if self._settings.limiter is None or not limits:
            return await self._dispatch(exchange, request)
        began = self._clock()
        permit = await self._permit(exchange, self._settings.limiter, limits)
        told: tuple[Allowance, ...] = ()
        pause: float | None = None
        try:
            waited = self._clock() - began
            if waited >= _NOTICEABLE:
                await self._tell_of_wait(exchange, waited)
            answer = await self._dispatch(exchange, request)
            told = self._settings.platform.rate_limit_headers.read(answer.fields)
            pause = self._pause(answer)
            if pause is not None and self._settings.is_its_own_refusal(exchange.call.operation, pause):
                pause = None
            return answer
        finally:
            permit.settle(told, pause)

    async def _permit(self, exchange: _Exchange, limiter: RateLimiter, limits: tuple[RateLimit, ...]) -> Permit:
        operation = exchange.call.operation
        # Without a credential nobody can tell for which location a request is.
        named = (self._settings.auth.identity, exchange.encoded.location_id or "")
        key = (self._settings.platform.name, *(named if operation.authenticated else ("", "")))
        left = None if exchange.deadline is None else max(exchange.deadline - self._clock(), 0.0)
        try:
            return await limiter.acquire(key, limits, max_wait=left)
        except RateLimitWaitError as exc:
            refused = exc
        raise wait_error(operation, refused)

    async def _tell_of_wait(self, exchange: _Exchange, seconds: float) -> None:
        facts = exchange.facts()
        facts["attempt"] += 1  # the one that follows
        await self._settings.watch.held_back(**facts, reason="waited", seconds=seconds)

    async def _dispatch(self, exchange: _Exchange, request: Request) -> Answer:
        watch, call = self._settings.watch, exchange.call
        exchange.watched = None
        if watch.wanted:
            exchange.watched = await watch.sending(
                call.operation, request, attempt=exchange.attempts + 1, location_id=exchange.encoded.location_id
            )
        exchange.attempts += 1
        sent_before, exchange.sent = exchange.sent, True  # until it is known better: a deadline may strike meanwhile
        try:
            return await self._connection.send(request, timeout=exchange.timeout)
        except TransportFailure as failure:
            exchange.sent = sent_before or failure.sent
            raise

    async def _announce(self, exchange: _Exchange, answer: Answer) -> None:
        """Tell whoever looks on that an answer has begun, and the developer if the operation is about to end."""
        settings, operation = self._settings, exchange.call.operation
        try:
            if exchange.watched is not None:
                await exchange.watched.answered(answer, request_id_of(answer))
            platform = settings.platform
            settings.deprecations.look(platform.name, platform.deprecation_header, operation, answer.headers)
        except BaseException:  # cancelled while a hook ran, or warnings are errors
            await self._connection.discard(answer)
            raise

    async def _read(self, exchange: _Exchange, answer: Answer) -> bytes:
        content = await self._connection.read(answer)
        if exchange.watched is not None:
            exchange.watched.body(content)
        return content

    async def _result(self, exchange: _Exchange, answer: Answer) -> Any:
        """Read an answer and decode it; one of bytes is handed on as it begins."""
        if exchange.call.operation.answer == "bytes":
            info = self._info(exchange, answer)
            return ByteStream(answer, self._connection, info, exchange.call.on_progress, operation=exchange.name)
        content = await self._read(exchange, answer)
        info = self._info(exchange, answer, content)
        operation = exchange.call.operation
        if operation.answer == "json":
            strict = self._settings.strict if exchange.options.strict is None else exchange.options.strict
            result = decode(
                operation,
                content,
                strict=strict,
                on_drift=self._settings.on_drift,
                request_id=info.request_id,
                headers=info.headers,
            )
            attach_info(result, info)
            return result
        if operation.answer == "raw":
            return APIResponse(info, content)
        return APIResponse(info, content).text if operation.answer == "text" else None

    def _info(self, exchange: _Exchange, answer: Answer, content: bytes = b"") -> ResponseInfo:
        return ResponseInfo(
            status=answer.status,
            headers=answer.headers,
            request_id=request_id_of(answer, content),
            attempts=exchange.attempts,
            elapsed=self._clock() - exchange.started,
        )

    async def _refused(self, exchange: _Exchange, request: Request, answer: Answer) -> Setback:
        """Turn an answer that is no success into a typed error, and say whether to try again."""
        content: bytes | None = None
        try:
            content = await self._read(exchange, answer)
        except TransportFailure as failure:
            if exchange.watched is not None:
                exchange.watched.failed(f"the error's body broke off: {failure.reason}", timed_out=failure.timed_out)
        operation = exchange.call.operation
        refusal = Refusal(
            operation=operation.id,
            platform=self._settings.platform.name,
            method=operation.method,
            path=operation.path,
            attempts=exchange.attempts,
            repeatable=operation.retry != "never-after-sent",
            advice=exchange.encoded.advice,
        )
        error = status_error(refusal, answer, content, secrets=secrets_of(request))
        if error.status == 429:
            await self._settings.watch.held_back(**exchange.facts(), reason="refused", seconds=error.retry_after)
        pause = self._pause(answer) if error.status == 429 else error.retry_after
        better = error.status == 401 and await self._has_better_credential(exchange, request)
        repeatable = better or may_repeat_after_status(operation.retry, error.status, error.retry_after)
        strain = strain_of(error.status, limited=self._settings.limiter is not None)
        return Setback(error=error, repeatable=repeatable, strain=strain, retry_after=pause, better_credential=better)

    async def _has_better_credential(self, exchange: _Exchange, request: Request) -> bool:
        if exchange.refused_credential or not exchange.call.operation.authenticated or not exchange.encoded.replayable:
            return False
        exchange.refused_credential = True
        authorization = request.headers.get("authorization")
        context = AuthContext(
            operation=exchange.name,
            location_id=exchange.encoded.location_id,
            headers={} if authorization is None else {"Authorization": authorization},
            client=self,
        )
        return await self._settings.auth.rejected(context)

    def _silence(self, exchange: _Exchange, failure: TransportFailure) -> Setback:
        """Turn a failure to get an answer into a typed error, and say whether to try again."""
        operation = exchange.call.operation
        repeatable = may_repeat_after_silence(operation.retry, sent=failure.sent)
        error = silence_error(operation, failure, attempts=exchange.attempts, repeatable=repeatable)
        strain = TIMEOUT_STRAIN if failure.timed_out else STRAIN
        return Setback(error=error, repeatable=repeatable, strain=strain)

    def _delay(self, exchange: _Exchange, setback: Setback) -> float | None:
        """Return seconds until the next attempt, or `None` to give up."""
        if not setback.repeatable or not exchange.encoded.replayable:
            return None
        if setback.better_credential:
            return 0.0
        return self._settings.retry.delay(exchange.attempts, retry_after=setback.retry_after)

    def _pause(self, answer: Answer) -> float | None:
        """Return seconds that everyone should wait, when the platform refused the request for its rate."""
        if answer.status != 429:
            return None
        asked = retry_after_of(answer.headers)
        if asked is None:
            told = self._settings.platform.rate_limit_headers.read(answer.fields)
            asked = max((each.resets_in for each in told if each.resets_in and not each.remaining), default=None)
        return self._settings.retry.default_retry_after if asked is None else asked

    def _too_late(self, exchange: _Exchange) -> DeadlineExceededError:
        return too_late_error(
            exchange.call.operation,
            seconds=(exchange.deadline or math.inf) - exchange.started,
            attempts=exchange.attempts,
            sent=exchange.sent,
            last=exchange.last,
        )


def _seconds(operation: str, name: str, given: float | None, own: float | None) -> float | None:
    """Return the seconds that a call sets for itself, else the client's own."""
    if given is not None and not is_positive(given):
        raise invalid(operation, f"options.{name}", f"should be a positive number of seconds, not {given!r}")
    return own if given is None else given
