"""The ASGI app: route → authenticate → limit → validate → handle → check the answer, with faults where they are set."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive, Scope, Send

from dialogkit.testing.access import authenticate, location_in_reach, named_location, peek_location, require_headers
from dialogkit.testing.conformity import check_answer
from dialogkit.testing.deliveries import Delivery, Persistence
from dialogkit.testing.document import Json, Match, Operation, read_document
from dialogkit.testing.errors import Refusal, SandboxError
from dialogkit.testing.events import Outcome, check_event
from dialogkit.testing.faults import Drop, Fault, HalfBody, Latency, SlowBody
from dialogkit.testing.injection import Injections, spoilt, substitute
from dialogkit.testing.limits import Limits, Tier, Verdict, Window
from dialogkit.testing.links import PREFIX
from dialogkit.testing.log import Log, LoggedRequest
from dialogkit.testing.platforms import Platform
from dialogkit.testing.registry import Answer, Call
from dialogkit.testing.schemas import Schemas
from dialogkit.testing.state import Credential, State
from dialogkit.testing.validation import RequestReader
from dialogkit.testing.webhooks import Webhooks
from dialogkit.testing.wire import Wire

_logger = logging.getLogger("dialogkit.testing")
_LARGEST_BODY: Final = 256 * 1024 * 1024
_NONSENSE: Final = 422


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the sandbox behaves."""

    platform: Platform
    tier: Tier | None
    """Whose rate limits hold; None for none at all."""
    api_key: str
    location_id: str
    seed: bool
    upload_limit: int
    """Largest file that an upload may have, in bytes."""
    validate_responses: bool
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    persistence: Persistence
    """How webhooks are delivered."""


@dataclass(frozen=True)
class _Target:
    """What a request is for."""

    method: str
    path: str
    match: Match | None
    operation: Operation | None


class SandboxApp:
    """A platform as an ASGI app, with its state in memory.

    All requests are handled in one event loop; `lock` guards the state against other threads.
    """

    def __init__(
        self,
        settings: Settings,
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
        self._reader = RequestReader(self._document, self._schemas)
        self.webhooks = Webhooks(
            settings.platform.name.lower(),
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
            self.state = State(settings.location_id, settings.clock)
            for key in settings.platform.keys[1:]:
                self.state.tokens[key] = Credential(f"api key {key}", "key")
            self.state.tokens[settings.api_key] = Credential("api key", "key")
            self._set_limits()
            self.failures.clear()
            self.injections.clear()
            self.log.clear()
            if settings.seed:
                settings.platform.seed(self.state)

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
        return Limits(windows, settings.monotonic, settings.platform.limit_headers, settings.clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] != "http":
            raise RuntimeError(f"The sandbox speaks HTTP only, not {scope['type']}.")
        target = self._target(scope)
        fault = self.injections.draw(target.operation)
        id_ = target.operation.id if target.operation else None
        logged = LoggedRequest(target.method, target.path, id_, None, type(fault).__name__ if fault else None)
        number = self.log.arrived(logged)
        wire = Wire(scope, receive, send)
        if isinstance(fault, Drop | HalfBody) and not wire.can_hang_up:
            self.log.ended(number, logged)
            raise self._cannot_hang_up(fault)
        dropped_unread = isinstance(fault, Drop) and not fault.after
        answer = None if dropped_unread else await self._outcome(fault, wire, Request(scope, receive), target)
        # The log is complete before the client can look at it.
        self.log.ended(number, replace(logged, status=answer.status if answer else None))
        if answer is not None:
            await wire.deliver(answer, fault if isinstance(fault, HalfBody | SlowBody) else None)
        elif isinstance(fault, Drop):
            await wire.hang_up(reset=fault.reset)

    def _target(self, scope: Scope) -> _Target:
        method, path = scope["method"], raw_path(scope)
        match = self._document.find(path)
        return _Target(method, path, match, match.operations.get(method) if match else None)

    async def _outcome(self, fault: Fault | None, wire: Wire, request: Request, target: _Target) -> Answer | None:
        """Return what to answer; None when the client has left, or is to be dropped."""
        with self.lock:
            trace_id = self.state.ids.uuid("trace")
        instead = substitute(fault, lambda refusal: self._refused(refusal, trace_id))
        after = fault is not None and fault.after
        try:
            body = await _read(request)
            if not after:
                await _delay(fault, wire)
            if instead is not None and not after:
                return instead
            answer = await self._answer(_with_body(request.scope, body), target, trace_id)
            if after:
                await _delay(fault, wire)
        except ClientDisconnect:
            return None
        if isinstance(fault, Drop):
            return None
        return instead or self._spoilt(fault, answer, target, trace_id)

    def _spoilt(self, fault: Fault | None, answer: Answer, target: _Target, trace_id: str) -> Answer:
        try:
            return spoilt(fault, answer)
        except Exception as error:  # noqa: BLE001 - a test's own Drift may fail with anything
            return self._failed(target, error, trace_id)

    async def _answer(self, request: Request, target: _Target, trace_id: str) -> Answer:
        state = self.state
        try:
            if target.path.startswith(PREFIX):
                return await self._file(request, target.path, state)
            answer = await self._serve(request, *_known(target), trace_id)
        except Refusal as refusal:
            answer = self._refused(refusal, trace_id)
        except Exception as error:  # noqa: BLE001 - whatever a handler failed with is a 500, as at the platform
            answer = self._failed(target, error, trace_id)
        return self._checked(target.operation, answer, trace_id)

    async def _serve(self, request: Request, match: Match, operation: Operation, trace_id: str) -> Answer:
        state = self.state
        credential = authenticate(request, operation, state)
        verdict = self._admit(operation, credential, peek_location(request, match, operation, await request.body()))
        try:
            _let_in(verdict)
            if not operation.public:
                require_headers(request, self.settings.platform.required_headers)
            arguments = await self._reader.read(operation, request, match.values)
            named = named_location(operation, arguments)
            call = Call(
                operation=operation,
                path=arguments.path,
                query=arguments.query,
                body=arguments.body or {},
                files=arguments.files,
                location_id=location_in_reach(named, credential, state),
                names_location=named is not None,
                credential=credential,
                state=state,
                base_url=f"{request.url.scheme}://{request.url.netloc}",
                trace_id=trace_id,
                upload_limit=self.settings.upload_limit,
                tier=self.settings.tier,
                webhooks=self.webhooks,
            )
            answer = self._handle(call)
        except Refusal as refusal:
            refusal.headers.update(verdict.headers)
            raise
        return replace(answer, headers={**verdict.headers, **answer.headers})

    def _admit(self, operation: Operation, credential: Credential, location_id: str | None) -> Verdict:
        limits = self._own_limits.get(operation.id, self._limits)
        if limits is None:
            return Verdict({})
        with self.lock:
            counted = location_id if location_id in self.state.locations else self.state.default_location
            return limits.admit((credential.name, counted), self._further_limits.get(operation.id))

    def _handle(self, call: Call) -> Answer:
        operation = call.operation
        handler = self.settings.platform.handlers[operation.id]
        with self.lock:
            result: Any = handler(call)
            if isinstance(result, Outcome):
                self.webhooks.announce(result.events)
                result = result.answer
            if isinstance(result, Answer):
                return result
            return Answer(operation.success) if result is None else Answer.json(operation.success, result)

    async def _file(self, request: Request, path: str, state: State) -> Answer:
        query, body = dict(request.query_params), await request.body()
        with self.lock:
            authorized = "authorization" in request.headers
            file = state.links.follow(request.method, path, query, authorized=authorized, body=body)
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
        if not self.settings.validate_responses or operation is None:
            return answer
        failure = check_answer(self._schemas, operation, answer)
        if failure is None:
            return answer
        self._fail(failure)
        return self._refused(Refusal(500, failure), trace_id)

    def _envelope(self, event: str, data: Mapping[str, Any], *, id_: str) -> Json:
        settings = self.settings
        now, here = settings.clock(), settings.location_id
        return settings.platform.envelope(event, data, id_=id_, now=now, location_id=here)

    def _event_problem(self, event: str, payload: Json) -> str | None:
        return check_event(self._document, self._schemas, event, payload) if self.settings.validate_responses else None

    def _fail(self, failure: str) -> None:
        _logger.error("%s", failure)
        self.failures.append(failure)

    def _failed(self, target: _Target, error: Exception, trace_id: str) -> Answer:
        _logger.error("The sandbox failed on %s %s.", target.method, target.path, exc_info=error)
        self.failures.append(f"{target.method} {target.path}: {error!r}")
        return self._refused(Refusal(500, "Internal Server Error"), trace_id)

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


def _known(target: _Target) -> tuple[Match, Operation]:
    if target.match is None:
        raise Refusal(404, f"Cannot {target.method} {target.path}")
    if target.operation is None:
        allowed = ", ".join(sorted(target.match.operations))
        raise Refusal(405, f"{target.path} takes {allowed}, not {target.method}", headers={"Allow": allowed})
    return target.match, target.operation


def _let_in(verdict: Verdict) -> None:
    if verdict.retry_after is not None:
        raise Refusal(429, "Too Many Requests")


async def _read(request: Request) -> bytes:
    """Read the body to its end, whatever becomes of it, so that the connection stays in step."""
    content = bytearray()
    async for chunk in request.stream():
        if len(content) + len(chunk) <= _LARGEST_BODY:
            content += chunk
    return bytes(content)


def _with_body(scope: Scope, body: bytes) -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(scope, receive)


async def _delay(fault: Fault | None, wire: Wire) -> None:
    if isinstance(fault, Latency) and await wire.left_within(fault.seconds):
        raise ClientDisconnect
