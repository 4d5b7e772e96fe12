from __future__ import annotations

from typing import Any

import httpx
import pytest

from dialogkit.testing import Sandbox
from tests.testing.tools import HERE, ok, refused

EXPORT = "/conversations/messages/export"


def export(api: httpx.Client, **query: Any) -> list[str]:
    return [row["id"] for row in ok(api.get(EXPORT, params={**HERE, **query}))["messages"]]


def test_it_pages_by_cursor(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.add_messages("conversation_1", 22)
    found: list[str] = []
    cursor = ""
    while True:
        page = ok(api.get(EXPORT, params={**HERE, "limit": 10, "cursor": cursor}))
        found += [row["id"] for row in page["messages"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert len(found) == len(set(found)) == page["total"] == 25
    assert found == export(api)
    assert export(api, sortOrder="asc") == found[::-1]
    assert export(api, sortBy="updatedAt") == found


def test_it_filters(api: httpx.Client, sandbox: Sandbox) -> None:
    (email,) = sandbox.add_messages("conversation_2", 1, channel="Email")
    assert export(api) == ["message_2", "message_call", "message_1"]
    assert export(api, channel="Email")[0] == email
    assert export(api, channel="Call") == ["message_call"]
    assert export(api, conversationId="conversation_2") == ["message_2"]
    assert export(api, contactId="contact_1") == ["message_call", "message_1"]
    assert export(api, startDate="2030-01-01") == []
    assert export(api, endDate="2020-01-01T00:00:00Z") == []


@pytest.mark.parametrize("query", [{"limit": 9}, {"cursor": "x"}, {"cursor": "e30="}, {"startDate": "soon"}])
def test_what_is_wrong_is_refused(api: httpx.Client, query: dict[str, Any]) -> None:
    refused(api.get(EXPORT, params={**HERE, **query}), 422)
