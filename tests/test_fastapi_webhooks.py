"""`dialogkit.fastapi`: clients of the app, and webhooks that are handled once."""

from __future__ import annotations

import inspect
import json
import logging
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from dialogkit import Claim, ConfigurationError, ConvoAI, HoopAI, MemoryDedupeStore, Model
from dialogkit.fastapi import Delivery, WebhookRouter, client, lifespan, webhook_router
from dialogkit.hoopai import models, webhooks
from dialogkit.testing import WebhookSigner
from tests.support.backends import on_every_backend

PATH = "/webhooks/hoopai"
SIGNER = WebhookSigner()
INBOUND = {"type": "InboundMessage", "locationId": "loc_1", "contactId": "c1", "body": "Hello!"}
ESCALATED = {"type": "ConversationEscalated", "locationId": "loc_1", "conversationId": "conv_1"}


def hooks_of(**options: Any) -> WebhookRouter:
    return webhook_router(PATH, webhooks.verifier(public_key=SIGNER.public_key, max_body=10_000), **options)


@asynccontextmanager
async def running(hooks: WebhookRouter, *clients: Callable[[], Any], grace: float = 10) -> AsyncGenerator[Post]:
    app = FastAPI(lifespan=lambda app: lifespan(app, *clients, grace=grace))
    app.include_router(hooks)
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://app") as http:

        async def post(payload: dict[str, Any] | bytes = INBOUND, **headers: str) -> httpx.Response:
            signed = SIGNER.sign(payload)
            return await http.post(PATH, content=signed.body, headers={**signed.headers, **headers})

        yield post


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await anyio.lowlevel.checkpoint()


Post = Callable[..., Coroutine[Any, Any, httpx.Response]]


@on_every_backend
async def test_the_answer_comes_first() -> None:
    hooks, began, go_on, seen = hooks_of(), anyio.Event(), anyio.Event(), list[Model]()

    @hooks.on(models.InboundMessageEvent)
    async def handle(event: models.InboundMessageEvent) -> None:  # pyright: ignore[reportUnusedFunction]
        began.set()
        await go_on.wait()
        seen.append(event)

    async with running(hooks) as post:
        answer = await post()
        assert (answer.status_code, answer.json()) == (200, {"status": "accepted"})
        await began.wait()
        assert not seen
        go_on.set()
    (event,) = seen  # the app has waited for it
    assert isinstance(event, models.InboundMessageEvent)
    assert event.body == "Hello!"


async def test_handlers_get_what_they_are_registered_for() -> None:
    hooks, seen = hooks_of(inline=True), list[str]()

    @hooks.on(models.InboundMessageEvent, models.ConversationEscalatedEvent)
    async def both(event: Model) -> None:  # pyright: ignore[reportUnusedFunction]
        seen.append("both")

    @hooks.on(models.ConversationEscalatedEvent)
    def in_a_thread(event: models.ConversationEscalatedEvent, delivery: Delivery) -> None:  # pyright: ignore[reportUnusedFunction]
        assert threading.current_thread() is not threading.main_thread()
        seen.append(f"{delivery.event_type} {delivery.payload['conversationId']} {bool(delivery.id)}")

    @hooks.on(Model)
    async def everything(event: Model) -> None:  # pyright: ignore[reportUnusedFunction]
        seen.append("everything")

    async with running(hooks) as post:
        await post()
        assert (await post(ESCALATED)).json() == {"status": "handled"}
        await post({"type": "SomethingNew", "x": 1})
    assert seen == [
        "both", "everything", "both", "ConversationEscalated conv_1 True", "everything", "everything",
    ]  # fmt: skip


async def test_what_nobody_wants_is_acknowledged() -> None:
    async with running(hooks_of()) as post:
        assert (await post()).json() == {"status": "ignored"}


async def test_a_handler_reaches_the_apps_client() -> None:
    hooks, found = hooks_of(inline=True), list[HoopAI]()

    @hooks.on(Model)
    async def handle(event: Model, delivery: Delivery) -> None:  # pyright: ignore[reportUnusedFunction]
        found.append(delivery.client(HoopAI))

    async with running(hooks, lambda: HoopAI("key_for_tests")) as post:
        await post()
        assert not found[0]._connection.closed
    assert found[0]._connection.closed


@pytest.mark.parametrize("inline", [True, False])
async def test_what_was_handled_is_not_handled_again(inline: bool) -> None:
    hooks, seen = hooks_of(inline=inline), list[Model]()
    hooks.on(Model)(seen.append)
    payload = {**INBOUND, "webhookId": "delivery_1"}
    async with running(hooks) as post:
        await post(payload)
        await until(lambda: bool(seen))
        answers = [(await post(payload)).json()["status"] for _ in range(3)]
    assert set(answers) <= {"duplicate", "running"}
    assert answers[-1] == "duplicate"
    assert len(seen) == 1


async def test_two_at_once_are_handled_once() -> None:
    hooks, began, go_on, seen = hooks_of(inline=True), anyio.Event(), anyio.Event(), list[Model]()

    @hooks.on(Model)
    async def handle(event: Model) -> None:  # pyright: ignore[reportUnusedFunction]
        seen.append(event)
        began.set()
        await go_on.wait()

    payload = {**INBOUND, "webhookId": "delivery_1"}
    async with running(hooks) as post, anyio.create_task_group() as tasks:
        tasks.start_soon(post, payload)
        await began.wait()
        assert (await post(payload)).status_code == 409
        go_on.set()
    assert len(seen) == 1


@pytest.mark.parametrize(("inline", "status"), [(True, 500), (False, 200)])
async def test_a_handler_that_fails_releases_its_claim(
    inline: bool, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    store, calls = MemoryDedupeStore(), list[int]()
    hooks = hooks_of(inline=inline, dedupe=store)

    @hooks.on(Model)
    async def handle(event: Model) -> None:  # pyright: ignore[reportUnusedFunction]
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("the handler's own fault")

    payload = {**INBOUND, "webhookId": "delivery_1"}
    async with running(hooks) as post:
        assert (await post(payload)).status_code == status
        await until(lambda: not len(store))
        assert (await post(payload)).status_code == 200
    assert len(calls) == 2
    assert await store.claim("hoopai:id:delivery_1") is Claim.DONE
    (failure,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "HoopAI webhook InboundMessage: a handler failed" in failure.getMessage()
    assert failure.exc_info


async def test_a_handler_that_outlasts_the_app_is_cancelled_and_released() -> None:
    store, began = MemoryDedupeStore(), anyio.Event()
    hooks = hooks_of(dedupe=store)

    @hooks.on(Model)
    async def handle(event: Model) -> None:  # pyright: ignore[reportUnusedFunction]
        began.set()
        await anyio.sleep_forever()

    async with running(hooks, grace=0.01) as post:
        await post()
        await began.wait()
    assert not len(store)


def _hostile() -> list[tuple[str, dict[str, Any], int, str]]:
    signed = SIGNER.sign(INBOUND)
    other = WebhookSigner().sign(INBOUND)
    old = SIGNER.sign({**INBOUND, "timestamp": "2020-01-01T00:00:00Z"})
    text = SIGNER.sign(b"\xff\xfe not JSON")
    deep = SIGNER.sign(b"[" * 9_000)
    return [
        ("unsigned", {"content": signed.body}, 401, "missing_signature"),
        ("signed by another key", {"content": other.body, "headers": other.headers}, 401, "bad_signature"),
        ("changed", {"content": signed.body + b" ", "headers": signed.headers}, 401, "bad_signature"),
        ("old", {"content": old.body, "headers": old.headers}, 401, "stale"),
        ("large", {"content": b"x" * 10_001, "headers": signed.headers}, 413, "too_large"),
        ("no JSON", {"content": text.body, "headers": text.headers}, 422, "malformed"),
        ("deep", {"content": deep.body, "headers": deep.headers}, 422, "malformed"),
    ]


@pytest.mark.parametrize(
    ("request_", "status", "reason"), [each[1:] for each in _hostile()], ids=[each[0] for each in _hostile()]
)
async def test_what_is_not_proven_is_refused(request_: dict[str, Any], status: int, reason: str) -> None:
    hooks, seen = hooks_of(inline=True), list[Model]()
    hooks.on(Model)(seen.append)
    app = FastAPI()
    app.include_router(hooks)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as http:
        answer = await http.post(PATH, **request_)
    assert (answer.status_code, answer.json()) == (status, {"detail": reason})
    assert not seen


async def test_too_many_at_once_are_to_be_delivered_again() -> None:
    hooks, began, go_on = hooks_of(max_running=1), anyio.Event(), anyio.Event()

    @hooks.on(Model)
    async def handle(event: Model) -> None:  # pyright: ignore[reportUnusedFunction]
        began.set()
        await go_on.wait()

    async with running(hooks) as post:
        await post()
        await began.wait()
        assert (await post()).status_code == 503
        go_on.set()


async def test_a_store_that_fails_means_deliver_again(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MemoryDedupeStore):
        async def claim(self, key: str) -> Claim:
            raise OSError("the store is away")

    for inline in (True, False):
        hooks = hooks_of(dedupe=Broken(), inline=inline)
        hooks.on(Model)(print)
        async with running(hooks) as post:
            assert (await post()).status_code == 503
    assert "cannot be looked up" in caplog.text


async def test_without_the_lifespan_the_error_says_what_to_do() -> None:
    hooks = hooks_of()
    hooks.on(Model)(print)
    app = FastAPI()
    app.include_router(hooks)
    signed = SIGNER.sign(INBOUND)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as http:
        with pytest.raises(ConfigurationError, match=r"FastAPI\(lifespan="):
            await http.post(PATH, content=signed.body, headers=dict(signed.headers))


@on_every_backend
async def test_clients_are_dependencies() -> None:
    app = FastAPI(lifespan=lambda app: lifespan(app, lambda: HoopAI("key_for_tests", location_id="loc_1")))

    @app.get("/")
    async def where(hoop: Annotated[HoopAI, Depends(client(HoopAI))]) -> str:  # pyright: ignore[reportUnusedFunction]
        return repr(hoop)

    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as http,
    ):
        assert "loc_1" in (await http.get("/")).text


async def test_two_clients_of_a_kind_are_refused() -> None:
    app = FastAPI(lifespan=lambda app: lifespan(app, *[lambda: HoopAI("key_for_tests")] * 2))
    with pytest.raises(ConfigurationError, match="two clients of HoopAI"):
        async with app.router.lifespan_context(app):
            pass


async def test_what_fails_in_a_lifespan_of_ones_own_comes_out_as_it_is() -> None:
    app = FastAPI()
    with pytest.raises(RuntimeError, match="of one's own"):
        async with lifespan(app):
            raise RuntimeError("of one's own")
    assert not hasattr(app.state, "dialogkit")


async def test_an_unknown_client_is_named() -> None:
    app = FastAPI(lifespan=lifespan)
    async with app.router.lifespan_context(app):
        delivery = Delivery(app=app, event_type="x", id=None, payload={})
        with pytest.raises(ConfigurationError, match=r"give it to lifespan\(app, HoopAI\)"):
            delivery.client(HoopAI)


def test_the_answers_are_documented() -> None:
    app = FastAPI()
    app.include_router(hooks_of())
    assert {"200", "401", "409", "413", "422", "500", "503"} <= app.openapi()["paths"][PATH]["post"]["responses"].keys()
    assert json.dumps(app.openapi()).count("request") == 0  # the request is read as it is, and is no parameter


def no_argument() -> None: ...
def three_arguments(event: object, delivery: object, more: object) -> None: ...


@pytest.mark.parametrize("handler", [no_argument, three_arguments])
def test_handlers_take_one_argument_or_two(handler: Callable[..., None]) -> None:
    with pytest.raises(TypeError, match="takes the event"):
        hooks_of().on(Model)(handler)


def test_events_are_classes() -> None:
    wrong: Any = "InboundMessage"
    for events in ((), (wrong,)):
        with pytest.raises(TypeError, match="takes classes of events"):
            hooks_of().on(*events)


# ------------------------------------------------------------------------------------------------ strangers at the door

Send = Callable[[], Coroutine[Any, Any, dict[str, Any]]]


async def answer_of(hooks: WebhookRouter, headers: dict[str, str], receive: Send) -> int:
    """Return the status that a request gets, whose body comes from `receive`."""
    app, statuses = FastAPI(), list[int]()
    app.include_router(hooks)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "method": "POST",
        "path": PATH,
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    await app(scope, receive, send)
    (status,) = statuses
    return status


async def unread() -> dict[str, Any]:
    raise AssertionError("the body was read")


@pytest.mark.parametrize("headers", [{}, {"X-GHL-Signature": "N/A"}, {"x-wh-signature": "of a scheme that is not on"}])
async def test_without_a_signature_no_body_is_read(headers: dict[str, str]) -> None:
    assert await answer_of(hooks_of(), headers, unread) == 401


@on_every_backend
async def test_a_body_that_drips_is_not_waited_for() -> None:
    pieces = iter(["{", '"type"'])

    async def drip() -> dict[str, Any]:
        for piece in pieces:
            return {"type": "http.request", "body": piece.encode(), "more_body": True}
        await anyio.sleep_forever()
        raise AssertionError("unreachable")

    assert await answer_of(hooks_of(read_timeout=0.01), {"X-GHL-Signature": "AAAA"}, drip) == 408


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_a_read_timeout_is_a_number_of_seconds(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match="read_timeout"):
        hooks_of(read_timeout=seconds)


async def test_forgeries_fill_no_log(caplog: pytest.LogCaptureFixture) -> None:
    hooks, clock = hooks_of(), [0.0]
    hooks._receiver._refusals._clock = lambda: clock[0]

    async def forge(times: int) -> list[str]:
        caplog.clear()
        for _ in range(times):
            assert await answer_of(hooks, {}, unread) == 401
        return [each.getMessage() for each in caplog.records]

    assert len(await forge(500)) == 10
    clock[0] += 59
    assert await forge(1) == []
    clock[0] += 1
    first, second = await forge(1)
    assert first == "HoopAI webhooks: 491 more were refused, which was not logged"
    assert "has no X-GHL-Signature" in second


async def test_what_the_platform_calls_an_event_forges_no_line(caplog: pytest.LogCaptureFixture) -> None:
    hooks = hooks_of(inline=True)

    @hooks.on(Model)
    async def handle(event: Model) -> None:  # pyright: ignore[reportUnusedFunction]
        raise RuntimeError("the handler's own fault")

    async with running(hooks) as post:
        await post({"type": "x\n2027-01-01 CRITICAL forged\x1b[2J\u202e" + "y" * 1_000})
    (failure,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert failure.getMessage().isprintable()
    assert len(failure.getMessage()) < 300


# ------------------------------------------------------------------------------------------- whose deliveries are taken


@pytest.mark.parametrize("is_async", [False, True])
async def test_deliveries_of_other_locations_are_acknowledged_and_dropped(
    is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def ours(location_id: str) -> bool:
        await anyio.lowlevel.checkpoint()
        return location_id == "loc_1"

    location_ids: Any = ours if is_async else {"loc_1"}
    hooks = webhook_router(
        PATH, webhooks.verifier(public_key=SIGNER.public_key, location_ids=location_ids), inline=True
    )
    seen = list[Model]()
    hooks.on(Model)(seen.append)
    async with running(hooks) as post:
        assert (await post()).json() == {"status": "handled"}
        answer = await post({**INBOUND, "locationId": "loc_9"})
    assert (answer.status_code, answer.json()) == (200, {"status": "ignored"})
    assert len(seen) == 1
    assert "about loc_9, whom location_ids does not take" in caplog.text


async def test_what_cannot_be_looked_up_is_to_be_delivered_again(caplog: pytest.LogCaptureFixture) -> None:
    def fail(location_id: str) -> bool:
        raise OSError("the token store is away")

    hooks = webhook_router(PATH, webhooks.verifier(public_key=SIGNER.public_key, location_ids=fail), inline=True)
    hooks.on(Model)(print)
    async with running(hooks) as post:
        assert (await post()).status_code == 503
    assert "whose it is cannot be looked up" in caplog.text


# ----------------------------------------------------------------------------------------------------- the app's client


@asynccontextmanager
async def served(app: Starlette, *, started: bool = True) -> AsyncGenerator[httpx.AsyncClient]:
    async with AsyncExitStack() as stack:
        if started:
            await stack.enter_async_context(app.router.lifespan_context(app))
        transport = httpx.ASGITransport(app)
        yield await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://app"))


async def test_a_dependency_can_be_overridden() -> None:
    assert client(HoopAI) is client(HoopAI)
    assert len({client(HoopAI), client(ConvoAI), client(HoopAI)}) == 2
    assert inspect.iscoroutinefunction(client(HoopAI))
    app = FastAPI(lifespan=lambda app: lifespan(app, lambda: HoopAI("key_for_tests")))

    @app.get("/")
    async def who(hoop: Annotated[object, Depends(client(HoopAI))]) -> str:  # pyright: ignore[reportUnusedFunction]
        return type(hoop).__name__

    app.dependency_overrides[client(HoopAI)] = lambda: 5
    async with served(app) as http:
        assert (await http.get("/")).json() == "int"
        app.dependency_overrides.clear()
        assert (await http.get("/")).json() == "HoopAI"


def mounted(inner: FastAPI) -> Starlette:
    outer = Starlette(lifespan=lambda app: lifespan(app, lambda: HoopAI("key_for_tests", location_id="loc_1")))
    outer.mount("/deep", Starlette(routes=[Mount("/inner", inner)]))
    return outer


@on_every_backend
async def test_a_mounted_app_finds_the_outer_one_s_client() -> None:
    inner, hooks, found = FastAPI(), hooks_of(), list[HoopAI]()

    @inner.get("/")
    async def where(hoop: Annotated[HoopAI, Depends(client(HoopAI))]) -> str:  # pyright: ignore[reportUnusedFunction]
        return repr(hoop)

    @hooks.on(Model)
    async def handle(event: Model, delivery: Delivery) -> None:  # pyright: ignore[reportUnusedFunction]
        found.append(delivery.client(HoopAI))

    inner.include_router(hooks)
    signed = SIGNER.sign(INBOUND)
    async with served(mounted(inner)) as http:
        assert "loc_1" in (await http.get("/deep/inner/")).text
        answer = await http.post("/deep/inner" + PATH, content=signed.body, headers=dict(signed.headers))
        assert answer.json() == {"status": "accepted"}
    assert len(found) == 1


def asking() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def where(hoop: Annotated[HoopAI, Depends(client(HoopAI))]) -> None:  # pyright: ignore[reportUnusedFunction]
        raise AssertionError(f"{hoop} was found")

    return app


async def cause(app: Starlette, path: str = "/", *, started: bool = True) -> str:
    async with served(app, started=started) as http:
        with pytest.raises(ConfigurationError) as caught:
            await http.get(path)
    return str(caught.value)


async def test_the_error_names_the_real_cause() -> None:
    app = asking()
    assert "no lifespan of dialogkit's runs" in await cause(app)
    app.router.lifespan_context = lambda app: lifespan(app, lambda: ConvoAI("ck_test_0"))
    assert "`with TestClient(app) as test` does" in await cause(app, started=False)
    assert "no HoopAI: give it to lifespan(app, HoopAI), which was given ConvoAI" in await cause(app)
    assert "the app has ended" in await cause(app, started=False)
    outer = Starlette(routes=[Mount("/inner", asking())])
    assert "this app is mounted in another one" in await cause(outer, "/inner/")
    assert "which was given none at all" in await cause(FastAPI(lifespan=lifespan, routes=asking().routes))


def test_without_the_extra_the_import_says_so() -> None:
    code = "import sys; sys.modules['fastapi'] = None; import dialogkit.fastapi"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = result.stderr.strip().splitlines()[-1]
    assert last == "ImportError: dialogkit.fastapi needs the package fastapi: pip install 'dialogkit[fastapi]'"
