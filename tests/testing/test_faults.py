"""Faults: what the client gets, what the platform has done, and what the log says."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio
import httpx
import pytest

from dialogkit.testing import LoggedRequest, Sandbox, SandboxError, faults
from dialogkit.testing.engine.registry import Answer
from dialogkit.testing.faults import Fault
from tests.testing.faulty import BOT, BOTS, FOREVER, Heard, answer_to, create, names, outcomes, request
from tests.testing.tools import HERE, VERSION, Clock, client_of, ok, refused


@pytest.mark.parametrize("after", [False, True])
def test_drop_closes_the_connection(sandbox: Sandbox, api: httpx.Client, after: bool) -> None:
    sandbox.inject(faults.Drop(after=after), on="create_bot")
    assert answer_to(sandbox, "POST", body=BOT) == (b"", b"")
    assert sandbox.requests == (LoggedRequest("POST", BOTS, "create_bot", None, "Drop"),)
    assert ("B" in names(sandbox, api)) is after


@pytest.mark.parametrize("after", [False, True])
def test_drop_resets_the_connection_when_told_to(sandbox: Sandbox, api: httpx.Client, after: bool) -> None:
    sandbox.inject(faults.Drop(after=after, reset=True), on="create_bot")
    with request(sandbox, "POST", body=BOT) as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)
    assert ("B" in names(sandbox, api)) is after


def test_drop_does_not_wait_for_the_body(sandbox: Sandbox) -> None:
    sandbox.inject(faults.Drop(), on="create_bot")
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), timeout=10) as connection:
        connection.sendall(f"POST {BOTS} HTTP/1.1\r\nHost: sandbox\r\nContent-Length: 10\r\n\r\n".encode())
        assert connection.recv(1) == b""


def test_other_connections_and_later_requests_are_not_disturbed(sandbox: Sandbox, api: httpx.Client) -> None:
    with client_of(sandbox) as other:
        ok(other.get(BOTS, params=HERE))
        sandbox.inject(faults.Drop(), on="list_bots", times=1)
        with pytest.raises(httpx.RemoteProtocolError, match="disconnected"):
            api.get(BOTS, params=HERE)
        ok(other.get(BOTS, params=HERE))
        ok(api.get(BOTS, params=HERE))
    assert outcomes(sandbox) == [(200, None), (None, "Drop"), (200, None), (200, None)]


def test_half_body(sandbox: Sandbox, api: httpx.Client) -> None:
    whole = api.get(BOTS, params=HERE).content
    sandbox.inject(faults.HalfBody(), on="list_bots")
    head, content = answer_to(sandbox)
    assert b"200 ok" in head
    assert f"content-length: {len(whole)}".encode() in head
    assert content == whole[: len(whole) // 2]
    assert outcomes(sandbox)[1:] == [(200, "HalfBody")]


def test_half_of_nothing(sandbox: Sandbox) -> None:
    sandbox.inject(faults.HalfBody(), on="delete_voice_agent")
    head, content = answer_to(sandbox, "DELETE", "/voice-ai/agents/voice_agent_1")
    assert (b"204 no content" in head, content) == (True, b"")


@pytest.mark.parametrize("chunks", [1, 3, 10_000])
def test_slow_body(sandbox: Sandbox, api: httpx.Client, chunks: int) -> None:
    whole = api.get(BOTS, params=HERE)
    sandbox.inject(faults.SlowBody(0.05, chunks=chunks), on="list_bots")
    slow = api.get(BOTS, params=HERE)
    assert ok(slow) == ok(whole)
    assert len(slow.content) == len(whole.content)
    assert slow.elapsed.total_seconds() >= 0.05
    assert slow.headers["content-type"] == whole.headers["content-type"]
    sandbox.inject(faults.SlowBody(FOREVER), on="delete_voice_agent")
    assert api.delete("/voice-ai/agents/voice_agent_1", params=HERE).status_code == 204, "no body, no pause"


def test_the_pieces_of_a_slow_body_go_out_one_by_one(sandbox: Sandbox) -> None:
    sandbox.inject(faults.SlowBody(2 * FOREVER, chunks=2), on="list_bots")
    with request(sandbox) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n"), "the head is not held back"
    assert outcomes(sandbox) == [(200, "SlowBody")]


@pytest.mark.parametrize("after", [False, True])
def test_latency(sandbox: Sandbox, api: httpx.Client, after: bool) -> None:
    sandbox.inject(faults.Latency(0.05, after=after), on="create_bot")
    late = create(api)
    assert ok(late)["name"] == "B"
    assert late.elapsed.total_seconds() >= 0.05
    assert outcomes(sandbox) == [(late.status_code, "Latency")]


@pytest.mark.parametrize("after", [False, True])
def test_a_client_that_gives_up_on_a_late_answer_is_noticed(after: bool) -> None:
    heard = Heard()
    with Sandbox(tier=None, on_request=heard) as sandbox, client_of(sandbox) as api:
        sandbox.inject(faults.Latency(FOREVER, after=after), on="create_bot")
        with pytest.raises(httpx.ReadTimeout):
            api.post(BOTS, json=BOT, timeout=0.05)
        heard.wait()
        assert heard.requests == list(sandbox.requests)
        assert outcomes(sandbox) == [(None, "Latency")]
        assert ("B" in names(sandbox, api)) is after


def test_a_request_is_in_the_log_as_soon_as_it_arrives(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.inject(faults.SlowBody(FOREVER, chunks=1), on="get_bot")
    sandbox.inject(faults.Latency(FOREVER), on="list_bots")
    with request(sandbox):
        with request(sandbox, path=f"{BOTS}/bot_1") as later:
            later.recv(1)
        assert outcomes(sandbox) == [(None, "Latency"), (200, "SlowBody")]


@pytest.mark.parametrize(
    "fault", [faults.Latency(FOREVER), faults.Latency(FOREVER, after=True), faults.SlowBody(FOREVER)], ids=repr
)
def test_stopping_does_not_wait_for_faults(fault: Fault, caplog: pytest.LogCaptureFixture) -> None:
    with Sandbox(tier=None) as sandbox:
        sandbox.inject(fault, on="list_bots")
        sandbox.inject(faults.Drop(), on="get_bot")
        with request(sandbox) as waiting:
            assert answer_to(sandbox, path=f"{BOTS}/bot_1") == (b"", b"")  # the sandbox has the first one by now
            sandbox.stop()
            assert [each.message for each in caplog.records if each.levelno >= logging.ERROR] == []
            assert b"}" not in b"".join(iter(lambda: waiting.recv(65536), b"")), "broken off"


def test_a_fault_that_begins_while_the_sandbox_stops_does_not_hold_it_up(caplog: pytest.LogCaptureFixture) -> None:
    def stop(_: Any) -> Any:
        server = sandbox._server._server
        assert server is not None
        for connection in server.server_state.connections:
            connection.shutdown()
        return {}

    with Sandbox(tier=None) as sandbox:
        platform = sandbox.app.settings.platform
        handlers: Any = {**platform.handlers, "list_bots": stop}
        sandbox.app.settings = replace(sandbox.app.settings, platform=replace(platform, handlers=handlers))
        sandbox.inject(faults.Latency(FOREVER, after=True), on="list_bots")
        assert answer_to(sandbox) == (b"", b"")
    assert [each.message for each in caplog.records if each.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("after", [False, True])
def test_status(sandbox: Sandbox, api: httpx.Client, after: bool) -> None:
    sandbox.inject(faults.Status(503, retry_after=2.0, after=after), on="create_bot")
    answer = create(api)
    assert refused(answer, 503) == "Service Unavailable (injected by the sandbox)"
    assert answer.headers["Retry-After"] == "2"
    assert outcomes(sandbox) == [(503, "Status")]
    assert ("B" in names(sandbox, api)) is after


@pytest.mark.parametrize(
    ("given", "sent"), [(None, None), (0, "0"), (0.25, "0.25"), ("Wed, 21 Oct 2015 07:28:00 GMT",) * 2, ("soon",) * 2]
)
def test_retry_after(sandbox: Sandbox, api: httpx.Client, given: float | str | None, sent: str | None) -> None:
    sandbox.inject(faults.RateLimited(given), on="create_bot")
    answer = create(api)
    assert refused(answer, 429).startswith("Too Many Requests")
    assert answer.headers.get("Retry-After") == sent
    assert names(sandbox, api) == ["Front desk"]


@pytest.mark.parametrize("status", [418, 499, 599])
def test_any_error_status_will_do(sandbox: Sandbox, api: httpx.Client, status: int) -> None:
    sandbox.inject(faults.Status(status), on="create_bot")
    refused(create(api), status)


@pytest.mark.parametrize(("status", "title"), [(200, "Sign in"), (502, "502 Bad Gateway"), (499, "499 Error")])
@pytest.mark.parametrize("after", [False, True])
def test_html_page(sandbox: Sandbox, api: httpx.Client, status: int, title: str, after: bool) -> None:
    sandbox.inject(faults.HtmlPage(status, after=after), on="create_bot")
    answer = create(api)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert f"<title>{title}</title>" in answer.text
    assert ("B" in names(sandbox, api)) is after


def test_wrong_content_type(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.inject(faults.WrongContentType("image/png"), on="*")
    answer = create(api)
    assert answer.headers["Content-Type"] == "image/png"
    assert ok(answer)["name"] == "B"
    assert "Content-Type" not in api.delete("/voice-ai/agents/voice_agent_1", params=HERE).headers


def test_drift(sandbox: Sandbox, api: httpx.Client) -> None:
    bot, before = ok(api.get(f"{BOTS}/bot_1", params=HERE)), ok(api.get(BOTS, params=HERE))
    sandbox.inject(faults.Drift(), on="*")
    drifted = ok(api.get(f"{BOTS}/bot_1", params=HERE))
    assert drifted == {**bot, "temperature": str(bot["temperature"]), "driftedField": "drifted"} | {
        name: str(value) for name, value in bot.items() if type(value) in {int, float}
    }
    after = ok(api.get(BOTS, params=HERE))
    assert after["total"] == str(before["total"])
    assert after["bots"][0]["driftedField"] == after["driftedField"] == "drifted"
    sound = api.get("/conversations/messages/message_call/locations/loc_sandbox/recording")
    assert sound.content[:4] == b"RIFF"


def test_own_drift(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.inject(faults.Drift(lambda body: {**body, "status": "hibernating"}), on="get_bot")
    assert ok(api.get(f"{BOTS}/bot_1", params=HERE))["status"] == "hibernating"


def not_json(_: Any) -> object:
    return object()


def raising(_: Any) -> None:
    raise ZeroDivisionError("by design")


@pytest.mark.parametrize(("mutate", "words"), [(not_json, "not JSON serializable"), (raising, "by design")])
def test_a_drift_that_fails_is_loud(mutate: Callable[[Any], Any], words: str, caplog: pytest.LogCaptureFixture) -> None:
    sandbox = Sandbox(validate_responses=True)
    sandbox.start()
    sandbox.inject(faults.Drift(mutate), on="list_bots")
    with client_of(sandbox) as api, caplog.at_level(logging.CRITICAL, "dialogkit.testing"):
        refused(api.get(BOTS, params=HERE), 500)
    with pytest.raises(SandboxError, match=words):
        sandbox.stop()


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (faults.Latency, {"seconds": 0}),
        (faults.Latency, {"seconds": -1}),
        (faults.Latency, {"seconds": float("nan")}),
        (faults.Latency, {"seconds": float("inf")}),
        (faults.Latency, {"seconds": "1"}),
        (faults.SlowBody, {"seconds": True}),
        (faults.SlowBody, {"seconds": 1, "chunks": 0}),
        (faults.SlowBody, {"seconds": 1, "chunks": 1.5}),
        (faults.Status, {"status": 200}),
        (faults.Status, {"status": 600}),
        (faults.Status, {"status": "500"}),
        (faults.Status, {"retry_after": -1, "status": 500}),
        (faults.RateLimited, {"retry_after": float("inf")}),
        (faults.RateLimited, {"retry_after": "1\r\nX-Evil: 1"}),
        (faults.RateLimited, {"retry_after": ""}),
        (faults.HtmlPage, {"status": 302}),
        (faults.WrongContentType, {"media_type": "text/plain\n"}),
        (faults.WrongContentType, {"media_type": "tëxt/plain"}),
    ],
)
def test_faults_check_their_arguments(make: Callable[..., Fault], options: dict[str, Any]) -> None:
    last = list(options)[-1] if len(options) == 1 or "chunks" in options else "retry_after"
    with pytest.raises(ValueError, match=f"^{last} must be"):
        make(**options)


@pytest.fixture
def clients_of_the_app() -> tuple[Sandbox, Callable[[], httpx.AsyncClient]]:
    sandbox = Sandbox(clock=Clock())

    def client() -> httpx.AsyncClient:
        headers = {"Authorization": "Bearer sandbox-key", **VERSION}
        transport = httpx.ASGITransport(app=sandbox.app)
        return httpx.AsyncClient(transport=transport, base_url="http://sandbox", headers=headers)

    return sandbox, client


Clients = tuple[Sandbox, Callable[[], httpx.AsyncClient]]


@pytest.mark.parametrize("fault", [faults.Drop(), faults.Drop(after=True), faults.HalfBody()], ids=repr)
async def test_what_needs_a_connection_says_so(clients_of_the_app: Clients, fault: Fault) -> None:
    sandbox, client = clients_of_the_app
    sandbox.inject(fault, on="list_bots")
    async with client() as api:
        with pytest.raises(SandboxError, match=r"(Drop|HalfBody) closes the connection, and only"):
            await api.get(BOTS, params=HERE)
    assert outcomes(sandbox) == [(None, type(fault).__name__)]
    assert len(sandbox.app.failures) == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_rest_works_under_any_server(clients_of_the_app: Clients, backend: str) -> None:
    sandbox, client = clients_of_the_app

    async def run() -> list[int]:
        async with client() as api:
            return [(await api.get(BOTS, params=HERE)).status_code for _ in range(4)]

    sandbox.inject(faults.Latency(0.01), on="list_bots", times=1)
    sandbox.inject(faults.SlowBody(0.01), on="list_bots", times=1)
    sandbox.inject(faults.Status(500), on="list_bots", times=1)
    assert anyio.run(run, backend=backend) == [200, 200, 500, 200]


class Twice(Fault):
    """A fault of a user's own: whatever is asked for is done twice."""

    async def answer(self, exchange: faults.Exchange) -> Answer:
        await exchange.served()
        return await exchange.served()


def test_a_fault_of_one_s_own(sandbox: Sandbox, api: httpx.Client) -> None:
    with sandbox.inject(Twice(), on="create_bot") as twice:
        ok(create(api))
    assert twice.hits == 1
    assert names(sandbox, api).count("B") == 2


def test_a_fault_that_is_none_changes_nothing(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.inject(Fault(), on="create_bot")
    ok(create(api))
    assert outcomes(sandbox) == [(201, "Fault")]
