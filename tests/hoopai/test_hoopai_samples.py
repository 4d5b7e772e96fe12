"""The samples of HoopAI's pages: the call that replaces each puts the same on the wire.

Where a sample contradicts what else is known, the test says so. One thing differs everywhere: the cURL sample of a GET
has a `Content-Type` although it has no body; ours has none. The Spanish page of Conversation AI has no samples; it
prints the name of the header `Version` with an accent, which no HTTP library would send.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from dialogkit import HoopAI
from tests.support.wire import Wire, ignore, sent

KEY = "pit-xxxxxxxxxxxxxxxx"
BASE = "https://services.leadconnectorhq.com"
HERE = "locationId=loc_abc123"


@dataclass(frozen=True)
class Sample:
    call: Callable[[HoopAI], Any]
    method: str
    path: str
    json: Any = None
    location_id: str | None = "loc_abc123"


AI_REFERENCE = {
    # The page wants a location with every request, and its first sample has none. The platform answers it without.
    "cURL: list conversations": Sample(
        lambda hoop: hoop.conversations.list(), "GET", "/conversations/", location_id=None
    ),
    "list bots": Sample(lambda hoop: hoop.bots.list(), "GET", f"/conversations/bots?{HERE}"),
    "get a bot": Sample(lambda hoop: hoop.bots.get("bot_1"), "GET", f"/conversations/bots/bot_1?{HERE}"),
    "create a bot": Sample(
        lambda hoop: hoop.bots.create(
            name="Sales", system_prompt="Sell.", model="gpt-4", temperature=0.7, max_tokens=500, status="draft"
        ),
        "POST",
        "/conversations/bots",
        {
            "locationId": "loc_abc123",
            "name": "Sales",
            "systemPrompt": "Sell.",
            "model": "gpt-4",
            "temperature": 0.7,
            "maxTokens": 500,
            "status": "draft",
        },
    ),
    "delete a bot": Sample(lambda hoop: hoop.bots.delete("bot_1"), "DELETE", f"/conversations/bots/bot_1?{HERE}"),
    "JavaScript: activate a bot": Sample(
        lambda hoop: hoop.bots.set_status("bot_1", status="active"),
        "PATCH",
        "/conversations/bots/bot_1/status",
        {"locationId": "loc_abc123", "status": "active"},
    ),
    "list a bot's conversations": Sample(
        lambda hoop: hoop.conversations.list(bot_id="bot_1", limit=20, offset=0),
        "GET",
        f"/conversations/?{HERE}&botId=bot_1&limit=20&offset=0",
    ),
    "list messages": Sample(lambda hoop: hoop.messages.list("conv_1"), "GET", f"/conversations/conv_1/messages?{HERE}"),
    "list knowledge": Sample(
        lambda hoop: hoop.bots.knowledge.list("bot_1"), "GET", f"/conversations/bots/bot_1/knowledge?{HERE}"
    ),
    "JavaScript: add knowledge": Sample(
        lambda hoop: hoop.bots.knowledge.add("bot_1", type="text", title="Prices", content="From 99 dollars."),
        "POST",
        "/conversations/bots/bot_1/knowledge",
        {"locationId": "loc_abc123", "type": "text", "title": "Prices", "content": "From 99 dollars."},
    ),
    "delete knowledge": Sample(
        lambda hoop: hoop.bots.knowledge.delete("bot_1", "entry_1"),
        "DELETE",
        f"/conversations/bots/bot_1/knowledge/entry_1?{HERE}",
    ),
    "list voice calls": Sample(
        lambda hoop: hoop.voice_calls.list(agent_id="agent_1"), "GET", f"/voice-ai/calls?{HERE}&agentId=agent_1"
    ),
    "get a transcript": Sample(
        lambda hoop: hoop.voice_calls.transcript("call_1"), "GET", f"/voice-ai/calls/call_1/transcript?{HERE}"
    ),
    "get a recording": Sample(
        lambda hoop: hoop.voice_calls.recording("call_1"), "GET", f"/voice-ai/calls/call_1/recording?{HERE}"
    ),
}

CONVERSATIONS = {
    # The platform's public specification has no `conversationId` here and wants a `contactId`; either will do.
    "cURL: send a text message": Sample(
        lambda hoop: hoop.messages.send(type="SMS", conversation_id="ABCHkzuJQ8ZMd4Te84GK", message="See you at 10."),
        "POST",
        "/conversations/messages",
        {"type": "SMS", "conversationId": "ABCHkzuJQ8ZMd4Te84GK", "message": "See you at 10."},
    ),
}

SAMPLES = {**AI_REFERENCE, **CONVERSATIONS}


@pytest.mark.parametrize("name", SAMPLES)
async def test_the_sample_is_put_on_the_wire(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOPAI_LOCATION_ID", raising=False)
    sample = SAMPLES[name]
    wire = Wire({})
    async with HoopAI(KEY, location_id=sample.location_id, http_client=wire.client(), on_drift=ignore) as hoop:
        await sample.call(hoop)
    headers = {"authorization": f"Bearer {KEY}", "version": "2021-07-28"}
    if sample.json is not None:
        headers["content-type"] = "application/json"
    method, url, given, json = sent(wire.last)
    assert (method, given, json) == (sample.method, headers, sample.json)
    path, _, query = url.removeprefix(BASE).partition("?")
    wanted_path, _, wanted_query = sample.path.partition("?")
    assert path == wanted_path
    assert sorted(query.split("&")) == sorted(wanted_query.split("&"))  # the order of a query means nothing
    assert len(wire.requests) == 1
