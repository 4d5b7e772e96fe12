"""The samples of ConvoAI's Developer Hub: the call that replaces each puts the same on the wire.

Two things differ on purpose. The hub's first list of agents has a `Content-Type` although it has no body; ours has
none, as in the hub's other GETs. And the hub registers webhooks with a `secret` as if it were needed; it is optional.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from dialogkit import ConvoAI
from tests.support.wire import Wire, ignore, sent

KEY = "ck_live_xxxxxxxxxxxxxxxx"
BASE = "https://app.convoai.cloud/api/v1"
AGENT = "agt_01HXYZ1234ABCD"


@dataclass(frozen=True)
class Sample:
    call: Callable[[ConvoAI], Any]
    method: str
    path: str
    json: Any = None


SAMPLES = {
    "check the key": Sample(lambda convo: convo.me.get(), "GET", "/me/"),
    "list the agents": Sample(lambda convo: convo.agents.list(), "GET", "/agents/"),
    "push a document": Sample(
        lambda convo: convo.knowledge.create(
            AGENT, title="Prices", content="From 49 dollars a month.", doc_type="text"
        ),
        "POST",
        f"/agents/{AGENT}/knowledge/",
        {"title": "Prices", "content": "From 49 dollars a month.", "doc_type": "text"},
    ),
    "send a message": Sample(
        lambda convo: convo.messages.send(AGENT, to="+14155559876", type="text", text="We have your order."),
        "POST",
        f"/agents/{AGENT}/messages/",
        {"to": "+14155559876", "type": "text", "text": "We have your order."},
    ),
    "register a webhook": Sample(
        lambda convo: convo.webhooks.create(
            AGENT,
            url="https://app.example.com/webhooks/convoai",
            events=["lead.qualified", "appointment.booked", "handoff.triggered"],
            secret="whsec_of_your_own",
        ),
        "POST",
        f"/agents/{AGENT}/webhooks/",
        {
            "url": "https://app.example.com/webhooks/convoai",
            "events": ["lead.qualified", "appointment.booked", "handoff.triggered"],
            "secret": "whsec_of_your_own",
        },
    ),
}


@pytest.mark.parametrize("name", SAMPLES)
async def test_the_sample_is_put_on_the_wire(name: str) -> None:
    sample = SAMPLES[name]
    wire = Wire({"id": "x", "message_id": "m", "count": 0, "results": []}, 200 if sample.method == "GET" else 201)
    async with ConvoAI(KEY, http_client=wire.client(), on_drift=ignore) as convo:
        await sample.call(convo)
    headers = {"authorization": f"Bearer {KEY}"}
    if sample.json is not None:
        headers["content-type"] = "application/json"
    assert [sent(request) for request in wire.requests] == [(sample.method, BASE + sample.path, headers, sample.json)]


async def test_the_answers_that_the_hub_shows_are_read_without_a_difference() -> None:
    agent = {
        "id": AGENT,
        "name": "Sales",
        "status": "active",
        "phone_number": "+14155550123",
        "created_at": "2026-01-15T10:30:00Z",
    }
    queued = {"message_id": "msg_1", "status": "queued", "to": "+14155559876", "queued_at": "2026-05-10T14:22:01Z"}
    me = {"id": "usr_1", "email": "you@example.com", "plan": "pro", "agents_count": 2, "api_version": "v1.4"}
    wire = Wire(me)
    async with ConvoAI(KEY, http_client=wire.client(), strict=True) as convo:
        assert (await convo.me.get()).model_dump(mode="json", exclude_unset=True) == me
        wire.answer = {"count": 1, "results": [agent]}
        (found,) = await convo.agents.list()
        assert found.model_dump(mode="json", exclude_unset=True) == agent
        wire.answer, wire.status = queued, 201
        message = await convo.messages.send(AGENT, to="+14155559876", type="text", text="x")
        assert message.model_dump(mode="json", exclude_unset=True) == queued
