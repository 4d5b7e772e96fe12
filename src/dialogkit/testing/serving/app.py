"""The ASGI app: route → authenticate → limit → validate → handle → check the answer, with faults where they are set."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Generic

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from dialogkit.testing.engine.conformity import check_answer, check_event
from dialogkit.testing.engine.document import Json, Match, Operation, read_document
from dialogkit.testing.engine.limits import Limits, Verdict, Window
from dialogkit.testing.engine.links import PREFIX
from dialogkit.testing.engine.platform import Arrival, Platform
from dialogkit.testing.engine.refusals import Refusal
from dialogkit.testing.engine.registry import Answer, Call, Outcome, S
from dialogkit.testing.engine.schemas import Schemas
from dialogkit.testing.engine.state import Credential
from dialogkit.testing.engine.validation import RequestReader
from dialogkit.testing.errors import SandboxError
from dialogkit.testing.faults import Fault
from dialogkit.testing.hooks.deliveries import Delivery, Persistence
from dialogkit.testing.hooks.webhooks import Webhooks
from dialogkit.testing.serving.access import authenticate
from dialogkit.testing.serving.hosts import check_host
from dialogkit.testing.serving.injection import Injections
from dialogkit.testing.serving.log import Log, LoggedRequest
from dialogkit.testing.serving.wire import Exchange

_logger = logging.getLogger("dialogkit.testing")
_NONSENSE: Final = 422
_NOT_IMPLEMENTED: Final = 501
_UNDISTURBED: Final = Fault()


@dataclass(frozen=True, kw_only=True)
class Settings(Generic[S]):
    """How the sandbox behaves."""

    platform: Platform[S]
    tier: str | None
    """Whose rate limits hold; None for none at all."""
    api_key: str
    account: str
    """Whom the key is for."""
    seed: bool | str
    """Whether it starts with rows; the name of further ones for these, too."""
    upload_limit: int
    """Largest file that an upload may have, in bytes."""
    validate_responses: bool
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    persistence: Persistence
    """How webhooks are delivered."""
    lenient: bool
    """Whether it is kinder than the platform."""
    hosts: frozenset[str]
    """Names that it answers to besides this machine's."""


@dataclass(frozen=True)
class _Target:
    """What a request is for."""

    method: str
    path: str
    match: Match | None
    operation: Operation | None


class SandboxApp(Generic[S]):
    """A platform as an ASGI app, with its state in memory.

    All requests are handled in one event loop; `lock` guards the state against other threads.
    """

    def __init__(
        self,
        settings: Settings[S],
        on_request: Callable[[LoggedRequest], None] | None,
        on_delivery: Callable[[Delivery], None] | None = None,
    ) -> None:
        self.settings = settings
        self.lock = threading.RLock()
        self.failures: list[str] = []
        """Where the sandbox itself was wrong: handlers that failed, answers that do not conform."""
        self.log = Log(self.lock, on_request)
        self._document = read_document(settings.platform.document)
        self.injections = Injections(self._document, self.lock)
        self._schemas = Schemas(self._document)
        strict = settings.platform.refuses_strangers
        self._reader = RequestReader(self._document, self._schemas, refuse_strangers=strict)
        self.webhooks = Webhooks(
            settings.platform.signatures,
            self._envelope,
            check=self._event_problem,
            on_failure=self._fail,
            persistence=settings.persistence,
            on_attempt=on_delivery,
        )
        self.reset()

    def reset(self) -> None:
        """Forget everything that happened."""
        # Not with the lock: a request that waits for it would hold up the loop in which deliveries are cancelled.
        self.webhooks.clear()
        settings = self.settings
        with self.lock:
            self.state: S = settings.platform.new_state(settings.account, settings.clock)
            for key in (*settings.platform.keys[1:], settings.api_key):
                self.state.tokens[key] = Credential(f"api key {key}")
            self._set_limits()
            self.failures.clear()
            self.injections.clear()
            self.log.clear()
            self._sow()

    def _sow(self) -> None:
        platform, seed = self.settings.platform, self.settings.seed
        if isinstance(seed, str) and seed not in platform.further_seeds:
            raise ValueError(f"{platform.name} has no seed {seed!r}.")
        if seed:
            platform.seed(self.state)
        if isinstance(seed, str):
            platform.further_seeds[seed](self.state)

    @property
    def prefix(self) -> str:
        """Where the paths of requests begin."""
        return self._document.prefix

    def _set_limits(self) -> None:
        platform, tier = self.settings.platform, self.settings.tier
        self._limits = None if tier is None else self._counting(platform.tiers[tier])
        self._own_limits: dict[str, Limits] = {}
        self._further_limits: dict[str, Limits] = {}
        if tier is not None:
            own, further = platform.own_limits, platform.further_limits.get(tier, {})
            self._own_limits = {id_: self._counting(windows) for id_, windows in own.items()}
            self._further_limits = {id_: self._counting(windows) for id_, windows in further.items()}

    def _counting(self, windows: tuple[Window, ...]) -> Limits:
        settings = self.settings
        platform = settings.platform
        return Limits(windows, settings.monotonic, platform.limit_headers, settings.clock, day=platform.daily)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] != "http":
            raise RuntimeError(f"The sandbox speaks HTTP only, not {scope['type']}.")
        target = self._target(scope)
        with self.lock:
            trace_id = self.state.ids.uuid("trace")
        exchange = Exchange(
            scope,
            receive,
            send,
            serve=lambda request: self._answer(request, target, trace_id),
            refused=lambda refusal: self._refused(refusal, trace_id),
        )
        await self._exchanged(exchange, target, trace_id)

    def _target(self, scope: Scope) -> _Target:
        method, path = scope["method"], raw_path(scope)
        match = self._document.find(path)
        return _Target(method, path, match, match.operations.get(method) if match else None)

    async def _exchanged(self, exchange: Exchange, target: _Target, trace_id: str) -> None:
        fault = self.injections.draw(target.operation)
        id_ = target.operation.id if target.operation else None
        logged = LoggedRequest(target.method, target.path, id_, None, type(fault).__name__ if fault else None)
        number = self.log.arrived(logged)
        fault = fault or _UNDISTURBED
        if fault.cuts and not exchange.can_hang_up:
            self.log.ended(number, logged)
            raise self._cannot_hang_up(fault)
        try:
            answer = await fault.answer(exchange)
        except ClientDisconnect:
            self.log.ended(number, logged)
            return
        except Exception as error:  # noqa: BLE001 - a test's own Drift may fail with anything
            answer = self._failed(target, error, trace_id)
        # The log is complete before the client can look at it.
        self.log.ended(number, replace(logged, status=answer.status if answer else None))
        with contextlib.suppress(ClientDisconnect):
            await fault.deliver(answer, exchange)

    async def _answer(self, request: Request, target: _Target, trace_id: str) -> Answer:
        try:
            check_host(request.headers.get("host"), self.settings.hosts)
        except Refusal as refusal:
            return self._refused(refusal, trace_id)
        try:
            if target.path.startswith(PREFIX):
                return await self._file(request, target.path)
            answer = await self._serve(request, *self._known(target), trace_id)
        except Refusal as refusal:
            answer = self._refused(refusal, trace_id)
        except Exception as error:  # noqa: BLE001 - whatever a handler failed with is a 500, as at the platform
            answer = self._failed(target, error, trace_id)
        return self._checked(target.operation, answer, trace_id)

    def _known(self, target: _Target) -> tuple[Match, Operation]:
        """Return what a request is for, or refuse one that is for nothing."""
        if target.match is None:
            raise Refusal(404, f"Cannot {target.method} {target.path}", error="Not Found", headers=self._look())
        if target.operation is None:
            allowed = ", ".join(sorted(target.match.operations))
            message = f"{target.path} takes {allowed}, not {target.method}"
            raise Refusal(405, message, headers={"Allow": allowed, **self._look()})
        return target.match, target.operation

    async def _serve(self, request: Request, match: Match, operation: Operation, trace_id: str) -> Answer:
        arrival = Arrival(match, operation, request.query_params, await request.body())
        try:
            credential = authenticate(request, operation, self.state)
        except Refusal as refusal:
            refusal.headers.update(self._look())
            raise
        verdict = self._admit(arrival, credential)
        try:
            _let_in(verdict)
            answer = self._handle(await self._call(request, arrival, credential, trace_id))
        except Refusal as refusal:
            refusal.headers.update(verdict.headers)
            raise
        return replace(answer, headers={**verdict.headers, **answer.headers})

    def spend_day(self, account: str | None) -> None:
        """Let every credential have used up its day, for one account.

        Raises:
            SandboxError: There is no limit for a day.

        """
        with self.lock:
            for credential in self.state.tokens.values():
                if self._limits is None:
                    raise SandboxError("The sandbox has no limits: give it a tier.")
                self._limits.spend_day((credential.name, account))

    def _look(self) -> Mapping[str, str]:
        """Return what answers to nobody known tell of the limits."""
        if self._limits is None or not self.settings.platform.limits_strangers:
            return {}
        with self.lock:
            return self._limits.look(None)

    def _admit(self, arrival: Arrival, credential: Credential) -> Verdict:
        id_ = arrival.operation.id
        limits = self._own_limits.get(id_, self._limits)
        if limits is None:
            return Verdict({})
        with self.lock:
            account = self.settings.platform.counted_with(arrival, self.state)
            return limits.admit((credential.name, account), self._further_limits.get(id_))

    async def _call(self, request: Request, arrival: Arrival, credential: Credential, trace_id: str) -> Call[S]:
        settings, operation = self.settings, arrival.operation
        if not operation.public:
            settings.platform.check_headers(request.headers)
        arguments = await self._reader.read(operation, request, arrival.match.values)
        return Call(
            operation=operation,
            path=arguments.path,
            query=arguments.query,
            body=arguments.body or {},
            files=arguments.files,
            credential=credential,
            state=self.state,
            base_url=f"{request.url.scheme}://{request.url.netloc}",
            trace_id=trace_id,
            upload_limit=settings.upload_limit,
            tier=settings.tier,
            webhooks=self.webhooks,
            lenient=settings.lenient,
        )

    def _handle(self, call: Call[S]) -> Answer:
        platform, operation = self.settings.platform, call.operation
        handler = platform.handlers.get(operation.id)
        if handler is None:
            raise self._not_made_yet(operation)
        with self.lock:
            result: Any = handler(platform.prepare(call))
            if isinstance(result, Outcome):
                self.webhooks.announce(result.events)
                result = result.answer
            if isinstance(result, Answer):
                return result
            if result is None:
                return Answer(operation.success)
            return Answer.json(operation.success, platform.finish(result, call.trace_id))

    async def _file(self, request: Request, path: str) -> Answer:
        query, body = dict(request.query_params), await request.body()
        with self.lock:
            authorized = "authorization" in request.headers
            file = self.state.links.follow(request.method, path, query, authorized=authorized, body=body)
        if request.method == "PUT":
            return Answer(200)
        if file.content is None:
            raise Refusal(404, "There is no such file.")
        return Answer(200, file.content, file.content_type)

    def _refused(self, refusal: Refusal, trace_id: str) -> Answer:
        platform = self.settings.platform
        status = platform.nonsense if refusal.status == _NONSENSE else refusal.status
        return Answer.json(status, platform.error_body(refusal, trace_id), refusal.headers)

    def _checked(self, operation: Operation | None, answer: Answer, trace_id: str) -> Answer:
        if not self.settings.validate_responses or operation is None or answer.status == _NOT_IMPLEMENTED:
            return answer
        failure = check_answer(self._schemas, operation, answer)
        if failure is None:
            return answer
        self._fail(failure)
        return self._refused(Refusal(500, failure), trace_id)

    def _envelope(self, event: str, data: Mapping[str, Any], *, id_: str) -> Json:
        settings = self.settings
        return settings.platform.envelope(event, data, id_=id_, now=settings.clock(), account=settings.account)

    def _event_problem(self, event: str, payload: Json) -> str | None:
        return check_event(self._document, self._schemas, event, payload) if self.settings.validate_responses else None

    def _fail(self, failure: str) -> None:
        _logger.error("%s", failure)
        self.failures.append(failure)

    def _failed(self, target: _Target, error: Exception, trace_id: str) -> Answer:
        _logger.error("The sandbox failed on %s %s.", target.method, target.path, exc_info=error)
        self.failures.append(f"{target.method} {target.path}: {error!r}")
        return self._refused(Refusal(500, "Internal Server Error"), trace_id)

    def _not_made_yet(self, operation: Operation) -> Refusal:
        platform = self.settings.platform
        message = (
            f"The sandbox does nothing yet for {operation.id} ({operation.method} {operation.template}). Register a "
            f"handler for it with {platform.name}'s others, below dialogkit/testing/, or put one into a platform of "
            "your own: Sandbox(platform=dataclasses.replace(...))."
        )
        self._fail(message)
        return Refusal(501, message)

    def _cannot_hang_up(self, fault: Fault) -> SandboxError:
        name = type(fault).__name__
        message = (
            f"The injected fault {name} closes the connection, and only the sandbox's own server can do that. "
            "Start the sandbox (`with Sandbox()`), and call it at its `url` rather than through `app`."
        )
        self.failures.append(message)
        return SandboxError(message)


def raw_path(scope: Scope) -> str:
    """Return the path of a request as it was sent, still percent-encoded."""
    raw: bytes | None = scope.get("raw_path")
    return scope["path"] if raw is None else raw.partition(b"?")[0].decode("latin-1")


def _let_in(verdict: Verdict) -> None:
    if verdict.retry_after is not None:
        raise Refusal(429, "Too Many Requests")
