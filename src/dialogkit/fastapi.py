"""dialogkit in a FastAPI backend: clients that open and close with the app, and webhooks that are handled once.

    hooks = webhook_router("/webhooks/hoopai", webhooks.verifier())

    @hooks.on(models.InboundMessageEvent)
    async def reply(event: models.InboundMessageEvent, delivery: Delivery) -> None:
        hoop = delivery.client(HoopAI)
        await hoop.messages.send(type="SMS", contact_id=event.contact_id, message="Thanks!")

    app = FastAPI(lifespan=lambda app: lifespan(app, HoopAI))
    app.include_router(hooks)

In tests, `app.dependency_overrides[client(HoopAI)] = ...` gives another client. It needs the extra `fastapi`:
`pip install 'dialogkit[fastapi]'`.
"""

from __future__ import annotations

import inspect
import logging
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final, TypeVar, cast

import anyio
import anyio.abc
import anyio.to_thread

try:
    from fastapi import APIRouter, Request
    from fastapi.responses import JSONResponse
    from starlette.applications import Starlette
    from starlette.requests import ClientDisconnect, HTTPConnection
except ModuleNotFoundError as exc:
    raise ImportError(
        f"dialogkit.fastapi needs the package {exc.name}: pip install 'dialogkit[fastapi]'", name=exc.name
    ) from exc

from dialogkit import (
    Claim,
    ConfigurationError,
    DedupeStore,
    MemoryDedupeStore,
    Model,
    WebhookDelivery,
    WebhookVerificationError,
    WebhookVerifier,
    handled_once,
)

__all__ = ["Delivery", "WebhookRouter", "client", "lifespan", "webhook_router"]

ClientT = TypeVar("ClientT")
HandlerT = TypeVar("HandlerT", bound=Callable[..., object])

_RUNNING: Final = "_dialogkit_running"
"""An attribute of the app's router: what is running, `None` when that has ended."""
_GRACE: Final = 10.0
_MOST_RUNNING: Final = 1_000
_READ_TIMEOUT: Final = 10.0
_WINDOW: Final = 60.0
_MOST_LINES: Final = 10
"""Refusals that are logged in one window: anybody can cause as many as they like."""
_HANDLED: Final = {Claim.NEW: "handled", Claim.RUNNING: "running", Claim.DONE: "duplicate"}
_ACCEPTED: Final = {**_HANDLED, Claim.NEW: "accepted"}
_STATUSES: Final = {"timeout": 408, "running": 409, "failed": 500, "busy": 503, "unavailable": 503}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "It is handled, or was before, or nobody wants it, or it is somebody else's."},
    401: {"description": "The delivery is not proven to come from the platform, or too old."},
    408: {"description": "The body did not come in time."},
    409: {"description": "The same delivery is just being handled."},
    413: {"description": "The body is too large."},
    422: {"description": "The signature is right, but the body cannot be read."},
    500: {"description": "A handler failed."},
    503: {"description": "It cannot be handled at the moment."},
}

_logger = logging.getLogger("dialogkit")


class _Running:
    """What one app has open: its clients, and the task group for its webhook handlers."""

    def __init__(self, app: Starlette, clients: dict[type, object], tasks: anyio.abc.TaskGroup) -> None:
        self.app = app
        self.clients = clients
        self.tasks = tasks
        self.handlers = 0
        self._idle = anyio.Event()

    @contextmanager
    def handler(self) -> Generator[None]:
        """Count a handler that is at work."""
        self.handlers += 1
        try:
            yield
        finally:
            self.handlers -= 1
            if not self.handlers:
                self._idle.set()

    async def end(self, grace: float) -> None:
        """Wait for the handlers that are at work, then cancel them."""
        with anyio.move_on_after(grace):
            while self.handlers:
                self._idle = anyio.Event()
                await self._idle.wait()
        self.tasks.cancel_scope.cancel()


@asynccontextmanager
async def lifespan(
    app: Starlette, *clients: Callable[[], AbstractAsyncContextManager[object]], grace: float = _GRACE
) -> AsyncGenerator[None]:
    """Open clients while `app` runs, and let webhook handlers finish before they are closed.

    Use it as the app's lifespan, `FastAPI(lifespan=lambda app: lifespan(app, HoopAI))`, or within one of your own.

    Args:
        app: The app. Others that are mounted in it find its clients, too.
        clients: Make the clients: their classes, or functions without arguments. One of each class.
        grace: Seconds that running webhook handlers may take when the app ends, before they are cancelled.

    Raises:
        ConfigurationError: There are two clients of one class, or one cannot be made.
    """
    opened: dict[type, object] = {}
    async with AsyncExitStack() as stack:
        for make in clients:
            made = await stack.enter_async_context(make())
            if type(made) in opened:
                raise ConfigurationError(
                    f"lifespan() was given two clients of {type(made).__name__}: give one, and use its views"
                )
            opened[type(made)] = made
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            running = _Running(app, opened, tasks)
            setattr(app.router, _RUNNING, running)
            try:
                yield
            except Exception as exc:  # noqa: BLE001 - raised below, where the task group does not wrap it
                failure = exc
            finally:
                try:
                    await running.end(grace)
                finally:
                    setattr(app.router, _RUNNING, None)
        if failure is not None:
            raise failure


def client(kind: type[ClientT]) -> Callable[[HTTPConnection], Awaitable[ClientT]]:
    """Return a dependency that gives the app's client: `hoop: Annotated[HoopAI, Depends(client(HoopAI))]`.

    It is the same object for the same class, and so a key for the app's `dependency_overrides`.

    Args:
        kind: The client's class.

    Raises:
        ConfigurationError: When a request comes: no lifespan has opened such a client.
    """
    return _dependency(cast("Any", kind))


@cache
def _dependency(kind: type[Any]) -> Callable[[HTTPConnection], Awaitable[Any]]:
    async def dependency(connection: HTTPConnection) -> Any:
        return _client_of(_running(connection.app, connection.scope.get("router")), kind)

    dependency.__name__ = dependency.__qualname__ = f"client({kind.__name__})"
    return dependency


def _find(app: Any, outermost: object = None) -> _Running | None:
    """Return what is running for `app`, or for the one that it is mounted in.

    A mounted app has no lifespan of its own, and of the outer one its requests know the router only.
    """
    return getattr(app.router, _RUNNING, None) or getattr(outermost, _RUNNING, None)


def _running(app: Any, outermost: object = None) -> _Running:
    """Do as `_find`, and say why there is nothing if that is so."""
    running = _find(app, outermost)
    if running is not None:
        return running
    if hasattr(app.router, _RUNNING) or hasattr(outermost, _RUNNING):
        raise ConfigurationError("the app has ended, and its clients are closed")
    if outermost is not None and outermost is not app.router:
        raise ConfigurationError(
            "this app is mounted in another one, and only that one's lifespan runs: make the outer app with "
            "FastAPI(lifespan=lambda app: lifespan(app, HoopAI))"
        )
    raise ConfigurationError(
        "no lifespan of dialogkit's runs: make the app with FastAPI(lifespan=lambda app: lifespan(app, HoopAI)). If it "
        "is made so, nobody has started it: in tests, `with TestClient(app) as test` does, TestClient(app) alone and "
        "httpx.ASGITransport do not"
    )


def _client_of(running: _Running, kind: type[ClientT]) -> ClientT:
    found = next((each for each in running.clients.values() if isinstance(each, kind)), None)
    if found is None:
        others = ", ".join(each.__name__ for each in running.clients) or "none at all"
        raise ConfigurationError(
            f"the app has no {kind.__name__}: give it to lifespan(app, {kind.__name__}), which was given {others}"
        )
    return found


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What a webhook handler may want to know besides the event."""

    app: Any
    """The app that received it; where that is mounted in another one, the one whose lifespan runs."""
    event_type: str
    """The platform's name for the event."""
    id: str | None
    """The delivery's id, if it has one; it stays the same when the delivery is repeated. The router has seen to it that
    nothing is handled twice."""
    payload: Any
    """The whole JSON object, as it came."""

    def client(self, kind: type[ClientT]) -> ClientT:
        """Return the app's client of a class.

        Raises:
            ConfigurationError: The app's lifespan has opened none.
        """
        return _client_of(_running(self.app), kind)


_Handler = Callable[[Model, Delivery], Awaitable[None]]


class WebhookRouter(APIRouter):
    """A router with one endpoint, which receives a platform's webhooks; `webhook_router` makes it."""

    def __init__(self, path: str, receiver: _Receiver, **options: Any) -> None:
        super().__init__(**options)
        self._receiver = receiver
        self.add_api_route(
            path,
            receiver.receive,
            methods=["POST"],
            name="webhook",
            summary=f"Receive {receiver.platform}'s webhooks",
            responses=_ANSWERS,
            response_class=JSONResponse,
            response_model=None,
        )

    def on(self, *events: type[Model]) -> Callable[[HandlerT], HandlerT]:
        """Register a function for events of these classes: `@hooks.on(models.InboundMessageEvent)`.

        It is called with the event, and with the `Delivery` if it takes two arguments. It may be async; if it is not,
        it runs in a thread. If several functions are registered for an event, they run one after the other.

        Args:
            events: Classes of events; subclasses count, so `Model` means every event.

        Raises:
            TypeError: There is no class, or the function takes neither one argument nor two.
        """
        if not events or not all(map(_is_event_class, events)):
            raise TypeError("on() takes classes of events: @hooks.on(models.InboundMessageEvent)")

        def register(handler: HandlerT) -> HandlerT:
            self._receiver.handlers.append((events, _adapted(handler)))
            return handler

        return register


def webhook_router(
    path: str,
    verifier: WebhookVerifier[Any],
    *,
    dedupe: DedupeStore | None = None,
    inline: bool = False,
    max_running: int = _MOST_RUNNING,
    read_timeout: float = _READ_TIMEOUT,
    **options: Any,
) -> WebhookRouter:
    """Make a router that verifies webhooks, drops what was delivered before, and calls your handlers.

    Platforms wait a few seconds for an answer and repeat what was not answered. So the answer comes first, and the
    handlers run after it, in the task group of `lifespan`; a handler that fails is logged, and nothing is repeated,
    since the platform has been told that all is well. Nothing is stored either: what a process has acknowledged and not
    yet handled when it dies is lost. With `inline` the handlers run before the answer: what fails is answered with 500
    and what dies not at all, and the handlers are called again when the platform repeats the delivery.

    What has no signature is refused before its body is read. Deliveries of locations that the verifier does not take
    are answered with 200 and dropped, since platforms count refusals against the app.

    Args:
        path: Where deliveries are posted.
        verifier: Proves and reads them, `dialogkit.hoopai.webhooks.verifier(...)` for example.
        dedupe: Remembers what was handled; a `MemoryDedupeStore` unless given. Several processes need a shared one.
        inline: Run the handlers before the answer.
        max_running: How many deliveries may be at work at once; beyond that the answer is 503.
        read_timeout: Seconds in which the body of a delivery must have come; after that the answer is 408.
        options: Of FastAPI's `APIRouter`: `prefix`, `tags`, `dependencies` and so on.

    Raises:
        ConfigurationError: `read_timeout` is no number of seconds.
    """
    if not 0 < read_timeout < math.inf:
        raise ConfigurationError(f"read_timeout must be a positive number of seconds, not {read_timeout!r}")
    store = MemoryDedupeStore() if dedupe is None else dedupe
    receiver = _Receiver(verifier, store, inline=inline, max_running=max_running, read_timeout=read_timeout)
    return WebhookRouter(path, receiver, **options)


class _Receiver:
    """The endpoint: signature there? → size and time → proof → whose → seen before? → handlers."""

    def __init__(
        self,
        verifier: WebhookVerifier[Any],
        dedupe: DedupeStore,
        *,
        inline: bool,
        max_running: int,
        read_timeout: float,
    ) -> None:
        self.platform = verifier.format.platform
        self.handlers: list[tuple[tuple[type[Model], ...], _Handler]] = []
        self._verifier = verifier
        self._dedupe = dedupe
        self._inline = inline
        self._max_running = max_running
        self._read_timeout = read_timeout
        self._at_work = 0
        self._refusals = _Refusals(self.platform)

    async def receive(self, request: Request) -> JSONResponse:
        """Answer a delivery."""
        headers = request.headers.raw
        try:
            self._verifier.check_headers(headers)
            body = await _body(request, self._verifier.max_body, self._read_timeout)
            if body is None:
                return _answer("timeout")
            received = await self._verifier.receive_async(body, headers)
        except WebhookVerificationError as error:
            self._refusals.log(error)
            if error.reason == "foreign":  # as what nobody wants: a stranger need not learn whose are taken
                return _answer("ignored")
            return JSONResponse({"detail": error.reason}, error.status)
        except ClientDisconnect:
            return JSONResponse({"detail": "disconnected"}, 400)
        except ConfigurationError:
            raise
        except Exception:
            _logger.exception("%s webhook: whose it is cannot be looked up; it has to be repeated", self.platform)
            return _answer("unavailable")
        return await self._dispatch(request, received)

    async def _dispatch(self, request: Request, received: WebhookDelivery[Any]) -> JSONResponse:
        handlers = [handler for events, handler in self.handlers if isinstance(received.event, events)]
        if not handlers:
            return _answer("ignored")
        if self._at_work >= self._max_running:
            return _answer("busy")
        running = (_find if self._inline else _running)(request.app, request.scope.get("router"))
        app = request.app if running is None else running.app
        delivery = Delivery(app=app, event_type=received.type, id=received.id, payload=received.payload)
        return await self._handle_once(partial(self._work, received, delivery, handlers), running)

    async def _handle_once(self, work: Callable[..., Awaitable[Claim]], running: _Running | None) -> JSONResponse:
        try:
            if self._inline or running is None:
                return _answer(_HANDLED[await work()])
            return _answer(_ACCEPTED[await running.tasks.start(self._in_background, running, work)])
        except _HandlerError:
            return _answer("failed")
        except ConfigurationError:
            raise
        except Exception:
            _logger.exception("%s webhook: what was handled cannot be looked up; it has to be repeated", self.platform)
            return _answer("unavailable")

    async def _in_background(
        self, running: _Running, work: Callable[..., Awaitable[Claim]], *, task_status: anyio.abc.TaskStatus[Claim]
    ) -> None:
        with running.handler(), suppress(_HandlerError):
            await work(task_status=task_status)

    async def _work(
        self,
        received: WebhookDelivery[Any],
        delivery: Delivery,
        handlers: list[_Handler],
        *,
        task_status: anyio.abc.TaskStatus[Claim] = anyio.TASK_STATUS_IGNORED,
    ) -> Claim:
        """Run the handlers if the delivery is ours to handle, and tell whose it is as soon as that is known."""
        self._at_work += 1
        try:
            async with handled_once(self._dedupe, received.key) as claim:
                task_status.started(claim)
                for handler in handlers if claim else ():
                    await self._run(handler, received, delivery)
            return claim
        finally:
            self._at_work -= 1

    async def _run(self, handler: _Handler, received: WebhookDelivery[Any], delivery: Delivery) -> None:
        try:
            await handler(received.event, delivery)
        except Exception as exc:
            then = "it is called again when" if self._inline else "the delivery was acknowledged, so it is lost unless"
            _logger.exception(
                "%s webhook %s: a handler failed; %s the platform repeats it",
                self.platform,
                _printable(received.type),
                then,
            )
            raise _HandlerError from exc


class _HandlerError(Exception):
    """A handler failed, and that was logged."""


def _printable(text: str) -> str:
    """Return words of the platform's so that they cannot forge a line of the log."""
    return repr(text[:100])[1:-1]


class _Refusals:
    """Logs what was refused, and when that is much, how much it was: whoever forges deliveries fills no disk.

    Args:
        platform: As users write it.
        clock: Returns seconds that never run backwards.
    """

    def __init__(self, platform: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._platform = platform
        self._clock = clock
        self._until = -math.inf
        self._count = 0

    def log(self, error: WebhookVerificationError) -> None:
        """Log a refusal, if not many have been logged lately."""
        now = self._clock()
        if now >= self._until:
            if (unsaid := self._count - _MOST_LINES) > 0:
                _logger.warning("%s webhooks: %d more were refused, which was not logged", self._platform, unsaid)
            self._until, self._count = now + _WINDOW, 0
        self._count += 1
        if self._count <= _MOST_LINES:
            _logger.warning("%s", error)


def _answer(status: str) -> JSONResponse:
    return JSONResponse({"status": status}, _STATUSES.get(status, 200))


async def _body(request: Request, most: int, seconds: float) -> bytes | None:
    """Return the body, `None` if it takes too long; read no more of it than is needed to see that it is too large."""
    chunks: list[bytes] = []
    size = 0
    with anyio.move_on_after(seconds):
        async for chunk in request.stream():
            chunks.append(chunk)
            size += len(chunk)
            if size > most:
                message = f"webhook refused: its body has more than {most} bytes"
                raise WebhookVerificationError(message, reason="too_large")
        return b"".join(chunks)
    return None


def _is_event_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Model)


def _adapted(handler: Callable[..., object]) -> _Handler:
    """Return `handler` as an async function of two arguments."""
    parameters = inspect.signature(handler).parameters.values()
    positional = [each for each in parameters if each.kind in {each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD}]
    required = [each for each in positional if each.default is each.empty]
    takes = 2 if any(each.kind is each.VAR_POSITIONAL for each in parameters) else min(len(positional), 2)
    if not takes or len(required) > takes:
        raise TypeError(f"a webhook handler takes the event, and the Delivery if it likes, but {handler!r} does not")

    async def call(event: Model, delivery: Delivery) -> None:
        arguments = (event, delivery)[:takes]
        if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None)):  # noqa: B004 - not whether
            await cast("Awaitable[object]", handler(*arguments))
        else:
            await anyio.to_thread.run_sync(partial(handler, *arguments))

    return call
