"""HoverBot in the sandbox: sessions with canned replies, knowledge sources, handoffs; limits, events and seeds.

It may know `engine` and `hooks`, and no other platform. Others use `PLATFORM`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from dialogkit.hoverbot.webhooks import HEADER
from dialogkit.testing.engine.document import Json
from dialogkit.testing.engine.limits import Window
from dialogkit.testing.engine.platform import Platform
from dialogkit.testing.engine.refusals import Refusal, one_text
from dialogkit.testing.engine.registry import Call, Outcome, Registry, pick
from dialogkit.testing.engine.state import Row, State, Table, iso
from dialogkit.testing.hooks.deliveries import Persistence
from dialogkit.testing.hooks.events import Event
from dialogkit.testing.hooks.signer import Signatures

HANDLERS: Final = Registry()
_handles: Final = HANDLERS.handles

WORKSPACE: Final = "ws_sandbox"
_EMAIL: Final = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]*\w")
_SESSION: Final = ("workspaceId", "channel", "externalUserId", "startedAt", "metadata")
_HANDOFF: Final = ("id", "conversationId", "state", "reasonCode", "destination", "owner", "priority")
_SURE: Final[Json] = {"latencyMs": 640, "modelTier": "standard", "confidence": 0.93, "policyFlags": []}
_UNSURE: Final[Json] = {
    "latencyMs": 810,
    "modelTier": "standard",
    "confidence": 0.31,
    "policyFlags": ["handoff_suggested"],
}


def conversations(state: State) -> Table:
    """Return the sessions."""
    return state.table("conversations", "conversation", "conv")


def knowledge_sources(state: State) -> Table:
    """Return the knowledge sources."""
    return state.table("knowledge_sources", "knowledge source", "source")


def escalations(state: State) -> Table:
    """Return the handoffs."""
    return state.table("escalations", "escalation", "esc")


def envelope(event: str, data: Mapping[str, Any], *, id_: str, now: float, account: str) -> Json:  # noqa: ARG001
    """Return what is sent of an event, whose own fields stand at the top as in the reference. What `data` has wins."""
    head = {"event": event, "timestamp": iso(now * 1000), "idempotencyKey": id_}
    return {**head, "tenantId": WORKSPACE, "workspaceId": WORKSPACE, **data}


def fill(state: State) -> None:
    """Put a few rows with fixed ids into a new state."""
    first = _open(state, {"channel": "web", "externalUserId": "user_1"}, "conversation_1")
    _exchange(state, first, "Are you open today?")
    source = {"name": "Handbook", "type": "url-crawl", "seedUrls": ["https://example.com/handbook"]}
    knowledge_sources(state).add({**source, "status": "indexed"}, "source_1")


@_handles("create_conversation")
def create_conversation(call: Call) -> Outcome:
    """Open a session."""
    row = _open(call.state, pick(call.body, "channel", "externalUserId", "metadata"))
    told = {"conversationId": row["id"], **pick(row, "channel", "startedAt")}
    return Outcome(_session(row), [Event("conversation.created", told)])


@_handles("get_conversation")
def get_conversation(call: Call) -> Json:
    """Return a session with what has become of it."""
    row = conversations(call.state).get(call.path["id"])
    handoffs = escalations(call.state).find(conversationId=row["id"])
    handoff = pick(handoffs[-1], *_HANDOFF) if handoffs else None
    return {**_session(row), **pick(row, "transcript", "outcomes"), "escalation": handoff}


@_handles("send_message")
def send_message(call: Call) -> Outcome:
    """Reply as `_reply` says; whoever tells an email address becomes a lead, once for each session."""
    state, row, text = call.state, conversations(call.state).get(call.path["id"]), call.body["text"]
    reply, trace = _exchange(state, row, text)
    here = {"conversationId": row["id"]}
    events = [Event("message.responded", {**here, **trace})]
    address = _EMAIL.search(text)
    if address and not row["outcomes"]:
        row["outcomes"].append({"type": "lead_qualified", "email": address[0]})
        link = f"{call.base_url}/transcripts/{row['id']}"
        lead = {"leadScore": 82, "intent": "contact", "contactFields": {"email": address[0]}, "transcriptUrl": link}
        events.append(Event("lead.qualified", {**here, **lead}))
    return Outcome({"text": reply, "messageId": state.ids.mint("msg"), **here, "trace": trace}, events)


@_handles("upsert_knowledge_source")
def upsert_knowledge_source(call: Call) -> Row:
    """Add a source, or change the one with the same name: by what the platform tells them apart is not documented."""
    table, given = knowledge_sources(call.state), pick(call.body, "name", "type", "seedUrls")
    known = table.find(name=given["name"])
    row = known[0] if known else table.add({})
    row.update(given, status="indexing")
    return row


@_handles("create_escalation")
def create_escalation(call: Call) -> Outcome:
    """Hand a session to a human, who does not take it."""
    body = call.body
    conversation = conversations(call.state).get(body["conversationId"])
    given = pick(body, "conversationId", "reasonCode", "destination", "owner", "priority", "metadata")
    row = escalations(call.state).add({"state": "open", **given})
    told = pick(row, "reasonCode", "destination", "owner", "priority")
    event = Event("escalation.created", {"conversationId": conversation["id"], **told})
    return Outcome(pick(row, *_HANDOFF), [event])


def _open(state: State, given: Row, id_: str | None = None) -> Row:
    row: Row = {"workspaceId": WORKSPACE, **given, "startedAt": state.now(), "transcript": [], "outcomes": []}
    return conversations(state).add(row, id_)


def _session(row: Row) -> Json:
    return {"conversationId": row["id"], "tenantId": WORKSPACE, **pick(row, *_SESSION)}


def _exchange(state: State, conversation: Row, text: str) -> tuple[str, Json]:
    """Add what a user has written and the reply to a transcript; return the reply and how it came about."""
    reply, trace = _reply(text)
    for role, words in (("user", text), ("assistant", reply)):
        conversation["transcript"].append({"role": role, "text": words, "createdAt": state.now()})
    return reply, trace


def _reply(text: str) -> tuple[str, Json]:
    """Return a canned reply: an unsure one to whoever asks for a human, else a sure one that repeats the text."""
    if "human" in text.lower():
        return "I am not sure that I can help. Shall I call a human?", dict(_UNSURE)
    return f"You wrote: {text}", dict(_SURE)


def _error_body(refusal: Refusal, _: str) -> Json:
    """Build the body of a refusal, of which nothing is documented."""
    return {"message": one_text(refusal)}


PLATFORM: Final = Platform(
    name="HoverBot",
    document="hoverbot.yaml",
    handlers=HANDLERS,
    keys=("sandbox-key",),
    # 600 a minute, and twice as many for a time that nobody documents: what a burst takes is missing afterwards.
    tiers={"standard": (Window(1_200, 120),)},
    error_body=_error_body,
    new_state=State,
    seed=fill,
    envelope=envelope,
    signatures=Signatures(headers={"hmac": HEADER}, id_key="idempotencyKey"),
    # "Exponential backoff for up to 24 hours": eleven attempts within 23.
    persistence=Persistence(5.0, backoff=80.0, attempts=11),
)
