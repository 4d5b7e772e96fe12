"""The server that everybody calls: loopback, in a process of its own, and as cheap as possible.

It knows four paths and answers them with the same bytes for everybody, under the headers that HoopAI sends. Pages are
cut from a list of a million conversations. It ends when its standard input does, so that it survives nobody.
"""

from __future__ import annotations

import asyncio
import json
import sys
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

ROWS: Final = 1_000_000
LOCATION: Final = "loc_abc123"
KEY: Final = "a-key-of-the-benchmark"
VERSION: Final = "2021-07-28"
CONVERSATION: Final = "conversation_1"
SENSELESS: Final = "conversation_422"
"""The conversation that is answered with 422."""
MESSAGE: Final = "message_1"

# Digits that no other part of a page has, in place of its number: a page is then one replacement away.
_NUMBER: Final = b"9876543210"
_TRACE: Final = "6a1f2b63-5f0e-4f0c-9c59-0d8c8d1c2a77"
_REASONS: Final = {200: "OK", 201: "Created", 404: "Not Found", 422: "Unprocessable Entity"}
_HEADERS: Final = (
    "Date: Sat, 21 Nov 2026 12:00:00 GMT\r\n"
    "Content-Type: application/json; charset=utf-8\r\n"
    "Connection: keep-alive\r\n"
    "Server: cloudflare\r\n"
    "Vary: Origin, Accept-Encoding\r\n"
    "Cache-Control: no-store\r\n"
    "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    # HoopAI's own names; the numbers are so high that nobody ever has to wait.
    "X-RateLimit-Limit-Daily: 1000000000\r\n"
    "X-RateLimit-Daily-Remaining: 999999999\r\n"
    "X-RateLimit-Interval-Milliseconds: 10000\r\n"
    "X-RateLimit-Max: 10000000\r\n"
    "X-RateLimit-Remaining: 9999999\r\n"
    "X-Request-Id: 6a1f2b63-5f0e-4f0c-9c59-0d8c8d1c2a77\r\n"
)


def _answer(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} {_REASONS[status]}\r\n{_HEADERS}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


_TYPES: Final = ("TYPE_SMS", "TYPE_NO_SHOW", 100, "TYPE_SMS")


def row_id(number: int, place: int) -> str:
    """Return the id of a row, by the number of its page and its place there."""
    return f"conversation_{number:010}{place:02}"


def _row(place: int) -> dict[str, Any]:
    number = int(_NUMBER)
    return {
        "id": row_id(number, place),
        "contactId": f"contact_{number}{place:02}",
        "locationId": LOCATION,
        # As rows really come: no lastMessageBody, types that nobody has listed, and now and then a code.
        "lastMessageType": _TYPES[place % len(_TYPES)],
        "type": "TYPE_PHONE",
        "unreadCount": place % 3,
        "fullName": "Ada Lovelace",
        "contactName": "Ada Lovelace",
        "email": "ada@example.com",
        "phone": "+15550001234",
        # The page's number between a 1 and the place: a date from which the next page's number can be told.
        "lastMessageDate": 10**12 + number * 100 + place,
        "dateAdded": 1_757_289_600_000,
        "dateUpdated": 1_763_683_200_000,
        "followers": [],
        "mentions": [],
        "isLastMessageInternalComment": False,
        "companyName": None,
        "tags": [],
        "scoring": [],
        "messageTypes": [100],
        "lastOutboundMessageAction": "manual",
        "sort": [10**12 + number * 100 + place],
    }


@lru_cache(maxsize=8)
def _template(rows: int) -> bytes:
    return _compact({"conversations": [_row(place) for place in range(rows)], "total": ROWS, "traceId": _TRACE})


def _page(query: dict[str, list[str]]) -> bytes:
    """Return the page after the row whose date is given, or the first."""
    rows = int(query.get("limit", ["20"])[0])
    after = query.get("startAfterDate")
    number = 0 if after is None else (int(after[0]) - 10**12) // 100 + 1
    return _template(rows).replace(_NUMBER, b"%010d" % number)


@lru_cache(maxsize=1024)
def reply(method: bytes, target: bytes) -> bytes:
    """Return the whole answer to a request."""
    url = urlsplit(target.decode())
    if method == b"POST" and url.path == "/conversations/messages":
        return _answer(201, _compact({"conversationId": CONVERSATION, "messageId": MESSAGE, "msg": "Message queued."}))
    if url.path == "/conversations/search":
        return _answer(200, _page(parse_qs(url.query)))
    if url.path == f"/conversations/{CONVERSATION}":
        return _answer(200, _compact(_CONVERSATION))
    if url.path == f"/conversations/{SENSELESS}":
        return _answer(422, _compact(_SENSELESS))
    return _answer(404, _compact({"statusCode": 404, "message": f"Cannot {method.decode()} {url.path}"}))


_CONVERSATION: Final = {
    "id": CONVERSATION,
    "locationId": LOCATION,
    "contactId": "contact_1",
    "type": 1,
    "deleted": False,
    "isLastMessageInternalComment": False,
    "lastMessageType": 100,
    "lastMessageDate": {"seconds": 1_784_283_629, "nanoseconds": 850_000_000},
    "messageTypes": [100],
    "traceId": _TRACE,
}
_SENSELESS: Final = {
    "statusCode": 422,
    "message": ["conversationId makes no sense"],
    "error": "Unprocessable Entity",
    "traceId": _TRACE,
}


class Answering(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        data = self._rest + data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            method, target, _ = data.split(b" ", 2)
            size = end + 4 + (0 if method == b"GET" else _body_size(data[:end]))
            if len(data) < size:
                break
            self._transport.write(reply(method, target))
            data = data[size:]
        self._rest = data


def _body_size(head: bytes) -> int:
    _, _, after = head.lower().partition(b"\r\ncontent-length:")
    return int(after.split(b"\r\n", 1)[0] or 0)


async def serve() -> None:
    """Print the port, and serve until standard input ends."""
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
