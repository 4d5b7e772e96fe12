"""The calls that the platforms' own references show, with nothing but host, key and ids replaced."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from dialogkit.testing import Sandbox

JSON = {"Content-Type": "application/json"}
KEY = "YOUR_API_KEY"
BOT: dict[str, Any] = {
    "locationId": "loc_abc123",
    "name": "Sales Assistant",
    "systemPrompt": "You are a sales assistant.",
    "model": "gpt-4",
    "temperature": 0.7,
    "maxTokens": 500,
    "status": "draft",
}
ENTRY = {"locationId": "loc_abc123", "type": "text", "title": "Pricing FAQ", "content": "Our plans start at ..."}
SMS = {"type": "SMS", "conversationId": "conversation_1", "message": "Hello, your appointment is confirmed."}
HOOPAI: list[tuple[str, str, Any]] = [
    ("GET", "/conversations/", None),
    ("GET", "/conversations/bots?locationId=loc_abc123", None),
    ("GET", "/conversations/bots/bot_1?locationId=loc_abc123", None),
    ("POST", "/conversations/bots", BOT),
    ("PATCH", "/conversations/bots/bot_1/status", {"locationId": "loc_abc123", "status": "active"}),
    ("GET", "/conversations/?locationId=loc_abc123&botId=bot_1&limit=20&offset=0", None),
    ("GET", "/conversations/conversation_1/messages?locationId=loc_abc123", None),
    ("POST", "/conversations/bots/bot_1/knowledge", ENTRY),
    ("GET", "/conversations/bots/bot_1/knowledge?locationId=loc_abc123", None),
    ("GET", "/voice-ai/calls?locationId=loc_abc123&agentId=voice_agent_1&startDate=2026-01-01", None),
    ("GET", "/voice-ai/calls/call_1/transcript?locationId=loc_abc123", None),
    ("GET", "/voice-ai/calls/call_1/recording?locationId=loc_abc123", None),
    ("POST", "/conversations/messages", SMS),
    ("DELETE", "/conversations/bots/bot_1?locationId=loc_abc123", None),
]
SOURCE = {"name": "Help", "type": "url-crawl", "seedUrls": ["https://example.com/help"]}
HOVERBOT: list[tuple[str, str, Any]] = [
    ("POST", "/v1/conversations", {"externalUserId": "user-123", "channel": "web", "metadata": {"plan": "pro"}}),
    ("POST", "/v1/conversations/conversation_1/messages", {"text": "Hi", "channel": "web", "locale": "en-US"}),
    ("POST", "/v1/knowledge-sources", SOURCE),
]
HOOK = {"url": "https://yourapp.example/hooks", "events": ["lead.qualified"], "secret": "whsec_your_signing_secret"}
CONVOAI: list[tuple[str, str, Any]] = [
    ("GET", "/api/v1/me/", None),
    ("GET", "/api/v1/agents/", None),
    ("POST", "/api/v1/agents/agent_1/knowledge/", {"title": "Prices", "content": "From $49/mo.", "doc_type": "text"}),
    ("POST", "/api/v1/agents/agent_1/messages/", {"to": "+14155550199", "type": "text", "text": "Hello!"}),
    ("POST", "/api/v1/agents/agent_1/webhooks/", HOOK),
]


def refusals(sandbox: Sandbox[Any], calls: list[tuple[str, str, Any]], **headers: str) -> list[str]:
    origin = "http://{0.host}:{0.port}".format(httpx.URL(sandbox.url))
    known = {"Authorization": f"Bearer {KEY}", **JSON, **headers}
    answers = [httpx.request(method, origin + path, json=body, headers=known) for method, path, body in calls]
    return [f"{answer.request.url}: {answer.text}" for answer in answers if not answer.is_success]


def test_hoopai_s() -> None:
    with Sandbox(tier=None, location_id="loc_abc123", api_key=KEY) as sandbox:
        assert refusals(sandbox, HOOPAI, Version="2021-07-28") == []


def test_hoverbot_s() -> None:
    with Sandbox(platform="hoverbot", tier=None, api_key=KEY) as sandbox:
        assert refusals(sandbox, HOVERBOT) == []


def test_convoai_s() -> None:
    with Sandbox(platform="convoai", tier=None, api_key=KEY) as sandbox:
        assert refusals(sandbox, CONVOAI) == []


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("/api/v1/me/", "ck_test_sandbox", 200),
        ("/api/v1/me/", "ck_test_nobody", 401),
        ("/api/v1/agents/nobody/", "ck_test_sandbox", 404),
        ("/api/v1/nowhere/", "ck_test_sandbox", 404),
        ("/me/", "ck_test_sandbox", 404),
    ],
)
def test_all_of_convoai_s_answers_tell_of_the_limits(path: str, key: str, status: int) -> None:
    with Sandbox(platform="convoai", tier="pro") as sandbox:
        origin = "http://{0.host}:{0.port}".format(httpx.URL(sandbox.url))
        answer = httpx.get(origin + path, headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == status
    assert answer.headers["X-RateLimit-Limit"] == "300"
    assert {"x-ratelimit-remaining", "x-ratelimit-reset"} <= answer.headers.keys()
