"""Rows whose answers lack and distort fields as live ones were seen to, in November 2026.

What a row's `live` says of an answer wins over its values, by answer: a value to show instead, or `ABSENT`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dialogkit.testing.engine.state import Row
from dialogkit.testing.hoopai import inbox
from dialogkit.testing.hoopai.state import HoopAIState

ABSENT: Final = object()


def shown(row: Row, answer: str, values: Row) -> Row:
    """Return what an answer shows of a row, given what it would show of any other."""
    live: Mapping[str, Mapping[str, Any]] = row.get("live", {})
    return {name: value for name, value in {**values, **live.get(answer, {})}.items() if value is not ABSENT}


def fill(state: HoopAIState) -> None:
    """Add a conversation, a text, a call that was not recorded, and an activity."""
    quirks: Row = {
        "search": {"lastMessageBody": ABSENT, "lastMessageType": "TYPE_NO_SHOW", "email": ABSENT, "phone": ABSENT},
        "get": {"unreadCount": ABSENT, "inbox": ABSENT},
        "update": {
            "lastMessageType": 100,
            "lastMessageDate": {"seconds": 1_784_272_302, "nanoseconds": 663_000_000},
            "unreadCount": ABSENT,
            "inbox": ABSENT,
            "starred": ABSENT,
        },
    }
    row = inbox.open_conversation(state, state.account, "contact_live", "conversation_live", live=quirks)
    ends: Row = {"from": "+15551234567", "to": "+15557654321"}
    inbox.append_message(state, row, "TYPE_SMS", "inbound", id_="message_live", body="Hello!", source="app", **ends)
    without_type: Row = {"live": {"message": {"contentType": ABSENT, "body": ABSENT, "attachments": ABSENT}}}
    call: Row = {"status": "voicemail", "source": "app", "meta": {"call": {"status": "voicemail"}}}
    more: Row = {"recorded": False, **call, **ends, **without_type}
    inbox.append_message(state, row, "TYPE_CALL", "inbound", id_="message_live_call", **more)
    data = {"appointmentId": "appointment_1"}
    activity = {"title": "Appointment booked", "type": "appointment_created", "data": data}
    more = {"activity": activity, "source": "workflow", **without_type}
    inbox.append_message(state, row, "TYPE_ACTIVITY_APPOINTMENT", "outbound", id_="message_live_activity", **more)
