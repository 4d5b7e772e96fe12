"""Starting, stopping, and being used from every kind of code."""

from __future__ import annotations

import importlib.util
import logging
import socket
import threading
from collections.abc import Mapping
from dataclasses import replace
from importlib.machinery import ModuleSpec
from typing import Any

import anyio
import httpx
import pytest
import trio

import dialogkit.testing
from dialogkit.testing import LoggedRequest, Sandbox, SandboxError
from dialogkit.testing.engine.registry import Call, Registry
from dialogkit.testing.hoopai import errors
from dialogkit.testing.hoopai.platform import PLATFORM as HOOPAI
from tests.testing.tools import HERE, VERSION, client_of, ok, refused

KEY = {"Authorization": "Bearer sandbox-key", **VERSION}


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "dialogkit-sandbox"]


def test_from_synchronous_code() -> None:
    with Sandbox() as sandbox, client_of(sandbox) as api:
        assert ok(api.get("/conversations/bots", params=HERE))["total"] == 1
        port = int(sandbox.url.rpartition(":")[2])
    with pytest.raises(httpx.ConnectError):
        httpx.get(sandbox.url)
    with Sandbox(port=port) as again:
        assert again.url == sandbox.url


async def from_asynchronous_code() -> int:
    async with Sandbox() as sandbox, httpx.AsyncClient(base_url=sandbox.url, headers=KEY) as api:
        answers: list[httpx.Response] = []

        async def get() -> None:
            answers.append(await api.get("/conversations/bots", params=HERE))

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(get)
        return sum(answer.status_code == 200 for answer in answers)


async def test_from_asyncio() -> None:
    assert await from_asynchronous_code() == 5


def test_from_trio() -> None:
    assert trio.run(from_asynchronous_code) == 5


async def test_it_stops_when_it_is_cancelled() -> None:
    before = len(threads())
    with anyio.move_on_after(0):
        async with Sandbox(tier=None):
            await anyio.sleep_forever()
    assert len(threads()) == before


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SandboxError, match=f"cannot listen on 127.0.0.1:{port}"), Sandbox(port=port):
            pass


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(SandboxError, match=r"cannot listen on 192\.0\.2\.1:0"):
        Sandbox(host="192.0.2.1").start()


def test_a_server_that_fails_to_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no loop today")

    monkeypatch.setattr("dialogkit.testing.serving.server.uvicorn.Config", fail)
    with pytest.raises(SandboxError, match="did not start"):
        Sandbox().start()


def test_stopping_twice_does_nothing() -> None:
    sandbox = Sandbox()
    sandbox.stop()
    sandbox.start()
    sandbox.stop()
    sandbox.stop()


def test_ipv6() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with Sandbox(host="::1") as sandbox, client_of(sandbox) as api:
        assert "[::1]" in sandbox.url
        ok(api.get("/conversations/bots", params=HERE))


def test_connections_that_are_kept_alive_do_not_hold_it_up() -> None:
    client = httpx.Client(headers=KEY)
    with Sandbox() as sandbox:
        ok(client.get(f"{sandbox.url}/conversations/bots", params=HERE))
    client.close()


def test_reset_forgets(sandbox: Sandbox, api: httpx.Client) -> None:
    first = ok(api.post("/conversations/bots", json={**HERE, "name": "B", "systemPrompt": ""}))
    sandbox.reset()
    assert sandbox.requests == ()
    assert ok(api.get("/conversations/bots", params=HERE))["total"] == 1
    second = ok(api.post("/conversations/bots", json={**HERE, "name": "B", "systemPrompt": ""}))
    assert first == second, "ids and times repeat"
    assert len(first["id"]) == 20


def test_ids_do_not_depend_on_what_else_was_made() -> None:
    def conversation(agents: int) -> str:
        sandbox = Sandbox(seed=False)
        sandbox.add_agents(agents)
        return sandbox.add_conversations(1)[0]

    assert conversation(0) == conversation(3)


def test_without_a_seed_it_is_empty() -> None:
    with Sandbox(seed=False) as sandbox, client_of(sandbox) as api:
        assert ok(api.get("/conversations/"))["total"] == 0
        assert ok(api.get("/conversations/bots", params=HERE))["total"] == 0


def test_own_key_and_location() -> None:
    with Sandbox(api_key="mine", location_id="loc_mine") as sandbox, client_of(sandbox) as api:
        assert sandbox.location_id == "loc_mine"
        ok(api.get("/conversations/bots", params={"locationId": "loc_mine"}))
        refused(api.get("/conversations/bots", params=HERE), 403)


def test_on_request_hears_of_each_request() -> None:
    heard: list[LoggedRequest] = []
    with Sandbox(on_request=heard.append) as sandbox, client_of(sandbox) as api:
        api.get("/conversations/bots", params=HERE)
    assert heard == list(sandbox.requests)


async def test_it_is_an_asgi_app_too() -> None:
    transport = httpx.ASGITransport(app=Sandbox(validate_responses=True).app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox", headers=KEY) as api:
        assert ok(await api.get("/conversations/bots", params=HERE))["total"] == 1
        link = ok(await api.get("/voice-ai/calls/call_1/recording", params=HERE))["url"]
        assert link.startswith("http://sandbox/_sandbox/")


async def test_it_speaks_nothing_but_http() -> None:
    async def never() -> Any:
        raise AssertionError

    async def ignore(_: Any) -> None:
        pass

    with pytest.raises(RuntimeError, match="HTTP only, not websocket"):
        await Sandbox().app({"type": "websocket"}, never, ignore)


def answering(**handlers: Any) -> Registry:
    registry = Registry()
    for id_, handler in handlers.items():
        registry.handles(id_)(handler)
    return registry


def test_an_answer_that_does_not_conform_is_loud(caplog: pytest.LogCaptureFixture) -> None:
    def wrong(_: Call) -> Mapping[str, Any]:
        return {"bots": "none"}

    def broken(_: Call) -> None:
        raise ZeroDivisionError("by design")

    def empty(_: Call) -> None:
        return None

    platform = replace(HOOPAI, handlers=answering(list_bots=wrong, get_bot=broken, list_voice_agents=empty))
    sandbox = Sandbox(platform=platform, validate_responses=True)
    sandbox.start()
    with client_of(sandbox) as api, caplog.at_level(logging.CRITICAL, "dialogkit.testing"):
        message = refused(api.get("/conversations/bots", params=HERE), 500)
        assert "answer 200 to list_bots does not conform to the document: bots must be an array" in message
        assert refused(api.get("/conversations/bots/1", params=HERE), 500) == "Internal Server Error"
        assert "its type is None" in refused(api.get("/voice-ai/agents", params=HERE), 500)
    with pytest.raises(SandboxError, match=r"(?s)list_bots.*ZeroDivisionError"):
        sandbox.stop()


def test_unless_told_to_it_does_not_check_its_answers() -> None:
    def wrong(_: Call) -> Mapping[str, Any]:
        return {"bots": "none"}

    with Sandbox(platform=replace(HOOPAI, handlers=answering(list_bots=wrong))) as sandbox, client_of(sandbox) as api:
        assert ok(api.get("/conversations/bots", params=HERE)) == {"bots": "none"}


def test_another_platform_can_be_stood_in_for() -> None:
    def own_body(refusal: Any, _: str) -> dict[str, Any]:
        return {"fault": refusal.message}

    def nothing(_: object) -> None:
        pass

    platform = replace(HOOPAI, error_body=own_body, check_headers=nothing, seed=nothing)
    with Sandbox(platform=platform) as sandbox:
        headers = {"Authorization": f"Bearer {sandbox.api_key}"}
        assert httpx.get(f"{sandbox.url}/conversations/bots/1", headers=headers, params=HERE).json() == {
            "fault": "There is no bot with the id '1'."
        }
    assert errors.body is HOOPAI.error_body


def test_an_operation_without_a_handler_says_what_to_do() -> None:
    sandbox = Sandbox(platform=replace(HOOPAI, handlers=Registry()), validate_responses=True)
    sandbox.start()
    with client_of(sandbox) as api:
        message = refused(api.get("/conversations/bots/bot_1", params=HERE), 501)
    assert "get_bot (GET /conversations/bots/{botId})" in message
    assert "Register a handler" in message
    with pytest.raises(SandboxError, match="does nothing yet for get_bot"):
        sandbox.stop()


def test_one_operation_has_one_handler() -> None:
    registry = Registry()
    registry.handles("list_bots")(lambda _: None)
    with pytest.raises(ValueError, match="two handlers for list_bots"):
        registry.handles("list_bots")(lambda _: None)


def test_an_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> ModuleSpec | None:
        return None if name == "uvicorn" else importlib.util.find_spec(name)

    monkeypatch.setattr(dialogkit.testing, "find_spec", find)
    monkeypatch.delitem(vars(dialogkit.testing), "Tier", raising=False)
    with pytest.raises(ImportError, match=r"uvicorn.*pip install 'dialogkit\[testing\]'"):
        _ = dialogkit.testing.Tier
    with pytest.raises(AttributeError, match="no attribute 'Sandpit'"):
        getattr(dialogkit.testing, "Sandpit")  # noqa: B009 - what a typo does at run time
    assert dir(dialogkit.testing) == sorted(dialogkit.testing.__all__)
