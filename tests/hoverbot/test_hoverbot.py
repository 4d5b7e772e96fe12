"""HoverBot's facade: names, headers, limits, tolerance, and events as the platform may write them."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import anyio
import pytest

from dialogkit import (
    ConfigurationError,
    Drift,
    HoverBot,
    InvalidArgumentError,
    MemoryRateLimiter,
    NotFoundError,
    OAuth2,
    RateLimit,
    RateLimitError,
    ResponseValidationError,
    RetryPolicy,
    ServerError,
)
from dialogkit._core.client import Namespace
from dialogkit._core.codec.models import Model
from dialogkit._core.codec.tolerance import Deviation, build
from dialogkit.hoverbot import LIMITS, namespaces
from dialogkit.hoverbot._generated.webhooks import EVENTS
from tests.support.backends import on_every_backend
from tests.support.wire import Wire, bound_functions, constants, document, ignore, operations, shape

KEY = "hb_0123456789abcdef"
AT_ONCE = RetryPolicy(base_delay=0, default_retry_after=0)

# The public names, as the design fixes them.
TABLE = {
    "conversations": "create get",
    "messages": "send",
    "knowledge_sources": "upsert",
    "escalations": "create",
}

# What the platform documents: the reference's five operations and four events, and four more names in its guides.
OPERATIONS = {
    ("POST", "/v1/conversations"),
    ("GET", "/v1/conversations/{id}"),
    ("POST", "/v1/conversations/{id}/messages"),
    ("POST", "/v1/knowledge-sources"),
    ("POST", "/v1/escalations"),
}
KNOWN_EVENTS = {
    "conversation.created",
    "message.responded",
    "lead.qualified",
    "escalation.created",
    "conversation.escalated",
    "conversation.completed",
    "conversation.feedback",
    "guardrail.triggered",
}


def client(wire: Wire, **options: Any) -> HoverBot:
    settings: dict[str, Any] = {"rate_limit": None, "on_drift": ignore, "retry": AT_ONCE, **options}
    return HoverBot(KEY, http_client=wire.client(), **settings)


@pytest.mark.parametrize("name", TABLE)
def test_the_table_of_public_names(name: str) -> None:
    namespace = getattr(client(Wire()), name)
    assert isinstance(namespace, Namespace)
    for method in TABLE[name].split():
        assert inspect.getdoc(getattr(type(namespace), method)), f"{name}.{method} has no docstring"


def test_everything_that_is_documented_is_there_and_nothing_else() -> None:
    assert {(method, path) for _, method, path in operations("hoverbot")} == OPERATIONS
    assert sorted(bound_functions(namespaces)) == sorted(operation for operation, _, _ in operations("hoverbot"))
    assert EVENTS.keys() == document("hoverbot")["webhooks"].keys() == KNOWN_EVENTS


def test_every_operation_is_what_the_document_says_and_its_types_build() -> None:
    generated = {each.function: each for each in constants("hoverbot")}
    for operation, method, path in operations("hoverbot"):
        constant = generated[operation]
        assert (constant.method, shape(constant.path)) == (method, shape(path))
        assert not path.endswith("/")
        assert constant.retry == ("safe" if method == "GET" else "never-after-sent")
        assert constant.result_adapter is not None
    for model in EVENTS.values():
        assert issubclass(model(), Model)
        model().model_rebuild()


def test_without_a_credential_the_error_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOVERBOT_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match=r"HoverBot needs a credential.*HOVERBOT_API_KEY"):
        HoverBot()


def test_everything_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOVERBOT_API_KEY", KEY)
    monkeypatch.setenv("HOVERBOT_BASE_URL", "http://127.0.0.1:9")
    assert repr(HoverBot()) == "HoverBot(base_url='http://127.0.0.1:9')"
    monkeypatch.delenv("HOVERBOT_BASE_URL")
    assert repr(HoverBot()) == "HoverBot(base_url='https://api.hoverbot.ai')"


@pytest.mark.parametrize("name", ["location_id", "tier", "plan", "api_version"])
def test_another_platforms_keyword_is_a_type_error(name: str) -> None:
    unknown: Any = {name: "x"}
    with pytest.raises(TypeError, match=f"HoverBot got an unexpected keyword argument '{name}'"):
        HoverBot(KEY, **unknown)
    with pytest.raises(TypeError, match=name):
        HoverBot(KEY).with_options(**unknown)


@on_every_backend
async def test_a_conversation_from_its_beginning_to_its_handoff() -> None:
    wire = Wire({"conversationId": "conv_1", "startedAt": "2026-03-02T09:30:00Z"})
    async with client(wire) as hover:
        conversation = await hover.conversations.create(
            channel="web", external_user_id="user-1", metadata={"plan": "gold"}
        )
        assert wire.body == {"channel": "web", "externalUserId": "user-1", "metadata": {"plan": "gold"}}
        assert conversation.started_at == datetime(2026, 3, 2, 9, 30, tzinfo=timezone.utc)
        await hover.messages.send(conversation.id, text="Hello")
        assert (str(wire.last.url), wire.body) == (
            "https://api.hoverbot.ai/v1/conversations/conv_1/messages",
            {"text": "Hello"},
        )
        await hover.escalations.create(conversation_id=conversation.id, reason_code="refund", priority="high")
        assert wire.body == {"conversationId": "conv_1", "reasonCode": "refund", "priority": "high"}


async def test_the_trace_of_a_reply_is_typed_and_what_is_new_is_kept() -> None:
    trace = {"latencyMs": 640, "modelTier": "standard", "confidence": 0.93, "policyFlags": ["pii"], "tokens": 77}
    async with client(Wire({"message": "It is on its way.", "trace": trace, "sources": ["faq"]}), strict=True) as hover:
        reply = await hover.messages.send("conv_1", text="Where is it?")
    assert reply.text == "It is on its way."
    assert reply.trace is not None
    assert (reply.trace.latency_ms, reply.trace.model_tier) == (640, "standard")
    assert (reply.trace.confidence, reply.trace.policy_flags) == (0.93, ["pii"])
    assert reply.trace.model_extra == {"tokens": 77}
    assert reply.model_extra == {"sources": ["faq"]}


@pytest.mark.parametrize(
    "answer", [{"conversationId": "conv_1"}, {"id": "conv_1"}, {"id": "row_7", "conversationId": "conv_1"}]
)
async def test_the_id_is_read_under_both_names(answer: dict[str, str]) -> None:
    drifts: list[Drift] = []
    async with client(Wire(answer), on_drift=drifts.append) as hover:
        assert (await hover.conversations.get("conv_1")).id == "conv_1"
        # The lenient reader, which takes over where something differs, agrees with the fast one.
        wire = Wire({**answer, "startedAt": "soon"})
        conversation = await hover.with_options(http_client=wire.client()).conversations.get("conv_1")
        assert conversation.id == "conv_1"
    assert [drift.location for drift in drifts] == ["started_at"]


async def test_a_detail_has_its_transcript_and_outcomes_of_any_form() -> None:
    answer = {
        "conversationId": "conv_1",
        "transcript": [{"role": "user", "text": "Hi"}, {"role": "assistant", "text": "Hello"}],
        "outcomes": [{"kind": "solved"}],
        "escalation": {"state": "open", "reasonCode": "refund"},
    }
    async with client(Wire(answer), strict=True) as hover:
        detail = await hover.conversations.get("conv_1")
    assert [turn.role for turn in detail.transcript or []] == ["user", "assistant"]
    assert detail.outcomes == [{"kind": "solved"}]
    assert detail.escalation is not None
    assert detail.escalation.reason_code == "refund"


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_answers_that_nobody_has_described_are_accepted(status: int) -> None:
    async with client(Wire({"ok": True}, status), strict=True) as hover:
        source = await hover.knowledge_sources.upsert(name="Help", type="url-crawl", seed_urls=["https://a.example"])
        escalation = await hover.escalations.create(conversation_id="c1", reason_code="r")
    assert source.model_extra == escalation.model_extra == {"ok": True}


async def test_a_conversation_without_an_id_is_reported() -> None:
    drifts: list[Drift] = []
    wire = Wire({"channel": "web"})
    async with client(wire, on_drift=drifts.append) as hover:
        assert (await hover.conversations.create(channel="web")).channel == "web"
        with pytest.raises(ResponseValidationError, match="Field required"):
            await hover.with_options(strict=True).conversations.create(channel="web")
    assert [(drift.operation, drift.location) for drift in drifts] == [("conversations.create", "id")]


WRONG: list[tuple[Callable[[Any], Any], str]] = [
    (lambda hover: hover.conversations.get(""), "conversation_id"),
    (lambda hover: hover.conversations.get(".."), "conversation_id"),
    (lambda hover: hover.messages.send(7, text="x"), "conversation_id"),
    (lambda hover: hover.messages.send("c1", text=7), "text"),
    (lambda hover: hover.messages.send("c1", text=None), "text"),
    (lambda hover: hover.conversations.create(channel="web", metadata=["x"]), "metadata"),
    (lambda hover: hover.knowledge_sources.upsert(name="x", type="url-crawl", seed_urls="https://a"), "seed_urls"),
]


@pytest.mark.parametrize(("call", "argument"), WRONG)
async def test_a_wrong_argument_is_named_before_anything_is_sent(
    call: Callable[[HoverBot], Any], argument: str
) -> None:
    wire = Wire()
    async with client(wire) as hover:
        with pytest.raises(InvalidArgumentError, match=argument):
            await call(hover)
    assert not wire.requests


async def test_a_missing_argument_is_a_type_error() -> None:
    escalate: Any = client(Wire()).escalations.create
    with pytest.raises(TypeError, match="reason_code"):
        await escalate(conversation_id="c1")


async def test_refusals_are_typed_whatever_their_body() -> None:
    for body in ({"message": "gone"}, {"error": {"message": "gone"}}, {"detail": "gone"}, "gone"):
        async with client(Wire(body, 404)) as hover:
            with pytest.raises(NotFoundError, match=r"conversations\.get: HoverBot answered 404 .*: gone\."):
                await hover.conversations.get("c1")


async def test_a_source_is_not_sent_twice_unless_it_was_turned_away() -> None:
    broken, busy = Wire({}, 500), Wire({}, 429, {"Retry-After": "0"})
    async with client(broken) as hover:
        with pytest.raises(ServerError):
            await hover.knowledge_sources.upsert(name="x", type="url-crawl")
        assert len(broken.requests) == 1
        with pytest.raises(RateLimitError):
            await hover.with_options(http_client=busy.client()).knowledge_sources.upsert(name="x", type="url-crawl")
    assert len(busy.requests) == 3


def test_the_limits_are_those_of_the_reference() -> None:
    assert (RateLimit(600, per=60, burst=1_200),) == LIMITS
    assert LIMITS[0].windows() == ((1_200, 120.0),)
    assert HoverBot(KEY)._settings.limits == LIMITS
    assert HoverBot(KEY, rate_limit=None)._settings.limiter is None


async def test_a_burst_is_lent_from_the_time_that_follows() -> None:
    now = 0.0

    async def wait(event: anyio.Event, seconds: float) -> None:
        nonlocal now
        now += seconds

    limiter = MemoryRateLimiter(clock=lambda: now, wait=wait, max_pause=200)
    wire = Wire({"conversationId": "c1"})
    moments: list[float] = []
    async with client(wire, rate_limit=limiter) as hover:
        for _ in range(2_500):
            await hover.conversations.get("c1")
            moments.append(now)
    assert moments[1_199] == 0.0
    for count, seconds in ((1_200, 120), (2_400, 240)):  # what the server may see at most
        assert all(later - earlier >= seconds for earlier, later in zip(moments, moments[count:], strict=False)), (
            f"more than {count} in {seconds} s"
        )


# --- Events, as their models read what verification has found ---


def read(event: str, payload: dict[str, Any]) -> tuple[Any, list[Deviation]]:
    deviations: list[Deviation] = []
    return build(EVENTS[event](), payload, deviations), deviations


@pytest.mark.parametrize("name", KNOWN_EVENTS)
def test_every_example_is_read_without_a_difference(name: str) -> None:
    example = document("hoverbot")["webhooks"][name]["post"]["requestBody"]["content"]["application/json"]["example"]
    event, deviations = read(name, example)
    assert (event.type, deviations, event.model_extra) == (name, [], {})


@pytest.mark.parametrize("key", ["event", "type"])
def test_an_events_name_is_its_type_on_every_platform(key: str) -> None:
    event, deviations = read("guardrail.triggered", {key: "guardrail.triggered", "rule": "no-advice"})
    assert (event.type, event.model_extra, deviations) == ("guardrail.triggered", {"rule": "no-advice"}, [])


def test_a_lead_has_one_score_by_whichever_name() -> None:
    assert read("lead.qualified", {"leadScore": 82})[0].lead_score == 82
    assert read("lead.qualified", {"qualificationScore": 82})[0].lead_score == 82
    both, _ = read("lead.qualified", {"qualificationScore": 1, "leadScore": 82, "conversationUrl": "https://a.example"})
    assert (both.lead_score, both.conversation_url) == (82, "https://a.example")
    wrong, deviations = read("lead.qualified", {"qualificationScore": "high", "email": "a@b.example"})
    assert (wrong.lead_score, wrong.email) == ("high", "a@b.example")
    assert [each.path for each in deviations] == [("lead_score",)]


@pytest.mark.parametrize("name", sorted(KNOWN_EVENTS))
def test_every_event_shows_the_key_of_its_delivery(name: str) -> None:
    assert read(name, {"event": name, "idempotencyKey": "k1", "id": "e1"})[0].idempotency_key == "k1"
    assert read(name, {"event": name, "id": "e1"})[0].idempotency_key == "e1"
    assert read(name, {"event": name})[0].idempotency_key is None


async def test_a_new_kind_of_source_is_accepted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire({"type": "sitemap", "status": "queued"})
    with caplog.at_level(logging.WARNING, "dialogkit"):
        async with client(wire, on_drift=None) as hover:
            for _ in range(2):
                assert (await hover.knowledge_sources.upsert(name="x", type="sitemap")).type == "sitemap"
    (record,) = caplog.records
    assert "which the document does not know. It is sent all the same" in record.getMessage()


async def test_oauth_needs_no_location() -> None:
    issued = {"access_token": "token-of-the-workspace", "refresh_token": "refresh-token-1", "expires_in": 3600}
    wire = Wire(issued)
    oauth = OAuth2("id", "secret-of-the-app", token_url="https://hover.example/token")
    async with HoverBot(auth=oauth, http_client=wire.client(), rate_limit=None, on_drift=ignore) as hover:
        await oauth.exchange(hover, code="code-of-the-user")
        await hover.request("GET", "/v1/conversations")
    assert wire.requests[-1].headers["authorization"] == "Bearer token-of-the-workspace"
