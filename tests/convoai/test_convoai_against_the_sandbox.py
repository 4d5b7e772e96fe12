"""Every method of the facade against the sandbox, over real HTTP, with both sides strict about the document."""

from __future__ import annotations

from typing import Any

import pytest

from dialogkit import (
    AuthenticationError,
    BadRequestError,
    ConvoAI,
    NotFoundError,
    RateLimitError,
    RetryPolicy,
    response_info,
)
from dialogkit.convoai import models, webhooks
from dialogkit.testing import Sandbox
from tests.support.backends import on_every_backend
from tests.support.endpoint import Endpoint
from tests.testing.tools import Clock

META: Any = {"phone_number_id": "109876543210987", "waba_id": "102345678901234", "access_token": "EAAGexampletoken"}


def connect(server: Sandbox[Any], key: str | None = None, **options: Any) -> ConvoAI:
    return ConvoAI(key or server.api_key, base_url=server.url, rate_limit=None, strict=True, **options)


@on_every_backend
async def test_every_operation() -> None:
    with Sandbox(platform="convoai", tier=None, validate_responses=True) as server:
        async with connect(server) as convo:
            me = await convo.me.get()
            agent = await convo.agents.create(name="Ada", language="de", timezone="Europe/Berlin", **META)
            assert (agent.status, agent.language, agent.knowledge_count) == ("draft", "de", 0)
            assert "EAAGexampletoken" not in repr(agent.model_dump())
            assert (await convo.agents.activate(agent.id)).status == "active"
            assert (await convo.agents.pause(agent.id)).status == "paused"
            updated = await convo.agents.update(agent.id, name="Eve", personality="Brief.")
            assert (updated.name, updated.status, updated.language) == ("Eve", "paused", "de")
            document = await convo.knowledge.create(agent.id, title="Hours", content="9 to 5", doc_type="text")
            sent = await convo.messages.send(agent.id, to="+14155550199", type="text", text="Hello!")
            hook = await convo.webhooks.create(agent.id, url="https://app.example.com/hook", events=["*"], active=False)
            known = await convo.agents.get(agent.id)
            listed = [each.id async for each in convo.agents.list()]
            assert (await convo.agents.delete(agent.id)).id == agent.id
            with pytest.raises(NotFoundError, match="no agent with the id"):
                await convo.agents.get(agent.id)
        assert len({request.operation_id for request in server.requests}) == 11
    assert (me.agents_count, me.api_version) == (2, "v1.4")
    assert (document.title, document.doc_type) == ("Hours", "text")
    assert (sent.status, sent.to) == ("queued", "+14155550199")
    assert (hook.agent_id, hook.active) == (agent.id, False)
    assert (known.knowledge_count, known.conversations_today) == (1, 1)
    assert listed == ["agent_1", "agent_2", agent.id]


@on_every_backend
async def test_webhooks_that_the_api_registers_arrive_and_verify() -> None:
    with Sandbox(platform="convoai", tier=None, validate_responses=True) as server, Endpoint() as endpoint:
        async with connect(server) as convo:
            hook = await convo.webhooks.create("agent_1", url=endpoint.url, events=["conversation.created"])
            own = "whsec_0123456789abcdef0123456789abcdef"
            other = await convo.webhooks.create("agent_2", url=endpoint.url, events=["*"], secret=own)
            assert other.secret == own
            assert hook.secret
            assert hook.secret not in repr(hook)
            await convo.messages.send("agent_1", to="+14155550199", type="text", text="Hello!")
            await convo.messages.send("agent_1", to="+14155550199", type="text", text="Again!")
            await server.webhooks.settled()
            (delivery,) = endpoint.received
            event = webhooks.verify(delivery.body, delivery.headers, secret=hook.secret)
            assert isinstance(event, models.ConversationCreatedEvent)
            assert event.agent_id == "agent_1"
            assert event.data
            assert (event.data.agent_id, event.data.channel, event.data.status) == ("agent_1", "whatsapp", "open")
            server.webhooks.emit("message.received", {"agent_id": "agent_2", "data": {"text": "Hi"}})
            await server.webhooks.settled()
            delivery = endpoint.received[1]
            received = webhooks.verify(delivery.body, delivery.headers, secret=own)
            assert isinstance(received, models.MessageReceivedEvent)
            assert received.data == {"text": "Hi"}
            await convo.agents.delete("agent_2")
            with pytest.raises(LookupError):
                server.webhooks.emit("message.received", {"agent_id": "agent_2"})
        assert len(endpoint.received) == 2


async def test_keys() -> None:
    with Sandbox(platform="convoai", tier="free") as server:
        async with connect(server) as test, connect(server, "ck_live_sandbox") as live:
            assert (test.is_sandbox, live.is_sandbox) == (True, False)
            answers = [await test.me.get(), await test.me.get(), await live.me.get()]
            assert [response_info(each).headers["x-ratelimit-remaining"] for each in answers] == ["29", "28", "29"]
        async with connect(server, "ck_test_wrong") as wrong:
            with pytest.raises(AuthenticationError):
                await wrong.me.get()


async def test_refusals_are_typed() -> None:
    with Sandbox(platform="convoai", tier=None, validate_responses=True) as server:
        async with connect(server) as convo:
            with pytest.raises(BadRequestError, match=r"form of E\.164"):
                await convo.messages.send("agent_1", to="0190", type="text", text="Hello!")
            with pytest.raises(BadRequestError, match="name should not be empty"):
                await convo.request("POST", "/agents/", json={})
            for url in ("http://app.example.com/hooks", "ftp://localhost", "nowhere", "https://a:b", "https://[", ""):
                with pytest.raises(BadRequestError, match="url must be an address"):
                    await convo.webhooks.create("agent_1", url=url, events=["*"])
            with pytest.raises(BadRequestError, match="events"):
                await convo.webhooks.create("agent_1", url="https://app.example.com", events=[])
            with pytest.raises(BadRequestError, match="secret"):
                await convo.webhooks.create("agent_1", url="https://app.example.com", events=["*"], secret="")
            with pytest.raises(NotFoundError):
                await convo.request("GET", "/me")


async def test_the_client_s_plan_keeps_below_the_sandbox_s() -> None:
    """As many calls as the plan allows go through at once; the next is refused here, and by a careless client there."""
    with Sandbox(platform="convoai", monotonic=Clock()) as server:
        async with ConvoAI(server.api_key, base_url=server.url, retry=RetryPolicy(max_attempts=1)) as convo:
            for _ in range(30):
                await convo.me.get()
        async with connect(server, retry=RetryPolicy(max_attempts=1)) as careless:
            with pytest.raises(RateLimitError) as caught:
                await careless.me.get()
    assert caught.value.status == 429
    assert [request.status for request in server.requests] == [200] * 30 + [429]
