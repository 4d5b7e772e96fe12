"""The export of all messages of a location."""

from __future__ import annotations

import base64
import json
from typing import Any, Final, cast

from dialogkit.testing.engine.document import Json
from dialogkit.testing.engine.refusals import wrong
from dialogkit.testing.engine.registry import Registry
from dialogkit.testing.engine.state import Row, parse_iso
from dialogkit.testing.hoopai import inbox, tables
from dialogkit.testing.hoopai.calls import Call
from dialogkit.testing.hoopai.handlers.messages import view

REGISTRY: Final = Registry()
_handles: Final = REGISTRY.handles

_CHANNELS: Final = {
    "Call": {"TYPE_CALL", "TYPE_CUSTOM_CALL", "TYPE_IVR_CALL", "TYPE_CAMPAIGN_CALL"},
    "SMS": {"TYPE_SMS", "TYPE_CUSTOM_SMS", "TYPE_CAMPAIGN_SMS"},
    "Email": {"TYPE_EMAIL"},
    "WhatsApp": {"TYPE_WHATSAPP"},
    "Instagram": {"TYPE_INSTAGRAM"},
    "Facebook": {"TYPE_FACEBOOK"},
}


@_handles("export_messages")
def export_messages(call: Call) -> Json:
    """Return messages behind an opaque cursor; emails only when they are asked for."""
    query = call.query
    inbox.send_what_is_due(call.state)
    wanted = {name: query.get(name) for name in ("conversationId", "contactId")}
    rows = [row for row in call.rows(tables.messages(call.state), **wanted) if _passes(call, row)]
    field = "dateUpdated" if query.get("sortBy") == "updatedAt" else "dateAdded"
    rows.sort(key=lambda row: (parse_iso(row[field]), row["id"]), reverse=query.get("sortOrder", "desc") == "desc")
    start = _read_cursor(rows, query.get("cursor"))
    end: int = start + query.get("limit", 100)
    following = _cursor(rows[end - 1]["id"]) if end < len(rows) else None
    return {"messages": [view(row) for row in rows[start:end]], "nextCursor": following, "total": len(rows)}


def _passes(call: Call, row: Row) -> bool:
    channel: str | None = call.query.get("channel")
    if channel is None and row["messageType"] == "TYPE_EMAIL":
        return False
    if channel is not None and row["messageType"] not in _CHANNELS[channel]:
        return False
    start, end = _date(call, "startDate"), _date(call, "endDate")
    added: int = row["addedMs"]
    return (start is None or start <= added) and (end is None or added <= end)


def _date(call: Call, name: str) -> int | None:
    text: str | None = call.query.get(name)
    try:
        return None if text is None else parse_iso(text)
    except ValueError as error:
        raise wrong(f"{name} must be a valid ISO 8601 date string") from error


def _cursor(last_id: str) -> str:
    return base64.urlsafe_b64encode(json.dumps({"last": last_id}).encode()).decode()


def _read_cursor(rows: list[Row], cursor: str | None) -> int:
    if not cursor:
        return 0
    try:
        content = cast("dict[str, Any]", json.loads(base64.urlsafe_b64decode(cursor)))
        return [row["id"] for row in rows].index(content["last"]) + 1
    except (ValueError, KeyError, TypeError) as error:
        raise wrong("cursor must be the nextCursor of an earlier page") from error
