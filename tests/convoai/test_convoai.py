"""ConvoAI's facade: names, keys, plans and their quotas, slashes, headers, tolerance, events."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from dialogkit import (
    APIStatusError,
    BadRequestError,
    ConfigurationError,
    ConvoAI,
    Drift,
    InvalidArgumentError,
    MemoryRateLimiter,
    Page,
    RateLimit,
    RateLimitError,
    RateLimitWaitError,
    RetryPolicy,
    ServerError,
    response_info,
)
from dialogkit._core.client import Namespace
from dialogkit._core.codec.models import Model
from dialogkit._core.codec.tolerance import Deviation, build
from dialogkit.convoai import OPERATION_LIMITS, PLANS, models, namespaces
from dialogkit.convoai._generated.webhooks import EVENTS
from tests.support.backends import on_every_backend
from tests.support.wire import Wire, bound_functions, constants, document, ignore, operations, shape

KEY = "ck_live_0123456789abcdef"
TEST_KEY = "ck_test_0123456789abcdef"
AT_ONCE = RetryPolicy(base_delay=0, default_retry_after=0)

# The public names, as the design fixes them.
TABLE = {
    "me": "get",
    "agents": "list create get update delete activate pause",
    "knowledge": "create",
    "messages": "send",
    "webhooks": "create",
}

# What can be read of the platform's documentation: 11 of 47 endpoints, 6 of 12 events.
OPERATIONS = {
    ("GET", "/me/"),
    ("GET", "/agents/"),
    ("POST", "/agents/"),
    ("GET", "/agents/{id}/"),
    ("PATCH", "/agents/{id}/"),
    ("DELETE", "/agents/{id}/"),
    ("POST", "/agents/{id}/activate/"),
    ("POST", "/agents/{id}/pause/"),
    ("POST", "/agents/{id}/knowledge/"),
    ("POST", "/agents/{id}/messages/"),
    ("POST", "/agents/{id}/webhooks/"),
}
KNOWN_EVENTS = {
    "lead.qualified",
    "appointment.booked",
    "handoff.triggered",
    "handoff.requested",
    "message.received",
    "conversation.created",
}
CALLS: dict[str, Callable[[ConvoAI], Any]] = {
    "get_me": lambda convo: convo.me.get(),
    "list_agents": lambda convo: convo.agents.list(),
    "create_agent": lambda convo: convo.agents.create(name="A", phone_number_id="1", waba_id="2", access_token="EAAG3"),
    "get_agent": lambda convo: convo.agents.get("a1"),
    "update_agent": lambda convo: convo.agents.update("a1", name="B"),
    "delete_agent": lambda convo: convo.agents.delete("a1"),
    "activate_agent": lambda convo: convo.agents.activate("a1"),
    "pause_agent": lambda convo: convo.agents.pause("a1"),
    "create_knowledge": lambda convo: convo.knowledge.create("a1", title="T", content="C", doc_type="text"),
    "send_message": lambda convo: convo.messages.send("a1", to="+14155550199", type="text", text="Hi"),
    "create_webhook": lambda convo: convo.webhooks.create("a1", url="https://a.example", events=["*"]),
}


def client(wire: Wire, key: str = KEY, **options: Any) -> ConvoAI:
    settings: dict[str, Any] = {"rate_limit": None, "on_drift": ignore, "retry": AT_ONCE, **options}
    return ConvoAI(key, http_client=wire.client(), **settings)


@pytest.mark.parametrize("name", TABLE)
def test_the_table_of_public_names(name: str) -> None:
    namespace = getattr(client(Wire()), name)
    assert isinstance(namespace, Namespace)
    for method in TABLE[name].split():
        assert inspect.getdoc(getattr(type(namespace), method)), f"{name}.{method} has no docstring"


def test_everything_that_is_documented_is_there_and_nothing_else() -> None:
    assert {(method, path) for _, method, path in operations("convoai")} == OPERATIONS
    assert sorted(bound_functions(namespaces)) == sorted(operation for operation, _, _ in operations("convoai"))
    assert EVENTS.keys() == document("convoai")["webhooks"].keys() == KNOWN_EVENTS


def test_every_operation_is_what_the_document_says_and_its_types_build() -> None:
    generated = {each.function: each for each in constants("convoai")}
    for operation, method, path in operations("convoai"):
        constant = generated[operation]
        assert (constant.method, shape(constant.path)) == (method, shape(path))
        assert constant.result_adapter is not None
    assert {each.function for each in generated.values() if each.retry == "never-after-sent"} == {
        operation for operation, method, _ in operations("convoai") if method == "POST"
    }


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("base", ["http://127.0.0.1:9/api/v1", "http://127.0.0.1:9/api/v1/"])
async def test_every_url_ends_with_one_slash(operation: str, base: str) -> None:
    wire = Wire({"id": "a1", "message_id": "m1", "results": []})
    async with client(wire, base_url=base) as convo:
        await CALLS[operation](convo)
    template = next(path for name, _, path in operations("convoai") if name == operation)
    assert wire.last.url.raw_path.decode() == "/api/v1" + template.replace("{id}", "a1")
    assert template.endswith("/")
    assert "//" not in wire.last.url.path


def test_every_operation_is_called_here() -> None:
    assert CALLS.keys() == {operation for operation, _, _ in operations("convoai")}


# --- Keys ---


@pytest.mark.parametrize(
    ("key", "expected"), [(KEY, False), (TEST_KEY, True), ("ak_test_1", False), ("Ck_test_1", False)]
)
def test_a_test_key_is_known_by_its_beginning(key: str, expected: bool) -> None:
    convo = ConvoAI(key)
    assert convo.is_sandbox is expected
    assert convo.with_options(timeout=5).is_sandbox is expected


def test_a_key_from_the_environment_is_known_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVOAI_API_KEY", TEST_KEY)
    monkeypatch.setenv("CONVOAI_BASE_URL", "http://127.0.0.1:9/api/v1")
    convo = ConvoAI()
    monkeypatch.setenv("CONVOAI_API_KEY", KEY)  # too late for this client and its views
    assert convo.is_sandbox
    assert convo.with_options(timeout=5).is_sandbox
    assert repr(convo) == "ConvoAI(base_url='http://127.0.0.1:9/api/v1')"
    assert ConvoAI(TEST_KEY).is_sandbox


class Signed:
    identity = "signed"

    async def headers(self, context: object, /) -> dict[str, str]:
        return {"Authorization": f"Bearer {TEST_KEY}"}

    async def rejected(self, context: object, /) -> bool:
        return False


async def test_an_auth_of_ones_own_is_taken_for_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVOAI_API_KEY", TEST_KEY)
    wire = Wire()
    assert not ConvoAI(auth=Signed()).is_sandbox
    async with ConvoAI(TEST_KEY, http_client=wire.client()) as convo:
        view = convo.with_options(auth=Signed())
        assert not view.is_sandbox
        await view.me.get()
    assert wire.last.headers["Authorization"] == f"Bearer {TEST_KEY}"


def test_without_a_credential_the_error_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONVOAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match=r"ConvoAI needs a credential.*CONVOAI_API_KEY"):
        ConvoAI()
    for bad in ("", "a key", "ck_live_\n"):
        with pytest.raises(ConfigurationError, match="API key") as caught:
            ConvoAI(bad)
        assert "ck_" not in str(caught.value)


@pytest.mark.parametrize("name", ["location_id", "tier", "api_version"])
def test_another_platforms_keyword_is_a_type_error(name: str) -> None:
    unknown: Any = {name: "x"}
    with pytest.raises(TypeError, match=f"ConvoAI got an unexpected keyword argument '{name}'"):
        ConvoAI(KEY, **unknown)


# --- Plans ---

QUOTAS = {"free": (30, 60, 20), "pro": (300, 1_000, 500), "enterprise": (3_000, None, None)}


@pytest.mark.parametrize("plan", QUOTAS)
def test_a_plan_is_three_quotas(plan: Any) -> None:
    requests, messages, documents = QUOTAS[plan]
    settings = ConvoAI(KEY, plan=plan)._settings
    limits = {each.function: settings.limits_of(each) for each in constants("convoai")}
    general = (RateLimit(requests, per=60),)
    own = {
        "send_message": messages and RateLimit(messages, per=3_600, name="messages"),
        "create_knowledge": documents and RateLimit(documents, per=86_400, name="knowledge"),
    }
    for operation, held in limits.items():
        assert held == (*general, *([own[operation]] if own.get(operation) else [])), operation


def test_the_smallest_plan_is_taken_unless_another_is_named() -> None:
    assert ConvoAI(KEY)._settings.limits == PLANS["free"]
    assert ConvoAI(KEY)._settings.operation_limits == OPERATION_LIMITS["free"]
    assert ConvoAI(KEY).with_options(plan="pro")._settings.limits == PLANS["pro"]
    assert ConvoAI(KEY, plan=None)._settings.limiter is None
    for wrong in ("gold", 1, "", "Pro"):
        bad: Any = wrong
        with pytest.raises(ConfigurationError, match="free, pro, enterprise"):
            ConvoAI(KEY, plan=bad)


async def test_messages_that_are_used_up_do_not_hold_up_anything_else() -> None:
    now = 0.0

    async def wait(event: anyio.Event, seconds: float) -> None:
        nonlocal now
        now += seconds

    limiter = MemoryRateLimiter(clock=lambda: now, wait=wait)
    wire = Wire({"message_id": "m1", "id": "a1"})
    async with client(wire, rate_limit=limiter) as convo:
        for _ in range(60):
            await CALLS["send_message"](convo)
        assert now >= 60  # thirty a minute
        with pytest.raises(RateLimitWaitError, match=r"messages\.send"):
            await CALLS["send_message"](convo)
        await convo.agents.get("a1")
        for _ in range(20):
            await CALLS["create_knowledge"](convo)
        with pytest.raises(RateLimitWaitError, match=r"knowledge\.create") as caught:
            await CALLS["create_knowledge"](convo)
        assert 80_000 < caught.value.wait < 86_600
        await convo.me.get()
    assert len(wire.requests) == 82


async def test_the_headers_tell_what_others_have_used_and_when_it_is_there_again() -> None:
    now = 0.0

    async def wait(event: anyio.Event, seconds: float) -> None:
        nonlocal now
        now += seconds

    limiter = MemoryRateLimiter(clock=lambda: now, wait=wait)
    headers = {
        "X-RateLimit-Limit": "300",
        "X-RateLimit-Remaining": "1",
        "X-RateLimit-Reset": "1715349600",
        "Date": "Fri, 10 May 2024 13:59:30 GMT",  # thirty seconds before
    }
    wire = Wire({"id": "a1"}, headers=headers)
    async with client(wire, plan="pro", rate_limit=limiter) as convo:
        await convo.me.get()
        wire.headers = {}
        await convo.me.get()
        assert now == 0.0
        await convo.me.get()
    assert now == pytest.approx(30, abs=1.5)


async def test_a_refusal_waits_for_as_long_as_the_platform_says_and_no_longer_than_a_minute() -> None:
    waits: list[float] = []
    reset = {"X-RateLimit-Limit": "30", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 7)}
    for headers, expected in (({"Retry-After": "12"}, 12.0), (reset, 7.0), ({"Retry-After": "3000"}, None)):
        wire = Wire({}, 429, headers)
        async with client(wire, retry=RetryPolicy(max_attempts=2, base_delay=0)) as convo:
            sender = convo._sender
            sender._sleep = _record(waits)
            with pytest.raises(RateLimitError) as caught:
                await convo.me.get()
        assert caught.value.attempts == (1 if expected is None else 2)
        if expected is not None:
            assert waits.pop() == pytest.approx(expected, abs=1.5)
        assert not waits


def _record(waits: list[float]) -> Callable[[float], Any]:
    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    return sleep


# --- Answers ---


@on_every_backend
async def test_a_list_is_one_page() -> None:
    wire = Wire({"count": 2, "results": [{"id": "a1", "status": "active"}, {"id": "a2", "status": "asleep"}]})
    async with client(wire, strict=True) as convo:
        page = await convo.agents.list()
        assert isinstance(page, Page)
        assert ([agent.id for agent in page], page.total, page.has_next, page.cursor) == (["a1", "a2"], 2, False, None)
        assert [agent.status async for agent in convo.agents.list()] == ["active", "asleep"]
        assert response_info(page).status == 200
    assert len(wire.requests) == 2
    assert "?" not in str(wire.last.url)


async def test_a_bare_array_is_read_as_a_list_too() -> None:
    async with client(Wire([{"id": "a1"}])) as convo:
        assert [agent.id async for agent in convo.agents.list()] == ["a1"]


async def test_a_cursor_of_another_list_is_refused() -> None:
    wire = Wire()
    async with client(wire) as convo:
        with pytest.raises(InvalidArgumentError, match="resume"):
            await convo.agents.list(resume="nonsense")
    assert not wire.requests


async def test_the_long_form_of_an_agent_and_the_short_one() -> None:
    short = {"id": "agt_1", "name": "A", "status": "active", "phone_number": "+1", "created_at": "2026-01-15T10:30:00Z"}
    long = {**short, "waba_id": "1", "ai_model": "standard", "knowledge_count": 3, "tags": ["x"]}
    wire = Wire(short)
    async with client(wire, strict=True) as convo:
        assert (await convo.agents.get("agt_1")).knowledge_count is None
        wire.answer = long
        agent = await convo.agents.get("ag_1")
    assert agent.knowledge_count == 3
    assert agent.created_at is not None
    assert agent.model_extra == {"tags": ["x"]}


@pytest.mark.parametrize("operation", ["delete_agent", "activate_agent", "pause_agent", "create_knowledge"])
async def test_what_nobody_has_described_may_be_empty(operation: str) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(204))
    async with ConvoAI(KEY, strict=True, http_client=httpx.AsyncClient(transport=transport)) as convo:
        assert isinstance(await CALLS[operation](convo), Model)


async def test_a_message_is_not_sent_twice() -> None:
    wire = Wire({}, 503)
    async with client(wire) as convo:
        with pytest.raises(ServerError):
            await CALLS["send_message"](convo)
        assert len(wire.requests) == 1
        with pytest.raises(ServerError):
            await convo.agents.get("a1")
    assert len(wire.requests) == 4


async def test_an_update_sends_only_what_was_given() -> None:
    wire = Wire({"id": "a1"})
    async with client(wire) as convo:
        await convo.agents.update("a1", personality="Brief.")
    assert (wire.last.method, wire.body) == ("PATCH", {"personality": "Brief."})


REFUSALS: list[tuple[Any, str]] = [
    ({"detail": "Not allowed."}, "Not allowed"),
    ({"to": ["Enter a valid number."], "text": ["Required."]}, "to: Enter a valid number.; text: Required"),
    (["No."], "No"),
    ({}, "messages.send: ConvoAI answered 400 Bad Request to POST /agents/{agent_id}/messages/"),
]


@pytest.mark.parametrize(("body", "words"), REFUSALS)
async def test_refusals_are_told_whatever_their_body(body: Any, words: str) -> None:
    async with client(Wire(body, 400)) as convo:
        with pytest.raises(BadRequestError) as caught:
            await CALLS["send_message"](convo)
    assert words in str(caught.value)


def test_secrets_are_not_shown() -> None:
    created = models.AgentCreate(name="A", phone_number_id="1", waba_id="2", access_token="EAAGsecret")
    webhook = models.Webhook(id="wh_1", secret="whsec_secret")
    assert "EAAGsecret" not in repr(created)
    assert "whsec_secret" not in repr(webhook)
    assert webhook.secret == "whsec_secret"


async def test_the_key_is_not_in_an_error() -> None:
    async with client(Wire({"detail": f"{TEST_KEY} is revoked"}, 401), TEST_KEY) as convo:
        with pytest.raises(APIStatusError) as caught:
            await convo.me.get()
    assert TEST_KEY not in str(caught.value)
    assert TEST_KEY not in json.dumps(caught.value.body)


WRONG: list[tuple[Callable[[ConvoAI], Any], str]] = [
    (lambda convo: convo.agents.get(""), "agent_id"),
    (lambda convo: convo.agents.get("."), "agent_id"),
    (lambda convo: convo.agents.update("a1", name=7), "name"),  # type: ignore[arg-type]
    (lambda convo: convo.messages.send("a1", to=14155550199, type="text", text="x"), "to"),  # type: ignore[arg-type]
    (lambda convo: convo.messages.send("a1", to="+1", type="text", text=None), "text"),  # type: ignore[arg-type]
    (lambda convo: convo.webhooks.create("a1", url="https://a.example", events="*"), "events"),
    (lambda convo: convo.webhooks.create("a1", url="https://a.example", events=["*"], active="no"), "active"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("call", "argument"), WRONG)
async def test_a_wrong_argument_is_named_before_anything_is_sent(call: Callable[[Any], Any], argument: str) -> None:
    wire = Wire()
    async with client(wire) as convo:
        with pytest.raises(InvalidArgumentError, match=argument):
            await call(convo)
    assert not wire.requests


# --- What the document lacks, and events ---


async def test_the_other_endpoints_can_be_reached() -> None:
    wire = Wire({"count": 0, "results": []})
    async with client(wire) as convo:
        answer = await convo.request("GET", "/conversations/", query={"status": "open"})
    assert str(wire.last.url) == "https://app.convoai.cloud/api/v1/conversations/?status=open"
    assert wire.last.headers["Authorization"] == f"Bearer {KEY}"
    assert answer.json()["count"] == 0


def read(event: str, payload: dict[str, Any]) -> tuple[Any, list[Deviation]]:
    deviations: list[Deviation] = []
    return build(EVENTS[event](), payload, deviations), deviations


@pytest.mark.parametrize("key", ["event", "type"])
@pytest.mark.parametrize("name", sorted(KNOWN_EVENTS))
def test_events_are_open(name: str, key: str) -> None:
    event, deviations = read(name, {key: name, "agent_id": "ag_1", "data": {"id": "c1", "mood": "fine"}, "attempt": 2})
    assert (event.type, event.agent_id, event.model_extra, deviations) == (name, "ag_1", {"attempt": 2}, [])
    assert build(EVENTS[name](), {}, []).type == name


async def test_drift_is_reported_once_for_each_place() -> None:
    drifts: list[Drift] = []
    async with client(Wire({"email": 7, "plan": "platinum"}), on_drift=drifts.append) as convo:
        me = await convo.me.get()
    assert me.model_dump(exclude_unset=True, warnings=False) == {"email": 7, "plan": "platinum"}
    assert [(drift.operation, drift.location) for drift in drifts] == [("me.get", "email")]
