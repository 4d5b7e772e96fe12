"""HoverBot's sandbox, over plain HTTP: sessions, canned replies, events, limits, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from dialogkit.hoverbot import models, webhooks
from dialogkit.testing import Sandbox, SandboxError
from dialogkit.testing.engine.limits import Limits, Window
from dialogkit.testing.hoverbot import PLATFORM as HOVERBOT
from tests.support.endpoint import Endpoint
from tests.testing.tools import Clock, ok


@pytest.fixture(scope="module")
def _server() -> Iterator[Sandbox[Any]]:
    with Sandbox(platform="hoverbot", tier=None, validate_responses=True) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_server: Sandbox[Any]) -> Sandbox[Any]:
    _server.reset()
    return _server


@pytest.fixture
def api(sandbox: Sandbox[Any]) -> Iterator[httpx.Client]:
    with client_of(sandbox) as client:
        yield client


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


def client_of(sandbox: Sandbox[Any]) -> httpx.Client:
    return httpx.Client(base_url=sandbox.url, headers={"Authorization": f"Bearer {sandbox.api_key}"})


def test_it_starts_with_rows_that_have_fixed_ids(api: httpx.Client) -> None:
    first = ok(api.get("/v1/conversations/conversation_1"))
    assert (first["conversationId"], first["channel"], first["escalation"]) == ("conversation_1", "web", None)
    assert [turn["role"] for turn in first["transcript"]] == ["user", "assistant"]
    handbook = {"name": "Handbook", "type": "url-crawl"}
    assert ok(api.post("/v1/knowledge-sources", json=handbook))["id"] == "source_1"
    with Sandbox(platform="hoverbot", seed=False) as empty, client_of(empty) as other:
        assert other.get("/v1/conversations/conversation_1").status_code == 404


def test_a_knowledge_source_is_known_by_its_name(api: httpx.Client) -> None:
    def upsert(**values: Any) -> Any:
        return ok(api.post("/v1/knowledge-sources", json={"type": "url-crawl", **values}))

    first = upsert(name="Manual", seedUrls=["https://a.example"])
    again = upsert(name="Manual", seedUrls=["https://b.example"])
    assert (again["id"], again["seedUrls"]) == (first["id"], ["https://b.example"])
    assert upsert(name="Manual")["seedUrls"] == ["https://b.example"]
    assert upsert(name="Other")["id"] != first["id"]


def test_whoever_asks_for_a_human_gets_an_unsure_reply(api: httpx.Client) -> None:
    url = "/v1/conversations/conversation_1/messages"
    sure = ok(api.post(url, json={"text": "Hello"}))["trace"]
    unsure = ok(api.post(url, json={"text": "A HUMAN, please"}))["trace"]
    assert sure["confidence"] > 0.5 > unsure["confidence"]
    assert (sure["policyFlags"], len(unsure["policyFlags"])) == ([], 1)


def test_events_arrive_signed(sandbox: Sandbox[Any], api: httpx.Client, endpoint: Endpoint) -> None:
    hook = sandbox.webhooks.register(endpoint.url)
    assert (hook.scheme, hook.public_key, hook.rsa_public_key) == ("hmac", None, None)
    assert hook.secret
    id_ = ok(api.post("/v1/conversations", json={"channel": "web"}))["conversationId"]
    for text in ("I am ada@example.com.", "As I said: ada@example.com"):
        ok(api.post(f"/v1/conversations/{id_}/messages", json={"text": text}))
    handoff = {"conversationId": id_, "reasonCode": "refund", "destination": "zendesk", "priority": "high"}
    ok(api.post("/v1/escalations", json=handoff))
    sandbox.webhooks.wait()
    received = [webhooks.receive(each.body, each.headers, secret=hook.secret) for each in endpoint.received]
    events = {type(each.event): each.event for each in received}
    assert sorted(each.type for each in received) == [
        "conversation.created",
        "escalation.created",
        "lead.qualified",
        "message.responded",
        "message.responded",
    ]
    assert {each.event.conversation_id for each in received} == {id_}
    assert len({each.id for each in received}) == 5
    assert {each.id for each in received} == {each.id for each in sandbox.deliveries}
    lead = events[models.LeadQualifiedEvent]
    assert isinstance(lead, models.LeadQualifiedEvent)
    assert (lead.lead_score, lead.contact_fields, lead.workspace_id) == (82, {"email": "ada@example.com"}, "ws_sandbox")
    escalation = events[models.EscalationCreatedEvent]
    assert isinstance(escalation, models.EscalationCreatedEvent)
    assert (escalation.reason_code, escalation.destination, escalation.owner) == ("refund", "zendesk", None)


def test_any_event_can_be_made_to_happen(sandbox: Sandbox[Any], endpoint: Endpoint) -> None:
    hook = sandbox.webhooks.register(endpoint.url, ["conversation.feedback"], secret="of-the-workspace")
    id_ = sandbox.webhooks.emit("conversation.feedback", {"conversationId": "conversation_1", "data": {"rating": 5}})
    with pytest.raises(LookupError):
        sandbox.webhooks.emit("guardrail.triggered")
    sandbox.webhooks.register(endpoint.url, ["lead.qualified"])
    with pytest.raises(ValueError, match="leadScore"):
        sandbox.webhooks.emit("lead.qualified", {"leadScore": "high"})
    sandbox.webhooks.wait()
    (delivery,) = endpoint.received
    received = webhooks.receive(delivery.body, delivery.headers, secret=hook.secret or "")
    assert (hook.secret, received.id, received.key) == ("of-the-workspace", id_, f"hoverbot:id:{id_}")
    assert isinstance(received.event, models.ConversationFeedbackEvent)


def test_600_a_minute_and_twice_as_many_at_once() -> None:
    clock = Clock()
    clock.now = 1000.0
    limits = Limits(HOVERBOT.tiers["standard"], clock, HOVERBOT.limit_headers)
    verdicts = [limits.admit("key") for _ in range(1201)]
    assert [verdict.retry_after for verdict in verdicts] == [None] * 1200 + [120]
    few = replace(HOVERBOT, tiers={"standard": (Window(2, 120),)})
    with Sandbox(platform=few, monotonic=clock) as sandbox, client_of(sandbox) as api:
        answers = [api.get("/v1/conversations/conversation_1") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[-1].headers["Retry-After"] == "120"
        assert answers[-1].json() == {"message": "Too Many Requests"}
        assert not [name for name in answers[0].headers if name.lower().startswith("x-ratelimit")]
        clock.now += 120
        assert api.get("/v1/conversations/conversation_1").status_code == 200


@pytest.mark.parametrize(
    ("route", "body", "status", "message"),
    [
        ("POST /v1/conversations", {}, 400, "channel should not be empty"),
        ("POST /v1/conversations", {"channel": 7}, 422, "channel must be a string"),
        ("POST /v1/conversations/conversation_1/messages", {"text": None}, 422, "text must be a string"),
        ("POST /v1/escalations", {"conversationId": "x", "reasonCode": "y"}, 404, "no conversation with the id 'x'"),
        ("GET /v1/conversations/x", None, 404, "no conversation with the id 'x'"),
        ("GET /v1/conversations/", None, 404, "Cannot GET"),
        ("GET /v1/conversations", None, 405, "takes POST"),
    ],
)
def test_refusals(api: httpx.Client, route: str, body: Any, status: int, message: str) -> None:
    answer = api.request(*route.split(), json=body)
    assert answer.status_code == status
    assert answer.json().keys() == {"message"}
    assert message in answer.json()["message"]


def test_without_the_key(sandbox: Sandbox[Any]) -> None:
    answer = httpx.get(f"{sandbox.url}/v1/conversations/conversation_1", headers={"Authorization": "Bearer x"})
    assert (answer.status_code, answer.json().keys()) == (401, {"message"})


def test_what_is_hoopai_s_is_refused(sandbox: Sandbox[Any]) -> None:
    for attempt in (
        lambda: sandbox.add_conversations(1),
        lambda: sandbox.add_location("loc_2"),
        lambda: sandbox.client_id,
        sandbox.authorize,
    ):
        with pytest.raises(SandboxError, match="HoverBot has only what its API can make"):
            attempt()
    with pytest.raises(Exception, match="signs by hmac"):
        sandbox.webhooks.register("http://127.0.0.1:9/", scheme="rsa")


def test_a_platform_or_tier_that_does_not_exist() -> None:
    nothing: Any = "chatbot9000"
    with pytest.raises(ValueError, match="hoopai, hoverbot, convoai, not for 'chatbot9000'"):
        Sandbox(platform=nothing)
    with pytest.raises(ValueError, match="HoverBot has the tiers standard, not 'pro'"):
        Sandbox(platform="hoverbot", tier="pro")
    assert Sandbox(platform="hoverbot").tier == Sandbox().tier == "standard"
