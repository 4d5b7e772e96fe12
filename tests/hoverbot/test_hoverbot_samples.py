"""The samples of HoverBot's API reference: the call that replaces each puts the same on the wire.

The reference has one in cURL, one in JavaScript and one in Python. A guide also shows the path of the conversations
without a method or body, to explain the `Authorization` header; that is no evidence of a list, so nothing replaces it.
The Python sample gives up after 20 seconds; here that is `options=CallOptions(timeout=20)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from dialogkit import CallOptions, HoverBot
from tests.support.wire import Wire, ignore, sent

KEY = "hb_xxxxxxxxxxxxxxxx"
BASE = "https://api.hoverbot.ai"


@dataclass(frozen=True)
class Sample:
    call: Callable[[HoverBot], Any]
    path: str
    json: Any


SAMPLES = {
    "cURL: send a message": Sample(
        lambda hover: hover.messages.send("conv_1", text="Can it go elsewhere?", channel="web", locale="en-US"),
        "/v1/conversations/conv_1/messages",
        {"text": "Can it go elsewhere?", "channel": "web", "locale": "en-US"},
    ),
    "JavaScript: open a session": Sample(
        lambda hover: hover.conversations.create(
            external_user_id="user-123", channel="web", metadata={"source": "landing-page"}
        ),
        "/v1/conversations",
        {"externalUserId": "user-123", "channel": "web", "metadata": {"source": "landing-page"}},
    ),
    "Python: index a site": Sample(
        lambda hover: hover.knowledge_sources.upsert(
            name="Manual",
            type="url-crawl",
            seed_urls=["https://docs.example.com/help"],
            options=CallOptions(timeout=20),
        ),
        "/v1/knowledge-sources",
        {"name": "Manual", "type": "url-crawl", "seedUrls": ["https://docs.example.com/help"]},
    ),
}


@pytest.mark.parametrize("name", SAMPLES)
async def test_the_sample_is_put_on_the_wire(name: str) -> None:
    sample = SAMPLES[name]
    wire = Wire({"conversationId": "conv_1"})
    async with HoverBot(KEY, http_client=wire.client(), on_drift=ignore) as hover:
        await sample.call(hover)
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    assert [sent(request) for request in wire.requests] == [("POST", BASE + sample.path, headers, sample.json)]
