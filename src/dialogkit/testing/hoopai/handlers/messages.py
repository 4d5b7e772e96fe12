"""Messages: listing, sending and recording them, and what becomes of them."""

from __future__ import annotations

from typing import Final

from dialogkit.testing.engine.document import Json
from dialogkit.testing.engine.paging import after_id
from dialogkit.testing.engine.refusals import Refusal, missing, wrong
from dialogkit.testing.engine.registry import Answer, Outcome, Registry, pick
from dialogkit.testing.engine.state import Row, parse_iso
from dialogkit.testing.hoopai import inbox, live, tables
from dialogkit.testing.hoopai.calls import Call
from dialogkit.testing.hoopai.events import message_events

REGISTRY: Final = Registry()
_handles: Final = REGISTRY.handles

_SHOWN: Final = (
    *("id", "altId", "type", "messageType", "locationId", "contactId", "conversationId", "dateAdded", "dateUpdated"),
    *("subject", "body", "direction", "status", "contentType", "attachments", "meta", "source", "userId"),
    *("conversationProviderId", "chatWidgetId", "from", "to", "activity"),
)


def view(message: Row) -> Row:
    """Return a message as it is read."""
    return live.shown(message, "message", pick(message, *_SHOWN))


def find_message(call: Call, id_: str) -> Row:
    """Return the message with an id, or refuse with 404."""
    inbox.send_what_is_due(call.state)
    return call.row(tables.messages(call.state), id_)


def _target(call: Call) -> Row:
    """Return the conversation that a body names, or the latest one with the contact that it names."""
    if "conversationId" in call.body:
        return call.row(tables.conversations(call.state), call.body["conversationId"])
    return inbox.conversation_with(call.state, call.location_id, call.body["contactId"])


def _added_one(call: Call, message: Row, answer: Json) -> Outcome:
    return Outcome(answer, message_events(call.state, message))


@_handles("list_messages")
def list_messages(call: Call) -> Json:
    """Return the messages of a conversation, the newest first, after the last one received."""
    conversation = call.row(tables.conversations(call.state), call.path["conversationId"])
    inbox.send_what_is_due(call.state)
    rows = tables.messages(call.state).find(conversationId=conversation["id"])
    if "type" in call.query:
        types = {name.replace("TYPE_INTERNAL_COMMENTS", "TYPE_INTERNAL_COMMENT") for name in call.query["type"]}
        rows = [row for row in rows if row["messageType"] in types]
    rows.sort(key=_added, reverse=True)
    page, more = after_id(rows, call.query.get("lastMessageId"), call.query.get("limit", 20), "message")
    shown = [view(row) for row in page]
    last = page[-1]["id"] if page else call.query.get("lastMessageId", "")
    return {"messages": {"lastMessageId": last, "nextPage": more, "messages": shown}, "traceId": call.trace_id}


def _added(row: Row) -> int:
    moment: int = row["addedMs"]
    return moment


@_handles("inject_message")
def inject_message(call: Call) -> Outcome:
    """Add an outbound message to a conversation."""
    conversation = call.row(tables.conversations(call.state), call.path["conversationId"])
    message_type = inbox.MESSAGE_TYPES[call.body.get("type", "SMS")]
    more = {"body": call.body["message"], "attachments": call.body.get("attachments", [])}
    message = inbox.append_message(call.state, conversation, message_type, "outbound", **more)
    ids = {"conversationId": conversation["id"], "messageId": message["id"]}
    return _added_one(call, message, {**ids, "status": message["status"], "msg": "Message injected."})


@_handles("send_message")
def send_message(call: Call) -> Outcome:
    """Send a message, or schedule it. Without a conversation it goes to the contact's latest, or to a new one."""
    body = call.body
    if forwarded := body.get("forward"):
        _check_forward(call, forwarded)
    conversation = _target(call)
    due: int | None = body.get("scheduledTimestamp")
    status = body.get("status", "delivered")
    more: Row = pick(body, "attachments", "conversationProviderId")
    if due is not None and due > call.state.clock():
        more["dueSeconds"], status = due, "pending"
    more["status"] = "scheduled" if "dueSeconds" in more else status
    ids: Row = {"conversationId": conversation["id"]}
    if body["type"] == "Email":
        message, email = inbox.append_email(call.state, conversation, "outbound", body, **more)
        ids["emailMessageId"] = email["id"]
    else:
        text = body.get("message", "")
        message_type = inbox.MESSAGE_TYPES[body["type"]]
        message = inbox.append_message(call.state, conversation, message_type, "outbound", body=text, **more)
    ids["messageId"] = message["id"]
    if forwarded:
        ids["forwardData"] = pick(forwarded, *(name for name in forwarded if name in _FORWARD_DATA))
    said = "Message scheduled." if status == "pending" else "Message queued."
    return _added_one(call, message, {**ids, "status": status, "msg": said})


_FORWARD_DATA: Final = {
    *("forwardWholeThread", "messageId", "emailMessageId", "sourceContactId", "sourceConversationId"),
    *("recipientContactId", "recipientConversationId"),
}


def _check_forward(call: Call, forwarded: Row) -> None:
    if forwarded["isForwarded"] and "messageId" not in forwarded:
        raise missing("forward.messageId should not be empty")
    if call.body["type"] != "Email":
        raise wrong("forward is for emails only")


@_handles("add_inbound_message")
def add_inbound_message(call: Call) -> Outcome:
    """Record a message that came in elsewhere. Links with a query string are refused, as the platform does.

    A custom message without a provider is answered 201, without a body, and comes to nothing: as observed.
    """
    body, state = call.body, call.state
    if body["type"] == "Custom" and "conversationProviderId" not in body and not call.lenient:
        return Outcome(Answer(201), [])
    attachments: list[str] = body.get("attachments", [])
    if any("?" in url for url in attachments):
        raise wrong("each value in attachments must be a URL address without a query string")
    conversation = _target(call)
    direction = body.get("direction", "outbound")
    more: Row = {**pick(body, "altId", "conversationProviderId"), "attachments": attachments, "source": "app"}
    more |= {"added": _moment(call), **_call_facts(call)}
    result: Row = {}
    if body["type"] == "Email":
        message, email = inbox.append_email(state, conversation, direction, body, **more)
        result["emailMessageId"] = email["id"]
    else:
        message_type = inbox.MESSAGE_TYPES[body["type"]]
        text = body.get("message", "")
        message = inbox.append_message(state, conversation, message_type, direction, body=text, **more)
    return _added_one(call, message, {**_recorded(message), **result})


@_handles("add_outbound_call")
def add_outbound_call(call: Call) -> Outcome:
    """Record a call that was made elsewhere."""
    conversation = call.row(tables.conversations(call.state), call.body["conversationId"])
    more: Row = {**pick(call.body, "altId", "conversationProviderId", "attachments"), "source": "app"}
    more |= {"added": _moment(call), **_call_facts(call)}
    message = inbox.append_message(call.state, conversation, "TYPE_CALL", "outbound", **more)
    return _added_one(call, message, _recorded(message))


def _moment(call: Call) -> int | None:
    if "date" not in call.body:
        return None
    try:
        return parse_iso(call.body["date"])
    except ValueError as error:
        raise wrong("date must be a valid ISO 8601 date string") from error


def _call_facts(call: Call) -> Row:
    if call.body["type"] != "Call":
        return {}
    status = call.body.get("call", {}).get("status", "completed")
    meta = {"call": {"duration": 12, "status": status}}
    return {"status": "completed", "meta": meta, "subtype": "EXTERNAL_CALL"}


def _recorded(message: Row) -> Json:
    shown = pick(message, "conversationId", "contactId", "dateAdded")
    return {"success": True, "messageId": message["id"], "message": "Message recorded.", **shown}


@_handles("get_message")
def get_message(call: Call) -> Json:
    """Return a message, wrapped as the platform wraps it."""
    return {"message": view(find_message(call, call.path["id"])), "traceId": call.trace_id}


@_handles("update_message_status")
def update_message_status(call: Call) -> Json:
    """Set the delivery state."""
    message = find_message(call, call.path["messageId"])
    message.update(status=call.body["status"], dateUpdated=call.state.now())
    return {"conversationId": message["conversationId"], "messageId": message["id"], "status": message["status"]}


@_handles("cancel_scheduled_message")
def cancel_scheduled_message(call: Call) -> Json:
    """Cancel a message that has not been sent; one that is not scheduled gets a failure inside a 200."""
    return cancel(call, find_message(call, call.path["messageId"]))


def cancel(call: Call, message: Row) -> Json:
    """Remove a message if it is still scheduled."""
    if message["status"] != "scheduled":
        return {"status": 404, "message": "No scheduled message was found: it has been sent, or never was scheduled."}
    tables.emails(call.state).remove_all(messageId=message["id"])
    tables.messages(call.state).remove(message["id"])
    return {"status": 200, "message": "The scheduled message was cancelled."}


@_handles("replace_message_attachments")
def replace_message_attachments(call: Call) -> None:
    """Replace the attachments of a call that was recorded by a provider; others are refused with 403."""
    message = find_message(call, call.path["messageId"])
    external = message["type"] == 1 and message.get("subtype") == "EXTERNAL_CALL"
    if message["type"] != inbox.code_of("TYPE_CUSTOM_CALL") and not external:
        raise Refusal(403, "Attachments can be replaced for custom and external calls only.")
    message.update(attachments=call.body["attachments"], dateUpdated=call.state.now())


@_handles("reply_to_review")
def reply_to_review(call: Call) -> Outcome:
    """Answer a review; other conversations are refused."""
    conversation = call.row(tables.conversations(call.state), call.body["conversationId"])
    if conversation["type"] != 4:
        raise wrong("conversationId must be a review conversation")
    message = inbox.append_message(call.state, conversation, "TYPE_REVIEW", "outbound", body=call.body["message"])
    answer = {"conversationId": conversation["id"], "messageId": message["id"], "status": "delivered"}
    return _added_one(call, message, answer)
