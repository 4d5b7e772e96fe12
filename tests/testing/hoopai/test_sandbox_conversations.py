from __future__ import annotations

from typing import Any

import httpx
import pytest

from dialogkit.testing import Sandbox
from tests.testing.tools import HERE, Clock, ok, refused

SEARCH = "/conversations/search"


@pytest.fixture
def ids(sandbox: Sandbox) -> list[str]:
    """Add 25 conversations to the two that are there."""
    return sandbox.add_conversations(25)


def search(api: httpx.Client, **query: Any) -> list[str]:
    return [row["id"] for row in ok(api.get(SEARCH, params={**HERE, "limit": 100, **query}))["conversations"]]


def test_a_conversation_lives_and_dies(api: httpx.Client) -> None:
    created = ok(api.post("/conversations/", json={**HERE, "contactId": "contact_new"}))["conversation"]
    path = f"/conversations/{created['id']}"
    shown = ok(api.get(path))
    assert (shown["contactId"], shown["type"], shown["unreadCount"], shown["starred"]) == ("contact_new", 1, 0, False)
    changed = ok(api.put(path, json={**HERE, "unreadCount": 2, "starred": True, "feedback": "positive"}))
    assert (changed["conversation"]["unreadCount"], changed["conversation"]["starred"]) == (2, True)
    assert ok(api.get(path))["starred"] is True
    assert ok(api.delete(path)) == {"success": True}
    for answer in (api.get(path), api.delete(path), api.put(path, json=HERE), api.get(f"{path}/messages")):
        refused(answer, 404)


def test_the_list_pages_by_offset(api: httpx.Client, ids: list[str]) -> None:
    def page(**query: int) -> list[str]:
        answer = ok(api.get("/conversations/", params=query))
        assert answer["total"] == 27
        return [row["id"] for row in answer["conversations"]]

    assert len(page()) == 20
    assert page(limit=5) == ids[:-6:-1]
    assert [*page(limit=20), *page(limit=20, offset=20)] == page(limit=100)
    assert page(limit=5, offset=27) == []
    refused(api.get("/conversations/", params={"limit": 101}), 422)
    refused(api.get("/conversations/", params={"offset": -1}), 422)


def test_the_list_filters(api: httpx.Client, sandbox: Sandbox) -> None:
    (escalated,) = sandbox.add_conversations(1, status="escalated")
    assert [r["id"] for r in ok(api.get("/conversations/", params={"status": "escalated"}))["conversations"]] == [
        escalated
    ]
    assert ok(api.get("/conversations/", params={"contactId": "contact_1"}))["total"] == 1
    refused(api.get("/conversations/", params={"status": "lost"}), 422)


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("field", ["last_message_date", "last_manual_message_date", "score_profile", "due_at"])
def test_search_pages_by_sort_value(api: httpx.Client, sandbox: Sandbox, field: str, direction: str) -> None:
    for n, id_ in enumerate(sandbox.add_conversations(23)):
        sandbox.app.state.table("conversations", "", "").get(id_).update(
            scores={"p": n * 7 % 23}, dueAt=n * 5 % 23, lastManualMessageDate=n * 3 % 23
        )
    query: dict[str, Any] = {"sortBy": field, "sort": direction, "sortScoreProfile": "p", "limit": 4}
    found: list[str] = []
    after: list[Any] = []
    while True:
        page = ok(api.get(SEARCH, params={**HERE, **query, "startAfterDate": after}))
        assert page["total"] == 25
        found += [row["id"] for row in page["conversations"]]
        if len(page["conversations"]) < 4:
            break
        after = page["conversations"][-1]["sort"]
    assert len(found) == len(set(found)) == 25
    assert found == search(api, **{**query, "limit": 100})


def test_search_pages_by_a_lone_date(api: httpx.Client, ids: list[str]) -> None:
    first = ok(api.get(SEARCH, params={**HERE, "limit": 10}))["conversations"]
    assert [row["id"] for row in first] == ids[:-11:-1]
    second = search(api, limit=10, startAfterDate=first[-1]["lastMessageDate"])
    assert second == ids[-11:-21:-1]
    assert search(api, startAfterDate=0) == []


def test_search_filters(api: httpx.Client, sandbox: Sandbox) -> None:
    (mine,) = sandbox.add_conversations(1, assignedTo="user_1", followers=["user_2"], starred=True, scores={"p": 5})
    (other,) = sandbox.add_conversations(1, assignedTo="user_3", mentions=["user_2", "user_4"])
    ok(api.put(f"/conversations/{other}", json={**HERE, "unreadCount": 0}))
    filters: list[tuple[dict[str, Any], list[str]]] = [
        ({"id": mine}, [mine]),
        ({"contactId": "contact_2"}, ["conversation_2"]),
        ({"assignedTo": "user_1,user_3"}, [other, mine]),
        ({"assignedTo": "unassigned"}, ["conversation_2", "conversation_1"]),
        ({"assignedTo": "unassigned,user_1"}, [mine, "conversation_2", "conversation_1"]),
        ({"followers": "user_2"}, [mine]),
        ({"mentions": "user_4,user_5"}, [other]),
        ({"status": "starred"}, [mine]),
        ({"status": "read"}, [other, "conversation_2"]),
        ({"status": "unread"}, [mine, "conversation_1"]),
        ({"lastMessageType": "TYPE_WHATSAPP"}, ["conversation_2"]),
        ({"lastMessageDirection": "outbound"}, ["conversation_2"]),
        ({"lastMessageAction": "manual"}, ["conversation_2"]),
        ({"lastMessageAction": "automated"}, []),
        ({"scoreProfile": "p", "scoreProfileMin": 1}, [mine]),
        ({"scoreProfile": "p", "scoreProfileMin": 1, "scoreProfileMax": 4}, []),
        ({"query": "TUESDAY"}, ["conversation_2"]),
        ({"query": "ada abbott"}, ["conversation_1"]),
        ({"startDate": int(Clock.START * 1000) + 3_600_000}, []),
        ({"endDate": 1}, []),
    ]
    for query, found in filters:
        assert search(api, **query) == found, query
    row = ok(api.get(SEARCH, params={**HERE, "id": "conversation_2"}))["conversations"][0]
    assert (row["type"], row["fullName"], row["lastMessageBody"]) == (
        "TYPE_PHONE",
        "Ben Becker",
        "Shall we say Tuesday?",
    )
