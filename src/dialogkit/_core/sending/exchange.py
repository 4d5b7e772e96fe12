"""One call on its way: what it is, how it has gone so far, and all that it does until it has a result or an error.

Theory of operation. A call is a series of attempts, one at a time. Each passes the same stations in the same order:

    credential → permit of the rate limiter → transport → status → body → result

and ends in a result or in a `FailedAttempt`, which says whether the request may be sent again. Between two attempts,
and nowhere else, it is decided whether there is another one: the failure must allow it, the body must be there to be
sent again, the policy must name a pause, the deadline must leave time for it, and the quota must pay for it.

What holds at every `await`, so that a deadline or a cancellation may strike at any of them:

- `sent` says whether an attempt may have reached the server, `may_have_happened` whether one may have had its effect.
  Both are set before the transport has the request. The first is taken back only by a failure that is certain that
  nothing was sent, the second also by a status that says that nothing was done, and both only for the attempt itself:
  what an earlier one left open stays open. Whatever the call ends with, an error or a cancellation, says so.
- A permit that was granted is settled once, however its attempt ends, with what the answer told of the limits.
- An answer whose body nobody reads any more is given up, and its connection with it.
- The credential is asked for anew for each attempt, stands in that attempt's `Request` only, and in no field here. One
  that is refused is replaced once in a call; the attempt that follows at once is no retry, and costs nothing.
- A retry is paid for before it is made. The first attempt that is answered by a platform that is well pays it back.
- The deadline covers everything until the result; where the result is an open stream, until that begins.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import anyio

from dialogkit._core.auth.bearer import AuthContext
from dialogkit._core.call import Call, Caller, CallOptions
from dialogkit._core.codec.arguments import invalid
from dialogkit._core.codec.decoding import decode
from dialogkit._core.codec.models import attach_info
from dialogkit._core.errors import (
    APIConnectionError,
    APIStatusError,
    ConfigurationError,
    DeadlineExceededError,
    DialogkitError,
    RateLimitWaitError,
    ResponseValidationError,
)
from dialogkit._core.files.downloads import ByteStream
from dialogkit._core.http.failure import AnswerTooLarge
from dialogkit._core.http.pool import Connection, TransportFailure
from dialogkit._core.http.transport import Answer, Request
from dialogkit._core.limits.terms import Allowance, Permit, RateLimit, RateLimiter
from dialogkit._core.observing.credentials import secrets_of
from dialogkit._core.observing.watch import Attempt
from dialogkit._core.response import APIResponse, ResponseInfo
from dialogkit._core.sending.encoding import Encoded
from dialogkit._core.sending.errors import (
    Refusal,
    no_answer_error,
    request_id_of,
    status_error,
    too_large_error,
    too_late_error,
    wait_error,
)
from dialogkit._core.sending.retry import RETRY_COST, TIMEOUT_RETRY_COST, FailedAttempt, may_repeat_unanswered
from dialogkit._core.sending.settings import Settings
from dialogkit._core.support.checks import is_positive
from dialogkit._core.support.printing import blotted
from dialogkit._core.support.tracebacks import leave_out, note

_NOTICEABLE: Final = 0.001
"""Seconds; a limiter that takes less has not made anybody wait."""
_WITH_CREDENTIALS: Final = frozenset(
    {
        "dialogkit._core.auth",
        "dialogkit._core.http",
        "aiohttp",
        "anyio",
        "asyncio",
        "h11",
        "httpcore",
        "httpx",
        "httpx2",
        "trio",
    }
)
"""Modules whose variables may hold one."""
_OWN_OPTIONS: Final = CallOptions()
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Exchange:
    """One call on its way. It is made for one call, and run once.

    Args:
        call: What the caller wants.
        encoded: The same as a request.
        settings: What the client was told.
        connection: Where the request goes.
        clock: Seconds on a clock that never goes back.
        sleep: Waits for so many seconds on the same clock.
        client: Whom an `Auth` may ask for a token.

    Raises:
        InvalidArgumentError: The call's options make no sense.
    """

    __slots__ = (
        "_attempts",
        "_call",
        "_client",
        "_clock",
        "_connection",
        "_encoded",
        "_last",
        "_open",
        "_operation",
        "_options",
        "_paid",
        "_present",
        "_refused_credential",
        "_sent",
        "_settings",
        "_sleep",
        "_started",
        "_watched",
        "deadline",
        "timeout",
    )

    def __init__(
        self,
        call: Call[Any],
        encoded: Encoded,
        *,
        settings: Settings,
        connection: Connection,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
        client: Caller,
    ) -> None:
        self._call = call
        self._operation = call.operation
        self._options = options = call.options or _OWN_OPTIONS
        self._encoded = encoded
        self._settings = settings
        self._connection = connection
        self._clock = clock
        self._sleep = sleep
        self._client = client
        self.timeout = _seconds(call, "timeout", options.timeout) or settings.timeout
        """Seconds that one attempt may wait for each piece of its answer."""
        self.deadline = _seconds(call, "deadline", options.deadline) or settings.deadline
        """Seconds that the whole call may take."""
        self._started = clock()
        self._attempts = 0
        self._sent = False
        self._present = False  # may the present attempt have had its effect?
        self._open = False  # may one of those before?
        self._last: DialogkitError | None = None  # what the last attempt that was repeated ended with
        self._paid = 0.0  # what the last retry took from the quota
        self._refused_credential = False
        self._watched: Attempt | None = None  # the present attempt, if somebody looks on

    async def result(self) -> Any:
        """Send the call, as often as it takes, and return its result.

        Raises:
            DialogkitError: See `dialogkit._core.errors`.
        """
        if self._connection.closed:
            raise ConfigurationError(f"{self._operation.id}: this client is closed. Nothing was sent; make a new one.")
        try:
            if self.deadline is None:
                return await self._attempted()
            with anyio.move_on_after(self.deadline):
                return await self._attempted()
        except BaseException as exc:
            self._see_off(exc)
            raise exc  # noqa: TRY201 - Python 3.10 would bring the traceback back as it was
        raise self._too_late(self._last)

    def _see_off(self, exc: BaseException) -> None:
        """Let whatever ends the call say whether it may have happened, and keep no credential."""
        if not isinstance(exc, APIStatusError | APIConnectionError):  # those were made here
            leave_out(exc, _WITH_CREDENTIALS)
        if isinstance(exc, DialogkitError):
            exc.may_have_happened = self.may_have_happened
        elif not isinstance(exc, Exception):
            effect = "It may have taken effect" if self.may_have_happened else "It has had no effect"
            note(exc, f"{self._operation.id}: {self._operation.method} {self._operation.path} was cancelled. {effect}.")

    @property
    def may_have_happened(self) -> bool:
        """Whether the call may have had its effect."""
        return self._open or self._present

    async def _attempted(self) -> Any:
        """Make attempts until one brings a result, or there is no sense in another."""
        quota, watch = self._settings.quota, self._settings.watch
        while True:
            outcome = await self._attempt()
            cost = outcome.retry_cost if isinstance(outcome, FailedAttempt) else 0.0
            if not cost:
                quota.answered(self._paid)
            if not isinstance(outcome, FailedAttempt):
                return outcome
            delay = self._delay(outcome)
            if delay is None or not quota.take(cost):
                try:
                    raise outcome.error
                finally:
                    del outcome  # the error's traceback holds this frame: both would wait for the garbage collector
            self._paid, self._last = cost, outcome.error
            await watch.retrying(**self._facts(self._attempts), error=outcome.error, delay=delay)
            if delay > 0:
                await self._sleep(delay)

    async def _attempt(self) -> Any:
        """Send the request once; return the result, or what the attempt failed with."""
        request = self._encoded.request(await self._credential())
        try:
            answer = await self._permitted(request)
            if self._watched is not None or self._settings.platform.deprecation_header is not None:
                await self._announce(answer)
            if answer.is_success:
                return await self._decoded(request, answer)
            return await self._refused(request, answer)
        except TransportFailure as exc:
            failure = exc
            if self._watched is not None:
                self._watched.failed(exc.reason, timed_out=exc.timed_out)
        finally:
            if self._watched is not None:
                self._watched.abandoned()
        return self._unanswered(failure)

    # The stations of an attempt, in their order.

    async def _credential(self) -> Mapping[str, str]:
        return await self._settings.auth.headers(self._asking()) if self._operation.authenticated else _NOTHING

    async def _permitted(self, request: Request) -> Answer:
        """Wait for the limiter's permit, and send."""
        limiter, limits = self._settings.limiter, self._settings.limits_of(self._operation)
        if limiter is None or not limits:
            return await self._transmitted(request)
        began = self._clock()
        permit = await self._permit(limiter, limits)
        told: tuple[Allowance, ...] = ()
        pause: float | None = None
        try:
            waited = self._clock() - began
            if waited >= _NOTICEABLE:
                facts = self._facts(self._attempts + 1)
                await self._settings.watch.held_back(**facts, reason="waited", seconds=waited)
            answer = await self._transmitted(request)
            told = self._settings.platform.rate_limit_headers.read(answer.fields, self._settings.doubts)
            pause = self._pause_for_others(answer)
            return answer
        finally:
            permit.settle(told, pause)

    async def _permit(self, limiter: RateLimiter, limits: tuple[RateLimit, ...]) -> Permit:
        # Without a credential nobody can tell for whom a request is.
        named = (self._settings.auth.identity, self._sent_as() or "")
        key = (self._settings.platform.name, *(named if self._operation.authenticated else ("", "")))
        left = None if self.deadline is None else max(self._started + self.deadline - self._clock(), 0.0)
        try:
            return await limiter.acquire(key, limits, max_wait=left)
        except RateLimitWaitError as exc:
            refused = exc
        raise wait_error(self._operation, refused)

    def _sent_as(self) -> str | None:
        """Return the account that a call is counted by: whose credential it has, else the one that it is about."""
        chooses = self._settings.chooses_account
        return self._encoded.account if chooses is None else chooses(self._asking())

    async def _transmitted(self, request: Request) -> Answer:
        """Send, and return the answer as it begins."""
        watch = self._settings.watch
        self._watched = None
        if watch.wanted:
            facts = self._facts(self._attempts + 1)
            self._watched = await watch.sending(facts.pop("operation"), request, **facts)
        self._attempts += 1
        self._open = self.may_have_happened
        sent_before, self._sent, self._present = self._sent, True, True  # until it is known better
        try:
            return await self._connection.send(request, timeout=self.timeout)
        except (TransportFailure, ConfigurationError) as failure:
            self._present = isinstance(failure, TransportFailure) and failure.sent
            self._sent = sent_before or self._present
            raise

    async def _announce(self, answer: Answer) -> None:
        """Tell whoever looks on that an answer has begun, and the developer if the operation is about to end."""
        platform, deprecations = self._settings.platform, self._settings.deprecations
        try:
            if self._watched is not None:
                await self._watched.answered(answer, request_id_of(answer))
            deprecations.look(platform.name, platform.deprecation_header, self._operation, answer.headers)
        except BaseException:  # cancelled while a hook ran, or warnings are errors
            await self._connection.discard(answer)
            raise

    async def _read(self, answer: Answer) -> bytes:
        content = await self._connection.read(answer, self._settings.max_answer_bytes)
        if self._watched is not None:
            self._watched.body(content)
        return content

    async def _decoded(self, request: Request, answer: Answer) -> Any:
        """Return the result; an answer of bytes is handed on as it begins."""
        operation = self._operation
        if operation.answer == "bytes":
            return ByteStream(
                answer,
                self._connection,
                self._info(answer),
                self._call.on_progress,
                operation=operation.id,
                limit=self._settings.max_answer_bytes,
            )
        content = await self._read(answer)
        info = self._info(answer, content)
        if operation.answer == "json":
            return self._parsed(request, content, info)
        if operation.answer == "raw":
            return APIResponse(info, content)
        return APIResponse(info, content).text if operation.answer == "text" else None

    def _parsed(self, request: Request, content: bytes, info: ResponseInfo) -> Any:
        settings = self._settings
        strict = settings.strict if self._options.strict is None else self._options.strict
        try:
            result = decode(
                self._operation,
                content,
                strict=strict,
                on_drift=settings.on_drift,
                request_id=info.request_id,
                headers=info.headers,
            )
        except ResponseValidationError as exc:
            return self._unreadable(request, exc)
        attach_info(result, info)
        return result

    # What an attempt failed with, and whether the request may be sent again.

    async def _refused(self, request: Request, answer: Answer) -> FailedAttempt:
        """Turn an answer that is no success into a typed error."""
        self._present = self._settings.platform.statuses.may_have_happened(answer.status)
        content: bytes | None = None
        try:
            content = await self._read(answer)
        except TransportFailure as failure:
            if self._watched is not None:
                self._watched.failed(f"the error's body broke off: {failure.reason}", timed_out=failure.timed_out)
        error = status_error(self._refusal(answer), answer, content, secrets=secrets_of(request))
        pause = error.retry_after
        if error.status == 429:
            facts = self._facts(self._attempts)
            await self._settings.watch.held_back(**facts, reason="refused", seconds=error.retry_after)
            pause = self._pause(error.retry_after)
        better = error.status == 401 and await self._has_better_credential(request)
        statuses, safety = self._settings.platform.statuses, self._operation.retry
        return FailedAttempt(
            error=error,
            repeatable=better or statuses.may_repeat(safety, error.status),
            retry_cost=statuses.retry_cost(error.status, limited=self._settings.limiter is not None),
            retry_after=pause,
            better_credential=better,
        )

    def _refusal(self, answer: Answer) -> Refusal:
        operation = self._operation
        return Refusal(
            operation=operation.id,
            platform=self._settings.platform.name,
            method=operation.method,
            path=operation.path,
            attempts=self._attempts,
            repeatable=operation.retry != "never-after-sent" or not self.may_have_happened,
            version_header=self._settings.platform.version_header,
            advice=self._encoded.advice,
            retry_after=self._asked(answer),
        )

    async def _has_better_credential(self, request: Request) -> bool:
        if self._refused_credential or not self._operation.authenticated or not self._encoded.replayable:
            return False
        self._refused_credential = True
        authorization = request.headers.get("authorization")
        headers = {} if authorization is None else {"Authorization": authorization}
        return await self._settings.auth.rejected(self._asking(headers))

    def _unreadable(self, request: Request, error: ResponseValidationError) -> FailedAttempt:
        """Free an error of what the answer may echo: from its body, and from the frames that have read it."""
        # Latin-1 keeps each byte that is no part of a secret.
        error.body = blotted(error.body.decode("latin-1"), secrets_of(request)).encode("latin-1")
        error.__cause__ = error.__context__ = None
        return FailedAttempt(error=error.with_traceback(None), repeatable=False)

    def _unanswered(self, failure: TransportFailure) -> FailedAttempt:
        """Turn a failure to get an answer into a typed error."""
        if isinstance(failure, AnswerTooLarge):
            too_large = too_large_error(self._operation, failure, attempts=self._attempts)
            return FailedAttempt(error=too_large, repeatable=False, retry_cost=0.0)
        repeatable = may_repeat_unanswered(self._operation.retry, sent=failure.sent)
        error = no_answer_error(
            self._operation, failure, attempts=self._attempts, sent=self._sent, repeatable=repeatable
        )
        cost = TIMEOUT_RETRY_COST if failure.timed_out else RETRY_COST
        return FailedAttempt(error=error, repeatable=repeatable, retry_cost=cost)

    # When the next attempt is due.

    def _delay(self, failed: FailedAttempt) -> float | None:
        """Return seconds until the next attempt, or `None` to give up.

        Raises:
            DeadlineExceededError: There could be one, were there more time.
        """
        if not failed.repeatable or not self._encoded.replayable:
            return None
        if failed.better_credential:
            return 0.0
        delay = self._settings.retry.delay(self._attempts, retry_after=failed.retry_after)
        if delay is not None and self._is_too_late_in(delay):
            raise self._too_late(failed.error)
        return delay

    def _is_too_late_in(self, seconds: float) -> bool:
        return self.deadline is not None and self._clock() + seconds >= self._started + self.deadline

    def _pause_for_others(self, answer: Answer) -> float | None:
        """Return seconds that everyone should wait, when the platform refused the request for its rate."""
        pause = self._pause(self._asked(answer)) if answer.status == 429 else None
        return None if pause is None or self._settings.is_its_own_refusal(self._operation, pause) else pause

    def _asked(self, answer: Answer) -> float | None:
        """Return seconds that the platform asks to wait, in one header or another."""
        reader, doubts = self._settings.platform.rate_limit_headers, self._settings.doubts
        return (reader.pause if answer.status == 429 else reader.retry_after)(answer.fields, doubts)

    def _pause(self, asked: float | None) -> float:
        return self._settings.retry.default_retry_after if asked is None else asked

    # What others are told.

    def _asking(self, refused: Mapping[str, str] = _NOTHING) -> AuthContext:
        return AuthContext(
            operation=self._operation.id,
            location_id=self._encoded.account,
            has_accounts=self._settings.platform.account is not None,
            headers=refused,
            client=self._client,
        )

    def _facts(self, attempt: int) -> dict[str, Any]:
        return {"operation": self._operation, "attempt": attempt, "location_id": self._encoded.account}

    def _info(self, answer: Answer, content: bytes = b"") -> ResponseInfo:
        return ResponseInfo(
            status=answer.status,
            headers=answer.headers,
            request_id=request_id_of(answer, content),
            attempts=self._attempts,
            elapsed=self._clock() - self._started,
        )

    def _too_late(self, last: DialogkitError | None) -> DeadlineExceededError:
        return too_late_error(
            self._operation,
            seconds=self.deadline or math.inf,
            attempts=self._attempts,
            sent=self._sent,
            may_have_happened=self.may_have_happened,
            last=last,
        )

    def __repr__(self) -> str:
        return f"<Exchange of {self._operation.id}>"


def _seconds(call: Call[Any], name: str, given: float | None) -> float | None:
    """Return the seconds that a call sets for itself."""
    if given is not None and not is_positive(given):
        raise invalid(call.operation.id, f"options.{name}", f"should be a positive number of seconds, not {given!r}")
    return given
