"""Every method of the facade against the sandbox, over real HTTP, with both sides strict about the document."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from dialogkit import AuthenticationError, HoverBot, NotFoundError, UnprocessableEntityError
from dialogkit.testing import Sandbox
from tests.support.backends import on_every_backend


def connect(server: Sandbox[Any]) -> HoverBot:
    return HoverBot(server.api_key, base_url=server.url, rate_limit=None, strict=True)


@on_every_backend
async def test_every_operation() -> None:
    with Sandbox(platform="hoverbot", tier=None, validate_responses=True) as server:
        async with connect(server) as hover:
            opened = await hover.conversations.create(
                channel="web", external_user_id="user-123", metadata={"page": "p"}
            )
            reply = await hover.messages.send(opened.id, text="Where is my parcel?", channel="web", locale="en-US")
            assert reply.text == "You wrote: Where is my parcel?"
            assert reply.conversation_id == opened.id
            assert reply.trace
            assert (reply.trace.latency_ms, reply.trace.confidence, reply.trace.policy_flags) == (640, 0.93, [])
            handoff = await hover.escalations.create(conversation_id=opened.id, reason_code="refund", priority="high")
            source = await hover.knowledge_sources.upsert(
                name="Manual", type="url-crawl", seed_urls=["https://a.example"]
            )
            detail = await hover.conversations.get(opened.id)
        assert [request.operation_id for request in server.requests] == [
            "create_conversation",
            "send_message",
            "create_escalation",
            "upsert_knowledge_source",
            "get_conversation",
        ]
    assert (opened.external_user_id, opened.metadata) == ("user-123", {"page": "p"})
    assert isinstance(opened.started_at, datetime)
    assert [(turn.role, turn.text) for turn in detail.transcript or []] == [
        ("user", "Where is my parcel?"),
        ("assistant", reply.text),
    ]
    assert detail.escalation
    assert (detail.escalation.id, detail.escalation.reason_code, detail.escalation.state) == (
        handoff.id,
        "refund",
        "open",
    )
    assert (source.name, source.seed_urls, source.status) == ("Manual", ["https://a.example"], "indexing")


async def test_refusals_are_typed() -> None:
    with Sandbox(platform="hoverbot", tier=None, validate_responses=True) as server:
        async with connect(server) as hover:
            with pytest.raises(NotFoundError, match="no conversation with the id 'nobody'"):
                await hover.conversations.get("nobody")
            with pytest.raises(UnprocessableEntityError, match="channel must be a string"):
                await hover.request("POST", "/v1/conversations", json={"channel": 7})
        async with HoverBot("wrong-key-0123", base_url=server.url, rate_limit=None) as wrong:
            with pytest.raises(AuthenticationError):
                await wrong.conversations.get("conversation_1")
