"""HoopAI's events, with the fields that the document gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dialogkit.testing.engine.document import Json
from dialogkit.testing.engine.registry import pick
from dialogkit.testing.engine.state import Row, State, iso
from dialogkit.testing.hooks.events import Event
from dialogkit.testing.hoopai import inbox, tables

_CHANNELS: Final = {
    **{kind: channel for channel, kind in reversed(inbox.MESSAGE_TYPES.items())},
    "TYPE_CALL": "CALL",
    "TYPE_CAMPAIGN_VOICEMAIL": "VoiceMail",
}
"""How events spell the type of a message."""
_MESSAGE: Final = (
    *("locationId", "conversationId", "contactId", "direction", "status", "body", "contentType", "attachments"),
    *("dateAdded", "userId", "conversationProviderId"),
)
_EMAIL: Final = ("threadId", "provider", "subject", "body", "from", "to", "cc", "bcc")


def envelope(event: str, data: Mapping[str, Any], *, id_: str, now: float, account: str) -> Json:
    """Return what is sent of an event. What `data` has wins.

    Args:
        event: Its name.
        data: Its own fields.
        id_: Id of the delivery.
        now: Epoch seconds.
        account: The location where it happened, unless `data` says so.

    """
    return {"type": event, "locationId": account, "timestamp": iso(now * 1000), "webhookId": id_, **data}


def message_events(state: State, *messages: Row) -> list[Event]:
    """Return what happens when messages are added: each came in or went out, and conversations are unread.

    A message that is scheduled has not gone out, and nobody is told of it.
    """
    events = [_message_event(state, message) for message in messages if message["status"] != "scheduled"]
    touched = dict.fromkeys(message["conversationId"] for message in messages if message["direction"] == "inbound")
    conversations = tables.conversations(state)
    return events + [unread_changed(conversations.get(id_)) for id_ in touched]


def _message_event(state: State, message: Row) -> Event:
    kind: str = message["messageType"]
    data = {**pick(message, *_MESSAGE), "messageId": message["id"]}
    data["messageType"] = _CHANNELS.get(kind, kind.removeprefix("TYPE_"))
    if "call" in message.get("meta", {}):
        call = message["meta"]["call"]
        data |= {"callStatus": call["status"], **({"callDuration": call["duration"]} if "duration" in call else {})}
    for id_ in message.get("meta", {}).get("email", {}).get("messageIds", ()):
        data |= {**pick(tables.emails(state).get(id_), *_EMAIL), "emailMessageId": id_}
    if message["direction"] == "inbound":
        return Event("InboundMessage", data)
    codes = {"messageTypeId": message["type"], "messageTypeString": kind}
    return Event("OutboundMessage", {**data, **pick(message, "source"), **codes})


def unread_changed(conversation: Row) -> Event:
    """Return what happens when the number of unread messages of a conversation changes."""
    names = ("id", "locationId", "contactId", "unreadCount", "inbox", "starred", "deleted")
    return Event("ConversationUnreadUpdate", pick(conversation, *names))


def bot_status_changed(bot: Row, before: str) -> list[Event]:
    """Return what happens when the status of a bot is set: nothing if it is the one it was `before`."""
    if bot["status"] == before:
        return []
    data = {"locationId": bot["locationId"], "botId": bot["id"], "status": bot["status"], "previousStatus": before}
    return [Event("BotStatusChanged", data)]


def knowledge_changed(entry: Row, action: str) -> list[Event]:
    """Return what happens when a knowledge entry of a bot is `added` or `deleted`."""
    data = {**pick(entry, "locationId", "botId"), "entryId": entry["id"], "action": action}
    return [Event("KnowledgeBaseUpdated", data)]
