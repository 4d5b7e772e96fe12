"""Single emails, and the typing indicator of the live chat."""

from __future__ import annotations

from typing import Final

from dialogkit.testing.engine.document import Json
from dialogkit.testing.engine.registry import Registry, pick
from dialogkit.testing.engine.state import Row
from dialogkit.testing.hoopai import tables
from dialogkit.testing.hoopai.calls import Call
from dialogkit.testing.hoopai.handlers.messages import cancel, find_message

REGISTRY: Final = Registry()
_handles: Final = REGISTRY.handles


@_handles("get_email")
def get_email(call: Call) -> Row:
    """Return an email with its text, wrapped as the platform wraps it."""
    email = tables.emails(call.state).get(call.path["id"])
    message = find_message(call, email["messageId"])
    names = ("altId", "locationId", "contactId", "conversationId", "dateAdded", "direction", "status", "contentType")
    shared = pick(message, *names, "attachments", "source", "conversationProviderId")
    shown = {**{name: value for name, value in email.items() if name != "messageId"}, **shared}
    return shown if call.lenient else {"emailMessage": shown}


@_handles("cancel_scheduled_email")
def cancel_scheduled_email(call: Call) -> Json:
    """Cancel an email that has not been sent; one that is not scheduled gets a failure inside a 200."""
    email = tables.emails(call.state).get(call.path["emailMessageId"])
    return cancel(call, find_message(call, email["messageId"]))


@_handles("set_live_chat_typing")
def set_live_chat_typing(call: Call) -> Json:
    """Show or hide the indicator, which nothing but the conversation's `typing` tells."""
    conversation = call.row(tables.conversations(call.state), call.body["conversationId"])
    conversation["typing"] = call.body["isTyping"]
    return {"success": True}
