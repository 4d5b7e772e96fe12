"""A platform that answers the calls whose cost is measured, in the process of the tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.servers import Behaviour, Exchange, Server, answer

ROWS = [
    {
        "id": f"conversation_{number}",
        "contactId": f"contact_{number}",
        "locationId": "loc_abc123",
        # As rows really come: no lastMessageBody, and types that nobody has listed.
        "lastMessageType": ("TYPE_NO_SHOW", "TYPE_SMS", 100)[number % 3],
        "type": "TYPE_PHONE",
        "unreadCount": number,
        "fullName": f"Ada Example {number}",
        "contactName": f"Ada Example {number}",
        "email": f"ada{number}@example.com",
        "phone": "+15550100",
        "lastMessageDate": 1_760_000_000_000 + number,
        "lastManualMessageDate": 1_760_000_000_000 + number,
        "dateAdded": 1_750_000_000_000,
        "dateUpdated": 1_760_000_000_000,
        "followers": [],
        "mentions": [],
        "isLastMessageInternalComment": False,
        "companyName": None,
        "tags": [],
        "scoring": [],
        "messageTypes": [100],
        "lastOutboundMessageAction": "manual",
        "sort": [1_760_000_000_000 + number],
    }
    for number in range(20)
]
ONE = {
    "id": "conversation_1",
    "locationId": "loc_abc123",
    "contactId": "contact_1",
    "type": 1,
    "deleted": False,
    "isLastMessageInternalComment": False,
    "lastMessageType": 100,
    "lastMessageDate": {"seconds": 1_784_283_629, "nanoseconds": 850_000_000},
    "messageTypes": [100],
    "traceId": "trace_1",
}
SENT = {"conversationId": "conversation_1", "messageId": "message_1", "msg": "queued"}
REFUSED = {"statusCode": 422, "message": ["contactId should not be empty"], "error": "Unprocessable Entity"}


def as_json(content: Any, status: int = 200) -> Behaviour:
    headers = [("content-type", "application/json"), ("x-request-id", "request_1")]
    return answer(json.dumps(content).encode(), status=status, headers=headers)


ANSWERS = {
    "/conversations/search": as_json({"conversations": ROWS, "total": len(ROWS), "traceId": "trace_1"}),
    "/conversations/conversation_1": as_json(ONE),
    "/conversations/refused": as_json(REFUSED, 422),
    "/conversations/messages": as_json(SENT, 201),
}


async def respond(exchange: Exchange) -> bool:
    return await ANSWERS[exchange.request.target.partition("?")[0]](exchange)


@pytest.fixture(scope="module")
def platform() -> Iterator[Server]:
    with Server(respond) as server:
        yield server
