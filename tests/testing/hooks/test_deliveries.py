"""Webhooks that the sandbox delivers: to whom, signed, repeated, logged."""

from __future__ import annotations

import json
import logging
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import anyio
import httpx
import pytest
import trio
from starlette.types import Receive, Scope, Send
from typing_extensions import Self

from dialogkit import ConfigurationError, Drift, WebhookVerificationError
from dialogkit.hoopai import models, webhooks
from dialogkit.testing import Delivery, Registration, Sandbox, SandboxError
from dialogkit.testing import __main__ as command
from dialogkit.testing.engine.registry import Call, Outcome, Registry
from dialogkit.testing.hooks import deliveries
from dialogkit.testing.hooks.deliveries import Courier, Parcel, Persistence
from dialogkit.testing.hooks.events import Event
from dialogkit.testing.hooks.signer import Scheme
from dialogkit.testing.hoopai.platform import PLATFORM as HOOPAI
from dialogkit.testing.serving.server import ServerThread
from tests.testing.tools import HERE, Clock, client_of, complaints, ok

pytest_plugins = ("pytester",)

SEND = "/conversations/messages"
HANG = 0
"""In place of a status: no answer at all."""


@dataclass(frozen=True)
class Received:
    path: str
    body: bytes
    headers: dict[str, str]
    moment: float

    @property
    def payload(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.body)
        return loaded


class Receiver:
    """An endpoint that keeps what it gets, and answers with the statuses that a test puts into `answers`, then 200."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: list[int] = []
        self.endless = False
        self.arrived = threading.Event()
        self.left = threading.Event()
        self._server = ServerThread(self, "127.0.0.1", 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        status = self.answers.pop(0) if self.answers else 200
        self.received.append(Received(scope["path"], body, headers, time.monotonic()))
        self.arrived.set()
        if status == HANG:
            while (await receive())["type"] != "http.disconnect":
                pass
            self.left.set()
            return
        await send({"type": "http.response.start", "status": status, "headers": [(b"location", b"/elsewhere")]})
        await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": self.endless})
        while self.endless and (await receive())["type"] != "http.disconnect":
            pass

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}/hook"

    @property
    def types(self) -> list[str]:
        return [each.payload["type"] for each in self.received]

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()


@pytest.fixture
def receiver(sandbox: Sandbox) -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver
        sandbox.reset()


@pytest.fixture
def hook(sandbox: Sandbox, receiver: Receiver) -> Registration:
    """All events, repeated quickly."""
    return sandbox.webhooks.register(receiver.url, backoff=0.01)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


# ------------------------------------------------------------------------------------------------ what arrives


@pytest.mark.parametrize("scheme", ["ed25519", "rsa", "hmac"])
def test_an_event_arrives_signed(sandbox: Sandbox, receiver: Receiver, scheme: Scheme) -> None:
    hook = sandbox.webhooks.register(receiver.url, scheme=scheme)
    id_ = sandbox.webhooks.emit("ConversationEscalated", {"conversationId": "conversation_1", "reason": "Grüße"})
    sandbox.webhooks.wait()
    (received,) = receiver.received
    keys: dict[str, Any] = {
        "public_key": hook.public_key,
        "rsa_public_key": hook.rsa_public_key,
        "secret": hook.secret,
    }
    assert sum(key is not None for key in keys.values()) == 1
    keys = {name: key for name, key in keys.items() if key is not None or name == "public_key"}
    delivery = webhooks.receive(received.body, received.headers, now=Clock.START, **keys)
    assert isinstance(delivery.event, models.ConversationEscalatedEvent)
    assert (delivery.id, delivery.event.reason, delivery.event.location_id) == (id_, "Grüße", "loc_sandbox")
    assert received.headers["content-type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        webhooks.receive(received.body + b" ", received.headers, now=Clock.START, **keys)


def test_it_is_logged(sandbox: Sandbox, receiver: Receiver, hook: Registration) -> None:
    id_ = sandbox.webhooks.emit("SomethingNew")
    sandbox.webhooks.wait()
    (delivery,) = sandbox.deliveries
    (attempt,) = delivery.attempts
    assert delivery == Delivery(id_, "SomethingNew", receiver.url, (attempt,), done=True)
    assert delivery.accepted
    assert (attempt.status, attempt.error, attempt.accepted) == (200, None, True)
    assert attempt.seconds > 0
    assert receiver.received[0].payload == {
        "type": "SomethingNew",
        "locationId": "loc_sandbox",
        "timestamp": "2027-01-15T08:00:00.000Z",
        "webhookId": id_,
    }


def test_own_fields_win(sandbox: Sandbox, receiver: Receiver, hook: Registration) -> None:
    fields = {"locationId": "loc_2", "timestamp": None, "webhookId": "mine", "more": [1]}
    sandbox.webhooks.emit("SomethingNew", fields)
    sandbox.webhooks.wait()
    assert receiver.received[0].payload == {"type": "SomethingNew", **fields}


def test_each_endpoint_gets_what_it_wants(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.webhooks.register(f"{receiver.url}/all")
    with sandbox.webhooks.register(f"{receiver.url}/some", ["A", "B"]) as some:
        ids = [sandbox.webhooks.emit(event) for event in ("A", "B", "C")]
        sandbox.webhooks.wait()
        paths = sorted((each.path, each.payload["type"]) for each in receiver.received)
        assert paths == [(f"/hook/{path}", event) for path, event in (*(("all", e) for e in "ABC"), *SOME)]
        assert [each.id for each in sandbox.deliveries] == [ids[0], ids[0], ids[1], ids[1], ids[2]]
        assert repr(some).startswith(f"<Registration of {receiver.url}/some for ")
    sandbox.webhooks.emit("A")
    some.remove()
    sandbox.webhooks.wait()
    assert receiver.received[-1].path == "/hook/all"
    assert len(receiver.received) == 6


SOME = (("some", "A"), ("some", "B"))


def test_an_app_can_know_the_key_before_it_is_registered(sandbox: Sandbox, receiver: Receiver) -> None:
    key = sandbox.webhooks.public_key
    assert sandbox.webhooks.register(receiver.url).public_key == key
    sandbox.reset()
    assert sandbox.webhooks.register(receiver.url).public_key == key
    hook = sandbox.webhooks.register(receiver.url, scheme="hmac", secret="hush")
    assert (hook.secret, hook.public_key, hook.rsa_public_key) == ("hush", None, None)
    assert "hush" not in repr(hook)
    assert hook.secret != sandbox.webhooks.register(receiver.url, scheme="hmac").secret


def test_ids_never_repeat(sandbox: Sandbox, receiver: Receiver) -> None:
    ids: set[str] = set()
    for _ in range(2):
        sandbox.reset()
        sandbox.webhooks.register(receiver.url)
        ids.add(sandbox.webhooks.emit("A"))
        sandbox.webhooks.wait()
    assert len(ids) == 2, "an app that outlives a reset would take the second for a duplicate"


# ----------------------------------------------------------------------------------------------------- retries


def test_what_is_not_accepted_is_repeated_unchanged(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.webhooks.register(receiver.url, backoff=0.05)
    receiver.answers += [500, 302, 429, 204]
    sandbox.webhooks.emit("A")
    sandbox.webhooks.wait()
    (delivery,) = sandbox.deliveries
    assert [each.status for each in delivery.attempts] == [500, 302, 429, 204]
    assert (delivery.done, delivery.accepted) == (True, True)
    first, *others = receiver.received
    assert [(each.body, each.headers, each.path) for each in others] == [(first.body, first.headers, "/hook")] * 3
    moments = [each.moment for each in receiver.received]
    pauses = [after - before for before, after in pairwise(moments)]
    assert all(pause >= wanted for pause, wanted in zip(pauses, (0.05, 0.1, 0.2), strict=True)), pauses


def test_it_gives_up(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.webhooks.register(receiver.url, backoff=0, attempts=3)
    receiver.answers += [503] * 9
    sandbox.webhooks.emit("A")
    sandbox.webhooks.wait()
    (delivery,) = sandbox.deliveries
    assert ([each.status for each in delivery.attempts], delivery.done, delivery.accepted) == ([503] * 3, True, False)
    assert len(receiver.received) == 3


def test_the_sandbox_has_defaults(receiver: Receiver) -> None:
    with Sandbox(webhook_timeout=0.05, webhook_backoff=0, webhook_attempts=2) as sandbox:
        sandbox.webhooks.register(receiver.url)
        receiver.answers += [HANG] * 3
        sandbox.webhooks.emit("A")
        sandbox.webhooks.wait()
        (delivery,) = sandbox.deliveries
        assert [each.error for each in delivery.attempts] == ["no answer within 0.05 s"] * 2


def test_no_answer_in_time(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.webhooks.register(receiver.url, backoff=0, timeout=0.05)
    receiver.answers.append(HANG)
    sandbox.webhooks.emit("A")
    assert receiver.left.wait(10)
    sandbox.webhooks.wait()
    late, accepted = sandbox.deliveries[0].attempts
    assert (late.status, late.error, late.accepted) == (None, "no answer within 0.05 s", False)
    assert late.seconds >= 0.05
    assert accepted.accepted


def test_nobody_listens(sandbox: Sandbox) -> None:
    sandbox.webhooks.register(f"http://127.0.0.1:{closed_port()}/", backoff=0, attempts=2)
    sandbox.webhooks.emit("A")
    sandbox.webhooks.wait()
    (delivery,) = sandbox.deliveries
    assert [each.status for each in delivery.attempts] == [None, None]
    assert all((each.error or "").startswith("ConnectError: ") for each in delivery.attempts)


def test_proxies_are_not_asked(sandbox: Sandbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with Sandbox() as other:
        other.webhooks.register(receiver.url)
        other.webhooks.emit("A")
        other.webhooks.wait()
        assert other.deliveries[0].accepted


def test_a_long_answer_is_not_read_to_its_end(sandbox: Sandbox, receiver: Receiver, hook: Registration) -> None:
    receiver.endless = True
    sandbox.webhooks.emit("A")
    sandbox.webhooks.wait()
    assert [each.status for each in sandbox.deliveries[0].attempts] == [200]


def test_a_duplicate_on_demand(sandbox: Sandbox, receiver: Receiver, hook: Registration) -> None:
    id_ = sandbox.webhooks.emit("A")
    sandbox.webhooks.emit("B")
    for _ in range(2):
        sandbox.webhooks.wait()
        sandbox.webhooks.redeliver(id_)
    sandbox.webhooks.wait()
    assert [(each.event, each.id == id_) for each in sandbox.deliveries] == [
        *(("A", True), ("B", False)),
        *(("A", True), ("A", True)),
    ]
    copies = [(each.body, each.headers) for each in receiver.received if each.payload["type"] == "A"]
    assert len(copies) == 3
    assert all(copy == copies[0] for copy in copies)
    with pytest.raises(LookupError, match="has sent no webhook with the id 'nothing'"):
        sandbox.webhooks.redeliver("nothing")


def test_the_log_is_bounded(
    sandbox: Sandbox, receiver: Receiver, hook: Registration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "_LENGTH", 3)
    ids = [sandbox.webhooks.emit("A") for _ in range(5)]
    sandbox.webhooks.wait()
    assert [each.id for each in sandbox.deliveries] == ids[2:]
    assert len(receiver.received) == 5


async def test_no_more_than_so_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "_AT_ONCE", 2)
    courier, gate = Courier(), anyio.Event()
    counts = [0]

    async def post(_: Parcel) -> int:
        counts.append(counts[-1] + 1)
        await gate.wait()
        counts.append(counts[-1] - 1)
        return 200

    monkeypatch.setattr(courier, "_post", post)
    async with courier.running():
        assert courier.send(*(Parcel(f"{n}", "A", "", b"", {}, Persistence(60, 0, 1)) for n in range(5)))
        await anyio.wait_all_tasks_blocked()
        assert counts == [0, 1, 2]
        gate.set()
        await courier.settled(10)
    assert (max(counts), len(counts), len(courier.deliveries)) == (2, 11, 5)


# -------------------------------------------------------------------------------- what happens in the sandbox


def do_send(api: httpx.Client, _: Sandbox) -> None:
    ok(api.post(SEND, json={"type": "SMS", "conversationId": "conversation_1", "message": "Hello"}))


def do_send_email(api: httpx.Client, _: Sandbox) -> None:
    email = {"subject": "Hours", "html": "<p>9 to 5</p>", "emailTo": "ada@example.com"}
    ok(api.post(SEND, json={"type": "Email", "conversationId": "conversation_1", **email}))


def do_inject(api: httpx.Client, _: Sandbox) -> None:
    ok(api.post("/conversations/conversation_1/messages", json={**HERE, "type": "WhatsApp", "message": "Hello"}))


def do_add_inbound(api: httpx.Client, _: Sandbox) -> None:
    body = {"type": "SMS", "conversationId": "conversation_1", "message": "Hello", "direction": "inbound"}
    ok(api.post(f"{SEND}/inbound", json={**body, "conversationProviderId": "provider_1"}))


def do_add_call(api: httpx.Client, _: Sandbox) -> None:
    call = {"to": "+15550001", "from": "+15550002", "status": "voicemail"}
    body = {"type": "Call", "conversationId": "conversation_1", "conversationProviderId": "provider_1", "call": call}
    ok(api.post(f"{SEND}/outbound", json=body))


def do_seed_messages(_: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.add_messages("conversation_1", 1, channel="IG")


def do_seed_outbound(_: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.add_messages("conversation_2", 1, direction="outbound")


def do_seed_conversations(_: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.add_conversations(1, location_id="loc_sandbox")


def do_read(api: httpx.Client, _: Sandbox) -> None:
    ok(api.put("/conversations/conversation_1", json={**HERE, "unreadCount": 0}))


def do_set_status(api: httpx.Client, _: Sandbox) -> None:
    ok(api.patch("/conversations/bots/bot_1/status", json={**HERE, "status": "inactive"}))


def do_update_bot(api: httpx.Client, _: Sandbox) -> None:
    ok(api.put("/conversations/bots/bot_1", json={**HERE, "status": "draft"}))


def do_add_knowledge(api: httpx.Client, _: Sandbox) -> None:
    entry = {"type": "text", "title": "Hours", "content": "9 to 5"}
    ok(api.post("/conversations/bots/bot_1/knowledge", json={**HERE, **entry}))


HAPPENINGS: dict[Callable[[httpx.Client, Sandbox], None], dict[str, dict[str, Any]]] = {
    do_send: {"OutboundMessage": {"messageType": "SMS", "body": "Hello", "source": "api", "messageTypeId": 2}},
    do_send_email: {
        "OutboundMessage": {
            "messageType": "Email",
            "messageTypeString": "TYPE_EMAIL",
            "subject": "Hours",
            "body": "<p>9 to 5</p>",
            "from": "team@example.com",
            "to": ["ada@example.com"],
        }
    },
    do_inject: {"OutboundMessage": {"messageType": "WhatsApp", "direction": "outbound"}},
    do_add_inbound: {
        "InboundMessage": {"messageType": "SMS", "body": "Hello", "conversationProviderId": "provider_1"},
        "ConversationUnreadUpdate": {"id": "conversation_1", "unreadCount": 3, "contactId": "contact_1"},
    },
    do_add_call: {"OutboundMessage": {"messageType": "CALL", "callStatus": "voicemail", "status": "completed"}},
    do_seed_messages: {
        "InboundMessage": {"messageType": "IG", "body": "Message 1", "conversationId": "conversation_1"},
        "ConversationUnreadUpdate": {"unreadCount": 3},
    },
    do_seed_outbound: {"OutboundMessage": {"contactId": "contact_2", "source": "app"}},
    do_seed_conversations: {
        "InboundMessage": {"direction": "inbound", "contentType": "text/plain", "attachments": []},
        "ConversationUnreadUpdate": {"unreadCount": 1, "starred": False},
    },
    do_read: {"ConversationUnreadUpdate": {"id": "conversation_1", "unreadCount": 0}},
    do_set_status: {"BotStatusChanged": {"botId": "bot_1", "status": "inactive", "previousStatus": "active"}},
    do_update_bot: {"BotStatusChanged": {"status": "draft", "previousStatus": "active"}},
    do_add_knowledge: {"KnowledgeBaseUpdated": {"botId": "bot_1", "action": "added"}},
}


@pytest.mark.parametrize("do", HAPPENINGS, ids=lambda do: do.__name__)
def test_what_happens_is_told(
    sandbox: Sandbox,
    api: httpx.Client,
    receiver: Receiver,
    hook: Registration,
    do: Callable[[httpx.Client, Sandbox], None],
) -> None:
    do(api, sandbox)
    sandbox.webhooks.wait()
    events = {each.payload["type"]: each.payload for each in receiver.received}
    assert events.keys() == HAPPENINGS[do].keys()
    for name, fields in HAPPENINGS[do].items():
        assert {key: events[name].get(key) for key in fields} == fields
        assert events[name]["locationId"] == "loc_sandbox"
    drifts: list[Drift] = []
    for each in receiver.received:
        options: Any = {"public_key": hook.public_key, "on_drift": drifts.append}
        event = webhooks.verify(each.body, each.headers, now=Clock.START, **options)
        assert type(event).__name__ == f"{each.payload['type']}Event"
    assert not drifts


def test_messages_can_be_looked_up(sandbox: Sandbox, api: httpx.Client, receiver: Receiver, hook: Registration) -> None:
    do_send_email(api, sandbox)
    sandbox.webhooks.wait()
    event = receiver.received[0].payload
    assert ok(api.get(f"{SEND}/{event['messageId']}"))["message"]["conversationId"] == event["conversationId"]
    assert ok(api.get(f"{SEND}/email/{event['emailMessageId']}"))["emailMessage"]["body"] == event["body"]


def test_knowledge_that_is_removed(sandbox: Sandbox, api: httpx.Client, receiver: Receiver, hook: Registration) -> None:
    do_add_knowledge(api, sandbox)
    sandbox.webhooks.wait()
    entry = receiver.received[0].payload["entryId"]
    ok(api.delete(f"/conversations/bots/bot_1/knowledge/{entry}", params=HERE))
    sandbox.webhooks.wait()
    last = receiver.received[-1].payload
    assert (last["type"], last["entryId"], last["action"]) == ("KnowledgeBaseUpdated", entry, "deleted")


def test_where_nothing_changes_nothing_is_told(sandbox: Sandbox, api: httpx.Client, hook: Registration) -> None:
    ok(api.patch("/conversations/bots/bot_1/status", json={**HERE, "status": "active"}))
    ok(api.put("/conversations/bots/bot_1", json={**HERE, "name": "New"}))
    ok(api.put("/conversations/conversation_1", json={**HERE, "starred": True}))
    later = {"type": "SMS", "contactId": "contact_1", "message": "Later", "scheduledTimestamp": int(Clock.START) + 60}
    ok(api.post(SEND, json=later))
    ok(api.get("/conversations/bots", params=HERE))
    sandbox.add_messages("conversation_1", 0)
    assert sandbox.deliveries == ()


def test_a_batch_of_messages(sandbox: Sandbox, receiver: Receiver, hook: Registration) -> None:
    ids = sandbox.add_messages("conversation_1", 3)
    sandbox.webhooks.wait()
    told = {each.payload["messageId"] for each in receiver.received if "messageId" in each.payload}
    assert told == set(ids)
    assert sorted(receiver.types) == ["ConversationUnreadUpdate", *["InboundMessage"] * 3]


def test_without_a_registration_nothing_is_delivered(sandbox: Sandbox, api: httpx.Client) -> None:
    do_send(api, sandbox)
    sandbox.add_messages("conversation_1", 2)
    assert sandbox.deliveries == ()


# --------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://example.com/hook", "example.com is not this machine"),
        ("http://192.0.2.1/", "allow_remote=True"),
        ("http://localhost.example.com/", "is not this machine"),
        ("ftp://127.0.0.1/", "is no URL to post to"),
        ("/hook", "is no URL to post to"),
        ("http://[::1/", "is no URL"),
        ("http://127.0.0.1:99999/", "is no URL"),
    ],
)
def test_where_it_does_not_deliver(sandbox: Sandbox, url: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        sandbox.webhooks.register(url)


@pytest.mark.parametrize("url", ["http://localhost:1/", "https://[::1]:1/", "http://127.0.0.9:1", "http://a.localhost"])
def test_this_machine_has_many_names(sandbox: Sandbox, url: str) -> None:
    assert sandbox.webhooks.register(url).url == url


def test_another_machine_can_be_allowed(sandbox: Sandbox) -> None:
    sandbox.webhooks.register("http://example.com/hook", ["Never"], allow_remote=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"timeout": 0}, "timeout of webhooks"),
        ({"timeout": float("nan")}, "timeout of webhooks"),
        ({"backoff": -1}, "backoff of webhooks"),
        ({"attempts": 0}, "attempts of webhooks"),
        ({"attempts": 1.5}, "attempts of webhooks"),
        ({"events": []}, "events has no names"),
        ({"secret": "s"}, "scheme='hmac'"),
        ({"secret": "", "scheme": "hmac"}, "must not be empty"),
    ],
)
def test_arguments_that_make_no_sense(sandbox: Sandbox, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sandbox.webhooks.register("http://127.0.0.1:1/", **arguments)


def test_more_arguments_that_make_no_sense(sandbox: Sandbox) -> None:
    with pytest.raises(TypeError, match=r"\['InboundMessage'\]"):
        sandbox.webhooks.register("http://127.0.0.1:1/", "InboundMessage")
    wrong: Any = "md5"
    with pytest.raises(ConfigurationError, match="md5"):
        sandbox.webhooks.register("http://127.0.0.1:1/", scheme=wrong)
    with pytest.raises(ValueError, match="attempts of webhooks"):
        Sandbox(webhook_attempts=0)
    assert sandbox.webhooks.registrations == ()


def test_an_event_that_nobody_wants(sandbox: Sandbox, receiver: Receiver) -> None:
    with pytest.raises(LookupError, match=r"No webhook is registered for A: call sandbox\.webhooks\.register"):
        sandbox.webhooks.emit("A")
    sandbox.webhooks.register(receiver.url, ["B"])
    with pytest.raises(LookupError):
        sandbox.webhooks.emit("A")


def test_an_event_must_be_as_the_document_says(sandbox: Sandbox, receiver: Receiver, hook: Registration) -> None:
    with pytest.raises(ValueError, match="The event InboundMessage does not conform to the document: body must be"):
        sandbox.webhooks.emit("InboundMessage", {"body": 5})
    with pytest.raises(ValueError, match="not JSON compliant"):
        sandbox.webhooks.emit("A", {"number": float("nan")})
    with Sandbox() as lenient:
        lenient.webhooks.register(receiver.url)
        lenient.webhooks.emit("InboundMessage", {"body": 5})
        lenient.webhooks.wait()
    assert receiver.received[0].payload["body"] == 5


def test_its_own_events_must_be_as_the_document_says(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    def wrong(_: Call) -> Outcome:
        return Outcome({"bots": [], "total": 0}, [Event("BotStatusChanged", {"botId": 1})])

    registry = Registry()
    registry.handles("list_bots")(wrong)
    sandbox = Sandbox(platform=replace(HOOPAI, handlers=registry), validate_responses=True)
    sandbox.start()
    sandbox.webhooks.register(receiver.url)
    with client_of(sandbox) as api, caplog.at_level(logging.CRITICAL, "dialogkit.testing"):
        assert ok(api.get("/conversations/bots", params=HERE)) == {"bots": [], "total": 0}
    assert sandbox.deliveries == ()
    with pytest.raises(SandboxError, match="BotStatusChanged does not conform to the document: botId must be a string"):
        sandbox.stop()


# ------------------------------------------------------------------------------------------- waiting and ending


def test_waiting_says_what_is_left(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.webhooks.register(receiver.url, backoff=60)
    receiver.answers += [500, HANG]
    sandbox.webhooks.emit("A")
    assert receiver.arrived.wait(10)
    with pytest.raises(TimeoutError, match=r"After 0\.2 s, 1 webhooks are not delivered yet: A to http"):
        sandbox.webhooks.wait(0.2)
    (delivery,) = sandbox.deliveries
    assert not delivery.done
    for _ in range(4):
        sandbox.webhooks.emit("B")
    with pytest.raises(TimeoutError, match=r"not answered so far.*and more"):
        sandbox.webhooks.wait(0)


async def settle(sandbox: Sandbox, receiver: Receiver) -> list[bool]:
    sandbox.webhooks.register(receiver.url, backoff=0.01)
    receiver.answers += [500, 200]
    sandbox.webhooks.emit("A")
    await sandbox.webhooks.settled()
    receiver.answers.append(HANG)
    sandbox.webhooks.emit("B")
    with pytest.raises(TimeoutError, match="B to http"):
        await sandbox.webhooks.settled(0.05)
    with anyio.move_on_after(0.05) as scope:
        await sandbox.webhooks.settled(3600)
    assert scope.cancelled_caught
    result = [each.done for each in sandbox.deliveries]
    sandbox.reset()
    await sandbox.webhooks.settled()
    return result


async def test_waiting_from_asyncio(sandbox: Sandbox, receiver: Receiver) -> None:
    assert await settle(sandbox, receiver) == [True, False]


def test_waiting_from_trio(sandbox: Sandbox, receiver: Receiver) -> None:
    assert trio.run(settle, sandbox, receiver) == [True, False]


async def test_waiting_that_is_cancelled_leaves_no_thread_behind(
    sandbox: Sandbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    courier, ended = sandbox.webhooks._courier, threading.Event()
    wait = courier.wait

    def watched(timeout: float, **options: Any) -> None:
        try:
            wait(timeout, **options)
        finally:
            ended.set()

    monkeypatch.setattr(courier, "wait", watched)
    sandbox.webhooks.register(receiver.url, timeout=3600)
    receiver.answers.append(HANG)
    sandbox.webhooks.emit("A")
    with anyio.move_on_after(0.05):
        await sandbox.webhooks.settled(3600)
    assert ended.wait(10)


async def test_what_was_never_started_is_done_at_the_end() -> None:
    courier = Courier()
    async with courier.running():
        assert courier.send(Parcel("1", "A", "http://127.0.0.1:1/", b"", {}, Persistence(1, 0, 1)))
    courier.wait(0)
    assert courier.deliveries == (Delivery("1", "A", "http://127.0.0.1:1/", (), done=True),)
    assert not courier.send()


def test_reset_forgets_and_cancels(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.webhooks.register(receiver.url, backoff=0)
    receiver.answers += [HANG]
    sandbox.webhooks.emit("A")
    assert receiver.arrived.wait(10)
    sandbox.reset()
    assert (sandbox.deliveries, sandbox.webhooks.registrations) == ((), ())
    assert receiver.left.wait(10), "the request under way is cancelled"
    sandbox.webhooks.wait(0)
    sandbox.webhooks.register(receiver.url)
    sandbox.webhooks.emit("B")
    sandbox.webhooks.wait()
    assert receiver.types == ["A", "B"], "and not repeated"


def test_reset_cancels_what_is_due(receiver: Receiver) -> None:
    failed = threading.Event()
    with Sandbox(on_delivery=lambda _: failed.set()) as sandbox:
        sandbox.webhooks.register(receiver.url, backoff=3600)
        receiver.answers += [500]
        sandbox.webhooks.emit("A")
        assert failed.wait(10)
        with pytest.raises(TimeoutError, match="attempt 1: 500"):
            sandbox.webhooks.wait(0)
        sandbox.reset()
        sandbox.webhooks.wait(0)


def test_stopping_ends_what_is_under_way(receiver: Receiver) -> None:
    sandbox = Sandbox()
    sandbox.start()
    receiver.answers += [HANG, 500]
    sandbox.webhooks.register(receiver.url, backoff=3600)
    sandbox.webhooks.emit("A")
    assert receiver.arrived.wait(10)
    sandbox.webhooks.emit("B")
    sandbox.stop()
    assert receiver.left.wait(10)
    sandbox.webhooks.wait(0)
    assert [(each.done, each.accepted) for each in sandbox.deliveries] == [(True, False), (True, False)]
    with pytest.raises(SandboxError, match="has been stopped"):
        sandbox.webhooks.emit("C")
    with pytest.raises(SandboxError, match="has been stopped"):
        sandbox.webhooks.redeliver(sandbox.deliveries[0].id)
    with pytest.raises(SandboxError, match="start it, then register"):
        sandbox.webhooks.register(receiver.url)
    sandbox.add_messages("conversation_1", 1)
    sandbox.reset()
    with sandbox:
        sandbox.webhooks.register(receiver.url)
        sandbox.webhooks.emit("D")
        sandbox.webhooks.wait()
        assert sandbox.deliveries[0].accepted


def test_from_many_threads(sandbox: Sandbox, receiver: Receiver, hook: Registration) -> None:
    def emit() -> None:
        for _ in range(40):
            sandbox.webhooks.emit("A")

    threads = [threading.Thread(target=emit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sandbox.webhooks.wait(60)
    ids = [each.payload["webhookId"] for each in receiver.received]
    assert len(ids) == len(set(ids)) == 320
    assert all(each.accepted for each in sandbox.deliveries)


def test_from_the_sandbox_s_own_thread(receiver: Receiver) -> None:
    told: list[Delivery] = []

    def on_request(_: object) -> None:
        sandbox.webhooks.emit("Requested")

    sandbox = Sandbox(on_request=on_request, on_delivery=told.append)
    with sandbox, client_of(sandbox) as api:
        sandbox.webhooks.register(receiver.url, ["Requested"], backoff=0)
        receiver.answers.append(500)
        ok(api.get("/conversations/bots", params=HERE))
        sandbox.webhooks.wait()
    assert [([attempt.status for attempt in each.attempts], each.done) for each in told] == [
        ([500], False),
        ([500, 200], True),
    ]


def test_on_delivery_that_fails_holds_nothing_up(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Delivery) -> None:
        raise ZeroDivisionError("by design")

    with Sandbox(on_delivery=fail) as sandbox:
        sandbox.webhooks.register(receiver.url)
        sandbox.webhooks.emit("A")
        sandbox.webhooks.wait()
        assert sandbox.deliveries[0].accepted
    assert [record.getMessage() for record in caplog.records] == ["The sandbox's on_delivery failed."]


def test_resetting_from_the_sandbox_s_own_thread(receiver: Receiver) -> None:
    reset = threading.Event()

    def on_delivery(_: Delivery) -> None:
        sandbox.reset()
        reset.set()

    sandbox = Sandbox(on_delivery=on_delivery)
    with sandbox:
        sandbox.webhooks.register(receiver.url)
        receiver.answers.append(500)
        sandbox.webhooks.emit("A")
        assert reset.wait(10)
        sandbox.webhooks.wait()
    assert len(receiver.received) == 1


# ----------------------------------------------------------------------------------- the fixture and the command

TESTS = """
    import threading

    def test_one(dialogkit_sandbox):
        dialogkit_sandbox.webhooks.register("http://127.0.0.1:1/", backoff=3600)
        dialogkit_sandbox.add_messages("conversation_1", 1)
        assert len(dialogkit_sandbox.deliveries) == 2

    def test_two(dialogkit_sandbox):
        assert dialogkit_sandbox.webhooks.registrations == ()
        assert dialogkit_sandbox.deliveries == ()
"""


def test_the_fixture_forgets_webhooks(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    pytester.runpytest_inprocess("-p", "no:asyncio").assert_outcomes(passed=2)


def test_the_command_tells_an_endpoint(receiver: Receiver) -> None:
    arguments = ["--port", "0", "--webhook", receiver.url]
    process = subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-m", "dialogkit.testing", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        greeting = ""
        for line in process.stdout:
            greeting += line
            if line.startswith("Requests appear below"):
                break
        found = re.search(r"sandbox at (\S+),", greeting)
        key = re.search(r"webhooks to  (\S+), public key (\S+)", greeting)
        assert found is not None
        assert key is not None
        headers = {"Authorization": "Bearer sandbox-key", "Version": "2021-07-28"}
        body = {**HERE, "status": "draft"}
        httpx.patch(f"{found[1]}/conversations/bots/bot_1/status", headers=headers, json=body).raise_for_status()
        lines = {process.stdout.readline() for _ in range(3)}
        assert f"200 webhook BotStatusChanged to {receiver.url}, attempt 1: accepted\n" in lines
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, complaints(errors)) == (0, [])
    (received,) = receiver.received
    assert webhooks.verify(received.body, received.headers, public_key=key[2]).type == "BotStatusChanged"


def test_the_command_refuses_other_machines(capsys: pytest.CaptureFixture[str]) -> None:
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert command.main(["--port", "0", "--webhook", "http://example.com/"]) == 1
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    assert "example.com is not this machine" in capsys.readouterr().err
