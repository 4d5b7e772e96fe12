"""Conversations: the list that bots have part in, the search of the inbox, and single ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from dialogkit.testing.engine.document import Json, is_array
from dialogkit.testing.engine.paging import matches
from dialogkit.testing.engine.registry import Outcome, Registry, pick
from dialogkit.testing.engine.state import Row, iso
from dialogkit.testing.hoopai import inbox, live, tables
from dialogkit.testing.hoopai.calls import Call
from dialogkit.testing.hoopai.events import unread_changed

REGISTRY: Final = Registry()
_handles: Final = REGISTRY.handles

_SORT_FIELDS: Final = {
    "last_message_date": "lastMessageDate",
    "last_manual_message_date": "lastManualMessageDate",
    "overdue_at": "overdueAt",
    "due_at": "dueAt",
}


def _conversation(call: Call) -> Row:
    return call.row(tables.conversations(call.state), call.path["conversationId"])


@_handles("list_conversations")
def list_conversations(call: Call) -> Json:
    """Return conversations, the latest first, by limit and offset."""
    query = call.query
    wanted = {name: query.get(name) for name in ("botId", "contactId", "status")}
    found = sorted(call.rows(tables.conversations(call.state), **wanted), key=_last_message, reverse=True)
    offset: int = query.get("offset", 0)
    names = ("id", "locationId", "contactId", "botId", "status", "assignedTo")
    last = ("lastMessageBody", "lastMessageType", "unreadCount")
    rows = [
        {**pick(row, *names, *last), "dateAdded": iso(row["dateAdded"]), "dateUpdated": iso(row["dateUpdated"])}
        for row in found[offset : offset + query.get("limit", 20)]
    ]
    return {"conversations": rows, "total": len(found)}


def _last_message(row: Row) -> int:
    moment: int = row["lastMessageDate"]
    return moment


@_handles("create_conversation")
def create_conversation(call: Call) -> Json:
    """Add a conversation with a contact."""
    row = inbox.open_conversation(call.state, call.location_id, call.body["contactId"])
    dates = {name: iso(row[name]) for name in ("lastMessageDate", "dateAdded", "dateUpdated")}
    return {"success": True, "conversation": {**pick(row, "id", "locationId", "contactId", "deleted"), **dates}}


@_handles("search_conversations")
def search_conversations(call: Call) -> Json:
    """Return the conversations that pass every filter, after the sort value of the last one received.

    A lone `startAfterDate` skips all rows with that sort value. Where sort values repeat, send both values of the
    last row's `sort`: the second tells equal rows apart.
    """
    rows = [row for row in call.rows(tables.conversations(call.state)) if _passes(call, row)]
    downwards = call.query.get("sort", "desc") == "desc"
    rows.sort(key=lambda row: _sort_values(call, row), reverse=downwards)
    total = len(rows)
    after = call.query.get("startAfterDate")
    if after is not None:
        start: list[int] = after if is_array(after) else [after]
        rows = [row for row in rows if _follows(_sort_values(call, row)[: len(start)], start, downwards=downwards)]
    page = rows[: call.query.get("limit", 20)]
    return {"conversations": [_search_result(call, row) for row in page], "total": total}


def _sort_values(call: Call, row: Row) -> list[int]:
    by: str = call.query.get("sortBy", "last_message_date")
    if by == "score_profile":
        value: int = row.get("scores", {}).get(call.query.get("sortScoreProfile"), 0)
    else:
        value = row.get(_SORT_FIELDS[by], 0)
    return [value, row["dateAdded"]]


def _follows(values: list[int], start: list[int], *, downwards: bool) -> bool:
    return values < start if downwards else values > start


def _search_result(call: Call, row: Row) -> Row:
    contact = inbox.contact(call.state, row["locationId"], row["contactId"])
    names = ("id", "contactId", "locationId", "lastMessageBody", "lastMessageType", "unreadCount", "starred")
    more = ("assignedTo", "lastMessageDirection", "overdueAt", "dueAt")
    dates = ("lastMessageDate", "lastManualMessageDate", "dateAdded", "dateUpdated")
    values = {
        **pick(row, *names, *more, *dates),
        **pick(contact, "fullName", "contactName", "email", "phone"),
        "type": inbox.CONVERSATION_TYPES[row["type"]],
        "sort": _sort_values(call, row),
    }
    return live.shown(row, "search", values)


def _passes(call: Call, row: Row) -> bool:
    return all(passes(call, row) for passes in _FILTERS)


def _equal(parameter: str, name: str) -> Callable[[Call, Row], bool]:
    def passes(call: Call, row: Row) -> bool:
        return parameter not in call.query or row.get(name) == call.query[parameter]

    return passes


def _any_of(parameter: str, name: str) -> Callable[[Call, Row], bool]:
    def passes(call: Call, row: Row) -> bool:
        return parameter not in call.query or not set(call.query[parameter]).isdisjoint(row.get(name, []))

    return passes


def _assigned(call: Call, row: Row) -> bool:
    return "assignedTo" not in call.query or row.get("assignedTo", "unassigned") in call.query["assignedTo"]


def _in_status(call: Call, row: Row) -> bool:
    status = call.query.get("status", "all")
    chosen = {"read": row["unreadCount"] == 0, "unread": row["unreadCount"] > 0, "starred": row["starred"]}
    return bool(chosen.get(status, True))


def _mentioned(call: Call, row: Row) -> bool:
    contact = inbox.contact(call.state, row["locationId"], row["contactId"])
    texts = (row["lastMessageBody"], contact["fullName"], contact["email"], contact["phone"])
    return matches(call.query.get("query"), *texts)


def _last_action(call: Call, row: Row) -> bool:
    wanted = call.query.get("lastMessageAction")
    outbound = row.get("lastMessageDirection") == "outbound"
    return wanted is None or (outbound and row.get("lastMessageAction") == wanted)


def _scored(call: Call, row: Row) -> bool:
    if "scoreProfile" not in call.query:
        return True
    score = row.get("scores", {}).get(call.query["scoreProfile"], 0)
    return bool(call.query.get("scoreProfileMin", score) <= score <= call.query.get("scoreProfileMax", score))


def _added_between(call: Call, row: Row) -> bool:
    added = row["dateAdded"]
    return bool(call.query.get("startDate", added) <= added <= call.query.get("endDate", added))


_FILTERS: Final = (
    _equal("id", "id"),
    _equal("contactId", "contactId"),
    _equal("lastMessageType", "lastMessageType"),
    _equal("lastMessageDirection", "lastMessageDirection"),
    _any_of("followers", "followers"),
    _any_of("mentions", "mentions"),
    _assigned,
    _in_status,
    _mentioned,
    _last_action,
    _scored,
    _added_between,
)


@_handles("get_conversation")
def get_conversation(call: Call) -> Row:
    """Return a conversation, whose channel is a number here."""
    names = ("id", "locationId", "contactId", "assignedTo", "type", "unreadCount", "inbox", "starred", "deleted")
    row = _conversation(call)
    return live.shown(row, "get", pick(row, *names))


@_handles("update_conversation")
def update_conversation(call: Call) -> Outcome:
    """Change what is sent."""
    row = _conversation(call)
    before = row["unreadCount"]
    row.update(pick(call.body, "unreadCount", "starred", "feedback"), dateUpdated=call.state.now_ms())
    names = ("id", "locationId", "contactId", "assignedTo", "lastMessageBody", "lastMessageType", "unreadCount")
    shown: dict[str, Any] = pick(row, *names, "inbox", "starred", "deleted")
    shown = live.shown(row, "update", {**shown, "lastMessageDate": str(row["lastMessageDate"])})
    answer = {"success": True, "conversation": shown}
    return Outcome(answer, [] if row["unreadCount"] == before else [unread_changed(row)])


@_handles("delete_conversation")
def delete_conversation(call: Call) -> Json:
    """Remove a conversation with its messages."""
    inbox.erase(call.state, _conversation(call))
    return {"success": True}
