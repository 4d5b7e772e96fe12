"""ConvoAI in the sandbox: the account, agents, their documents, messages and webhooks; limits, events and seeds.

It may know `engine` and `hooks`, and no other platform. Others use `PLATFORM`.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from dialogkit.convoai.webhooks import HEADER
from dialogkit.testing.engine.document import Json
from dialogkit.testing.engine.limits import Usage, Window, retry_after
from dialogkit.testing.engine.platform import Platform
from dialogkit.testing.engine.refusals import Refusal, one_text, wrong
from dialogkit.testing.engine.registry import Call, Outcome, Registry, pick
from dialogkit.testing.engine.state import Row, State, Table, iso
from dialogkit.testing.errors import SandboxError
from dialogkit.testing.hooks.events import Event
from dialogkit.testing.hooks.signer import Signatures

HANDLERS: Final = Registry()
_handles: Final = HANDLERS.handles
_logger: Final = logging.getLogger("dialogkit.testing")

_NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_SETTINGS: Final = ("name", "phone_number_id", "waba_id", "language", "timezone", "personality", "business_name")
_SHORT: Final = ("id", "name", "status", "phone_number", "created_at")
"""What the list tells of an agent."""
_FULL: Final = (*_SHORT, "waba_id", "language", "ai_model", "timezone", "updated_at")
_HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_SESSION: Final = 24 * 3_600_000
"""How long a conversation lasts, in milliseconds."""


def agents(state: State) -> Table:
    """Return the agents."""
    return state.table("agents", "agent", "agt")


def documents(state: State) -> Table:
    """Return the documents that agents answer from."""
    return state.table("documents", "document", "doc")


def messages(state: State) -> Table:
    """Return the messages."""
    return state.table("messages", "message", "msg")


def conversations(state: State) -> Table:
    """Return the conversations, each of 24 hours with one contact."""
    return state.table("conversations", "conversation", "conv")


def contacts(state: State) -> Table:
    """Return the contacts, which come into being when they are first written to."""
    return state.table("contacts", "contact", "cnt")


def webhooks(state: State) -> Table:
    """Return the webhooks that were registered by calls."""
    return state.table("webhooks", "webhook", "wh")


def envelope(event: str, data: Mapping[str, Any], *, id_: str, now: float, account: str) -> Json:  # noqa: ARG001
    """Return what is sent of an event. What `data` has wins, and no id is documented."""
    return {"event": event, "timestamp": _date(now * 1000), **data}


def fill(state: State) -> None:
    """Put a few rows with fixed ids into a new state."""
    numbers = {"phone_number_id": "109876543210987", "waba_id": "102345678901234"}
    first = _new_agent(state, {"name": "Sales", **numbers}, "agent_1")
    first["status"] = "active"
    _new_document(state, "agent_1", {"title": "Opening hours", "content": "9 to 5.", "doc_type": "text"}, "document_1")
    _new_agent(state, {"name": "Support", **numbers, "language": "de", "timezone": "Europe/Berlin"}, "agent_2")


# --------------------------------------------------------------------------------------------- the account


@_handles("get_me")
def get_me(call: Call) -> Json:
    """Return the account, whose plan is that of the rate limits."""
    account = {"id": "usr_sandbox", "email": "sandbox@example.com", "plan": call.tier or "enterprise"}
    return {**account, "agents_count": len(agents(call.state)), "api_version": "v1.4"}


# -------------------------------------------------------------------------------------------------- agents


@_handles("list_agents")
def list_agents(call: Call) -> Json:
    """Return all agents at once, each in short."""
    rows = [pick(row, *_SHORT) for row in agents(call.state)]
    return {"count": len(rows), "results": rows}


@_handles("create_agent")
def create_agent(call: Call) -> Json:
    """Add an agent, a draft. Its Meta token is not kept."""
    return _full(call.state, _new_agent(call.state, pick(call.body, *_SETTINGS)))


@_handles("get_agent")
def get_agent(call: Call) -> Json:
    """Return an agent."""
    return _full(call.state, _agent(call))


@_handles("update_agent")
def update_agent(call: Call) -> Json:
    """Change what is sent."""
    row = _agent(call)
    row.update(pick(call.body, *_SETTINGS), updated_at=_now(call.state))
    return _full(call.state, row)


@_handles("delete_agent")
def delete_agent(call: Call) -> Json:
    """Remove an agent, and all that is its."""
    id_, state = _agent(call)["id"], call.state
    agents(state).remove(id_)
    for table in (documents(state), messages(state), conversations(state), webhooks(state)):
        table.remove_all(agent_id=id_)
    for registration in call.webhooks.registrations:
        if registration.about.get("agent_id") == id_:
            registration.remove()
    return {"id": id_}


@_handles("activate_agent")
def activate_agent(call: Call) -> Json:
    """Let an agent answer."""
    return _set_status(call, "active")


@_handles("pause_agent")
def pause_agent(call: Call) -> Json:
    """Keep an agent from answering."""
    return _set_status(call, "paused")


# ---------------------------------------------------------------------------------- documents and messages


@_handles("create_knowledge")
def create_knowledge(call: Call) -> Json:
    """Add a document."""
    row = _new_document(call.state, _agent(call)["id"], pick(call.body, "title", "content", "doc_type"))
    return pick(row, "id", "title", "doc_type", "status", "created_at")


@_handles("send_message")
def send_message(call: Call) -> Outcome:
    """Queue a message, whatever the agent's status; a conversation begins unless one with the contact is under way."""
    agent, state, to = _agent(call), call.state, call.body["to"]
    if not _NUMBER.fullmatch(to):
        raise wrong(f"to must be a number in the form of E.164, such as +14155550199, not {to!r}")
    now = state.now_ms()
    conversation, begun = _conversation(state, agent["id"], to, now)
    conversation.update(messages_count=conversation["messages_count"] + 1, last_message_at=_date(now), last_ms=now)
    row = {"agent_id": agent["id"], **pick(call.body, "to", "type", "text"), "status": "queued"}
    message = messages(state).add({**row, "conversation_id": conversation["id"], "queued_at": _date(now)})
    data = {name: value for name, value in conversation.items() if name not in {"began_ms", "last_ms"}}
    events = [Event("conversation.created", {"agent_id": agent["id"], "data": data})] if begun else []
    return Outcome({"message_id": message["id"], **pick(message, "status", "to", "queued_at")}, events)


# ------------------------------------------------------------------------------------------------ webhooks


@_handles("create_webhook")
def create_webhook(call: Call) -> Json:
    """Register an endpoint for an agent's events. Only one on this machine is really told of them."""
    agent_id, body, state = _agent(call)["id"], call.body, call.state
    _check_endpoint(body["url"])
    if not body["events"]:
        raise wrong("events should not be empty")
    secret = body.get("secret", state.ids.secret("whsec").replace("-", "_", 1))
    if not secret:
        raise wrong("secret should not be empty")
    row = {"agent_id": agent_id, **pick(body, "url", "events", "description"), "secret": secret}
    row |= {"active": body.get("active", True), "created_at": _now(state)}
    if row["active"]:
        _register(call, row)
    return webhooks(state).add(row)


def _check_endpoint(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise wrong(f"url must be an address: {error}") from error
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and host in _HERE)):
        raise wrong("url must be an address with https, or one on this machine with http")


def _register(call: Call, row: Row) -> None:
    events = None if "*" in row["events"] else row["events"]
    try:
        call.webhooks.register(row["url"], events, about=pick(row, "agent_id"), secret=row["secret"])
    except (ValueError, SandboxError) as error:
        _logger.warning("The webhook to %s is registered, but gets no events: %s", row["url"], error)


# ------------------------------------------------------------------------------------------------ the rest


def _agent(call: Call) -> Row:
    return agents(call.state).get(call.path["id"])


def _set_status(call: Call, status: str) -> Json:
    row = _agent(call)
    row.update(status=status, updated_at=_now(call.state))
    return pick(row, "id", "status")


def _new_agent(state: State, given: Row, id_: str | None = None) -> Row:
    now = _now(state)
    number = f"+1415555{len(agents(state)):04}"
    own = {"status": "draft", "phone_number": number, "language": "en", "timezone": "UTC"}
    dates = {"created_at": now, "updated_at": now}
    return agents(state).add({**own, "ai_model": "convoai-standard", **given, **dates}, id_)


def _full(state: State, row: Row) -> Json:
    today = _now(state)[:10]
    begun = conversations(state).find(agent_id=row["id"])
    return {
        **pick(row, *_FULL),
        "knowledge_count": len(documents(state).find(agent_id=row["id"])),
        "conversations_today": sum(each["started_at"].startswith(today) for each in begun),
    }


def _new_document(state: State, agent_id: str, given: Row, id_: str | None = None) -> Row:
    return documents(state).add({"agent_id": agent_id, **given, "status": "ready", "created_at": _now(state)}, id_)


def _conversation(state: State, agent_id: str, number: str, now: int) -> tuple[Row, bool]:
    """Return an agent's conversation with a contact, and whether it begins only now."""
    known = contacts(state).find(phone_number=number)
    contact = known[0] if known else contacts(state).add({"phone_number": number})
    for row in conversations(state).find(agent_id=agent_id, contact_id=contact["id"]):
        if now - row["began_ms"] < _SESSION:
            return row, False
    row = {"agent_id": agent_id, "contact_id": contact["id"], "status": "open", "channel": "whatsapp"}
    row |= {"ai_handled": True, "messages_count": 0, "started_at": _date(now), "began_ms": now}
    return conversations(state).add(row), True


def _now(state: State) -> str:
    return _date(state.now_ms())


def _date(milliseconds: float) -> str:
    """Write a moment as the platform does, in whole seconds."""
    return f"{iso(milliseconds // 1000 * 1000)[:-5]}Z"


# -------------------------------------------------------------------------------------------- the platform


def _quotas(messages: int, documents: int) -> Mapping[str, tuple[Window, ...]]:
    return {"send_message": (Window(messages, 3_600),), "create_knowledge": (Window(documents, 86_400),)}


def _limit_headers(usage: Usage) -> Mapping[str, str]:
    """Tell of the minute."""
    return {
        "X-RateLimit-Limit": str(usage.window.limit),
        "X-RateLimit-Remaining": str(max(0, usage.window.limit - usage.used)),
        "X-RateLimit-Reset": str(math.ceil(usage.clears_at)),
        **retry_after(usage),
    }


def _error_body(refusal: Refusal, _: str) -> Json:
    """Build the body of a refusal, of which nothing is documented."""
    return {"detail": one_text(refusal)}


PLATFORM: Final = Platform(
    name="ConvoAI",
    document="convoai.yaml",
    handlers=HANDLERS,
    keys=("ck_test_sandbox", "ck_live_sandbox"),
    tiers={"free": (Window(30, 60),), "pro": (Window(300, 60),), "enterprise": (Window(3_000, 60),)},
    further_limits={"free": _quotas(60, 20), "pro": _quotas(1_000, 500)},
    limit_headers=_limit_headers,
    limits_strangers=True,
    error_body=_error_body,
    nonsense=400,
    new_state=State,
    seed=fill,
    envelope=envelope,
    signatures=Signatures(headers={"hmac": HEADER}, id_key=None),
    client_options={"plan": "tier"},
)
