"""Contacts, conversations and messages: what happens to them, whoever caused it."""

from __future__ import annotations

from typing import Any, Final

from dialogkit.testing.engine.state import Row, State, iso
from dialogkit.testing.hoopai import tables

CODED_TYPES: Final = (
    "TYPE_CALL",
    "TYPE_SMS",
    "TYPE_EMAIL",
    "TYPE_SMS_REVIEW_REQUEST",
    "TYPE_WEBCHAT",
    "TYPE_SMS_NO_SHOW_REQUEST",
    "TYPE_CAMPAIGN_SMS",
    "TYPE_CAMPAIGN_CALL",
    "TYPE_CAMPAIGN_EMAIL",
    "TYPE_CAMPAIGN_VOICEMAIL",
    "TYPE_FACEBOOK",
    "TYPE_CAMPAIGN_FACEBOOK",
    "TYPE_CAMPAIGN_MANUAL_CALL",
    "TYPE_CAMPAIGN_MANUAL_SMS",
    "TYPE_GMB",
    "TYPE_CAMPAIGN_GMB",
    "TYPE_REVIEW",
    "TYPE_INSTAGRAM",
    "TYPE_WHATSAPP",
    "TYPE_CUSTOM_SMS",
    "TYPE_CUSTOM_EMAIL",
    "TYPE_CUSTOM_PROVIDER_SMS",
    "TYPE_CUSTOM_PROVIDER_EMAIL",
    "TYPE_IVR_CALL",
    "TYPE_ACTIVITY_CONTACT",
    "TYPE_ACTIVITY_INVOICE",
    "TYPE_ACTIVITY_PAYMENT",
    "TYPE_ACTIVITY_OPPORTUNITY",
    "TYPE_LIVE_CHAT",
    "TYPE_LIVE_CHAT_INFO_MESSAGE",
    "TYPE_ACTIVITY_APPOINTMENT",
    "TYPE_FACEBOOK_COMMENT",
    "TYPE_INSTAGRAM_COMMENT",
    "TYPE_CUSTOM_CALL",
    "TYPE_INTERNAL_COMMENT",
    "TYPE_ACTIVITY_EMPLOYEE_ACTION_LOG",
    "TYPE_RCS",
    "TYPE_TIKTOK",
    "TYPE_FORM_SUBMISSION",
)
"""Message types in the order of their numeric codes, from 1. The codes known for certain are 1 call, 2 SMS, 3 email,
10 voicemail, 19 WhatsApp and 34 custom call; this order has them all."""

MESSAGE_TYPES: Final = {
    "SMS": "TYPE_SMS",
    "RCS": "TYPE_RCS",
    "Email": "TYPE_EMAIL",
    "WhatsApp": "TYPE_WHATSAPP",
    "IG": "TYPE_INSTAGRAM",
    "FB": "TYPE_FACEBOOK",
    "GMB": "TYPE_GMB",
    "Custom": "TYPE_CUSTOM_SMS",
    "WebChat": "TYPE_WEBCHAT",
    "Live_Chat": "TYPE_LIVE_CHAT",
    "TIKTOK": "TYPE_TIKTOK",
    "Call": "TYPE_CALL",
    "IVR_Call": "TYPE_IVR_CALL",
    "Campaign_Call": "TYPE_CAMPAIGN_CALL",
    "Campaign_VoiceMail": "TYPE_CAMPAIGN_VOICEMAIL",
    "ALL_IN_ONE_CHAT": "TYPE_WEBCHAT",
    "FORM_SUBMISSION": "TYPE_FORM_SUBMISSION",
}
"""The type that a message of each channel has when it is read."""

CALL_CODES: Final = frozenset({1, 8, 10, 24, 34})
"""Codes of the types that have a recording: calls of all kinds, and voicemail."""

CONVERSATION_TYPES: Final = {
    1: "TYPE_PHONE",
    2: "TYPE_EMAIL",
    3: "TYPE_FB_MESSENGER",
    4: "TYPE_REVIEW",
    5: "TYPE_GROUP_SMS",
}
"""Channel of a conversation: a number where one is read, a word in search results."""

_CONVERSATION_CODES: Final = {"TYPE_EMAIL": 2, "TYPE_FACEBOOK": 3, "TYPE_REVIEW": 4}
_FIRST: Final = ("Ada", "Ben", "Clara", "David", "Emma", "Finn", "Grace", "Hugo", "Iris", "Jonas")
_LAST: Final = ("Abbott", "Becker", "Costa", "Dubois", "Evans", "Fischer", "Garcia")


def code_of(message_type: str) -> int:
    """Return the numeric code of a message type."""
    return CODED_TYPES.index(message_type) + 1


def contact(state: State, location_id: str, contact_id: str) -> Row:
    """Return a contact. One that was never mentioned before is made up: the platform keeps contacts elsewhere."""
    table = tables.contacts(state)
    if contact_id in table:
        return table.get(contact_id)
    n = len(table)
    first, last = _FIRST[n % len(_FIRST)], _LAST[n % len(_LAST)]
    row = {
        "locationId": location_id,
        "fullName": f"{first} {last}",
        "contactName": f"{first} {last}",
        "email": f"{first}.{last}.{n}@example.com".lower(),
        "phone": f"+1555{n:07d}",
    }
    return table.add(row, contact_id)


def open_conversation(state: State, location_id: str, contact_id: str, id_: str | None = None, **more: Any) -> Row:
    """Add a conversation with a contact, without messages."""
    contact(state, location_id, contact_id)
    now = state.now_ms()
    row: Row = {
        "locationId": location_id,
        "contactId": contact_id,
        "status": "open",
        "type": 1,
        "unreadCount": 0,
        "inbox": True,
        "starred": False,
        "deleted": False,
        "lastMessageBody": "",
        "lastMessageType": "TYPE_SMS",
        "lastMessageDate": now,
        "dateAdded": now,
        "dateUpdated": now,
        **more,
    }
    return tables.conversations(state).add(row, id_)


def conversation_with(state: State, location_id: str, contact_id: str) -> Row:
    """Return the latest conversation with a contact, a new one if there is none."""
    found = tables.conversations(state).find(locationId=location_id, contactId=contact_id)
    return found[-1] if found else open_conversation(state, location_id, contact_id)


def append_message(
    state: State,
    conversation: Row,
    message_type: str,
    direction: str,
    *,
    id_: str | None = None,
    added: int | None = None,
    **more: Any,
) -> Row:
    """Add a message to a conversation, and let the conversation know.

    Args:
        state: The sandbox's state.
        conversation: Where the message belongs.
        message_type: Such as `TYPE_SMS`.
        direction: `inbound` or `outbound`.
        id_: Id of the message, minted unless given.
        added: When, in epoch milliseconds; now unless given.
        more: Further values of the message.

    """
    moment = state.now_ms() if added is None else added
    row: Row = {
        "type": code_of(message_type),
        "messageType": message_type,
        "locationId": conversation["locationId"],
        "contactId": conversation["contactId"],
        "conversationId": conversation["id"],
        "dateAdded": iso(moment),
        "dateUpdated": iso(moment),
        "body": "",
        "direction": direction,
        "status": "delivered",
        "contentType": "text/plain",
        "attachments": [],
        "source": "api",
        "addedMs": moment,
        **more,
    }
    message = tables.messages(state).add(row, id_)
    if moment >= conversation["lastMessageDate"] or not conversation["lastMessageBody"]:
        _remember_last(conversation, message)
    conversation["dateUpdated"] = max(moment, conversation["dateUpdated"])
    if direction == "inbound":
        conversation["unreadCount"] += 1
    return message


def _remember_last(conversation: Row, message: Row) -> None:
    manual = message["source"] in {"app", "api"}
    conversation["lastMessageBody"] = message["body"]
    conversation["lastMessageType"] = message["messageType"]
    conversation["lastMessageDate"] = message["addedMs"]
    conversation["lastMessageDirection"] = message["direction"]
    conversation["lastMessageAction"] = "manual" if manual else "automated"
    conversation["type"] = _CONVERSATION_CODES.get(message["messageType"], 1)
    if manual and message["direction"] == "outbound":
        conversation["lastManualMessageDate"] = message["addedMs"]


def append_email(
    state: State, conversation: Row, direction: str, body: Row, *, id_: str | None = None, **more: Any
) -> tuple[Row, Row]:
    """Add an email to a conversation: a message without the text, and the email that has it.

    Args:
        state: The sandbox's state.
        conversation: Where the email belongs.
        direction: `inbound` or `outbound`.
        body: The request: `subject`, `html` or `message`, `emailFrom`, `emailTo`, `emailCc`, `emailBcc`, `threadId`.
        id_: Id of the email, minted unless given.
        more: Further values of the message.

    """
    person = contact(state, conversation["locationId"], conversation["contactId"])
    ours, theirs = body.get("emailFrom", "team@example.com"), body.get("emailTo", person["email"])
    sender, recipient = (ours, theirs) if direction == "outbound" else (person["email"], "team@example.com")
    fields: Row = {"subject": body.get("subject", ""), "contentType": "text/html", **more}
    message = append_message(state, conversation, "TYPE_EMAIL", direction, **fields)
    email = tables.emails(state).add(
        {
            "threadId": body.get("threadId", message["id"]),
            "messageId": message["id"],
            "subject": message["subject"],
            "body": body.get("html", body.get("message", "")),
            "from": sender,
            "to": [recipient],
            "cc": body.get("emailCc", []),
            "bcc": body.get("emailBcc", []),
            "provider": "Sandbox Mail",
            **({"replyToMessageId": body["replyMessageId"]} if "replyMessageId" in body else {}),
        },
        id_,
    )
    message["meta"] = {"email": {"messageIds": [email["id"]]}}
    conversation["lastMessageBody"] = message["subject"]
    return message, email


def send_what_is_due(state: State) -> None:
    """Let the scheduled messages whose time has come be sent."""
    for message in tables.messages(state).find(status="scheduled"):
        if message["dueSeconds"] <= state.clock():
            message["status"] = "delivered"


def erase(state: State, conversation: Row) -> None:
    """Remove a conversation with its messages and emails."""
    for message in tables.messages(state).find(conversationId=conversation["id"]):
        tables.emails(state).remove_all(messageId=message["id"])
        tables.messages(state).remove(message["id"])
    tables.conversations(state).remove(conversation["id"])
