"""dialogkit in a FastAPI backend: clients that open and close with the app, and webhooks that are handled once.

    hooks = webhook_router("/webhooks/hoopai", webhooks.verifier())

    @hooks.on(models.InboundMessageEvent)
    async def reply(event: models.InboundMessageEvent, delivery: Delivery) -> None:
        hoop = delivery.client(HoopAI)
        await hoop.messages.send(type="SMS", contact_id=event.contact_id, message="Thanks!")

    app = FastAPI(lifespan=lambda app: lifespan(app, HoopAI))
    app.include_router(hooks)

It needs the extra `fastapi`: `pip install 'dialogkit[fastapi]'`.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar, cast

import anyio
import anyio.abc
import anyio.to_thread
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect, HTTPConnection

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

_STATE: Final = "dialogkit"
_GRACE: Final = 10.0
_MOST_RUNNING: Final = 1_000
_HANDLED: Final = {Claim.NEW: "handled", Claim.RUNNING: "running", Claim.DONE: "duplicate"}
_ACCEPTED: Final = {**_HANDLED, Claim.NEW: "accepted"}
_STATUSES: Final = {"running": 409, "failed": 500, "busy": 503, "unavailable": 503}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "It is handled, or was before, or nobody wants it."},
    401: {"description": "The delivery is not proven to come from the platform, or too old."},
    409: {"description": "The same delivery is just being handled."},
    413: {"description": "The body is too large."},
    422: {"description": "The signature is right, but the body cannot be read."},
    500: {"description": "A handler failed."},
    503: {"description": "It cannot be handled at the moment."},
}

_logger = logging.getLogger("dialogkit")


class _Running:
    """What one app has open: its clients, and the task group for its webhook handlers."""

    def __init__(self, clients: dict[type, object], tasks: anyio.abc.TaskGroup) -> None:
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
    app: FastAPI, *clients: Callable[[], AbstractAsyncContextManager[object]], grace: float = _GRACE
) -> AsyncGenerator[None]:
    """Open clients while `app` runs, and let webhook handlers finish before they are closed.

    Use it as the app's lifespan, `FastAPI(lifespan=lambda app: lifespan(app, HoopAI))`, or within one of your own.

    Args:
        app: The app, whose `state.dialogkit` is used.
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
            running = _Running(opened, tasks)
            setattr(app.state, _STATE, running)
            try:
                yield
            except Exception as exc:  # noqa: BLE001 - raised below, where the task group does not wrap it
                failure = exc
            finally:
                try:
                    await running.end(grace)
                finally:
                    delattr(app.state, _STATE)
        if failure is not None:
            raise failure


def client(kind: type[ClientT]) -> Callable[[HTTPConnection], ClientT]:
    """Return a dependency that gives the app's client: `hoop: Annotated[HoopAI, Depends(client(HoopAI))]`.

    Args:
        kind: The client's class.

    Raises:
        ConfigurationError: When a request comes: the app's lifespan has opened no such client.
    """

    def dependency(connection: HTTPConnection) -> ClientT:
        return _client_of(connection.app, kind)

    return dependency


def _running(app: Any) -> _Running:
    running = getattr(app.state, _STATE, None)
    if not isinstance(running, _Running):
        raise ConfigurationError(
            "the app's lifespan is not dialogkit's: make it with FastAPI(lifespan=lambda app: lifespan(app, HoopAI))"
        )
    return running


def _client_of(app: Any, kind: type[ClientT]) -> ClientT:
    found = next((each for each in _running(app).clients.values() if isinstance(each, kind)), None)
    if found is None:
        raise ConfigurationError(f"the app has no {kind.__name__}: give it to lifespan(app, {kind.__name__})")
    return found


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What a webhook handler may want to know besides the event."""

    app: Any
    """The app that received it."""
    event_type: str
    """The platform's name for the event."""
    id: str | None
    """The delivery's id, if it has one; it stays the same when the delivery is repeated."""
    payload: Any
    """The whole JSON object, as it came."""

    def client(self, kind: type[ClientT]) -> ClientT:
        """Return the app's client of a class.

        Raises:
            ConfigurationError: The app's lifespan has opened none.
        """
        return _client_of(self.app, kind)


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
    **options: Any,
) -> WebhookRouter:
    """Make a router that verifies webhooks, drops what was delivered before, and calls your handlers.

    Platforms wait a few seconds for an answer and repeat what was not answered. So the answer comes first, and the
    handlers run after it, in the task group of `lifespan`; a handler that fails is logged, and nothing is repeated,
    since the platform has been told that all is well. With `inline` the handlers run before the answer: one that fails
    is answered with 500, and called again when the platform repeats the delivery.

    Args:
        path: Where deliveries are posted.
        verifier: Proves and reads them, `dialogkit.hoopai.webhooks.verifier(...)` for example.
        dedupe: Remembers what was handled; a `MemoryDedupeStore` unless given. Several processes need a shared one.
        inline: Run the handlers before the answer.
        max_running: How many deliveries may be at work at once; beyond that the answer is 503.
        options: Of FastAPI's `APIRouter`: `prefix`, `tags`, `dependencies` and so on.
    """
    store = MemoryDedupeStore() if dedupe is None else dedupe
    receiver = _Receiver(verifier, store, inline=inline, max_running=max_running)
    return WebhookRouter(path, receiver, **options)


class _Receiver:
    """The endpoint: size → proof → seen before? → handlers."""

    def __init__(self, verifier: WebhookVerifier[Any], dedupe: DedupeStore, *, inline: bool, max_running: int) -> None:
        self.platform = verifier.format.platform
        self.handlers: list[tuple[tuple[type[Model], ...], _Handler]] = []
        self._verifier = verifier
        self._dedupe = dedupe
        self._inline = inline
        self._max_running = max_running
        self._at_work = 0

    async def receive(self, request: Request) -> JSONResponse:
        """Answer a delivery."""
        try:
            body = await _body(request, self._verifier.max_body)
            received = self._verifier.receive(body, request.headers.raw)
        except WebhookVerificationError as error:
            _logger.warning("%s", error)
            return JSONResponse({"detail": error.reason}, error.status)
        except ClientDisconnect:
            return JSONResponse({"detail": "disconnected"}, 400)
        handlers = [handler for events, handler in self.handlers if isinstance(received.event, events)]
        if not handlers:
            return _answer("ignored")
        return await self._handle_once(request.app, received, handlers)

    async def _handle_once(self, app: Any, received: WebhookDelivery[Any], handlers: list[_Handler]) -> JSONResponse:
        if self._at_work >= self._max_running:
            return _answer("busy")
        delivery = Delivery(app=app, event_type=received.type, id=received.id, payload=received.payload)
        work = partial(self._work, received, delivery, handlers)
        try:
            if self._inline:
                return _answer(_HANDLED[await work()])
            running = _running(app)
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
                "%s webhook %s: a handler failed; %s the platform repeats it", self.platform, received.type, then
            )
            raise _HandlerError from exc


class _HandlerError(Exception):
    """A handler failed, and that was logged."""


def _answer(status: str) -> JSONResponse:
    return JSONResponse({"status": status}, _STATUSES.get(status, 200))


async def _body(request: Request, most: int) -> bytes:
    """Return the body, but read no more of it than is needed to see that it is too large."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        chunks.append(chunk)
        size += len(chunk)
        if size > most:
            raise WebhookVerificationError(f"webhook refused: its body has more than {most} bytes", reason="too_large")
    return b"".join(chunks)


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
