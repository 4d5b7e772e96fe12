"""The way of one answer to its client: whole, in pieces, by half or not at all."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dialogkit.testing.faults import HalfBody, SlowBody
from dialogkit.testing.registry import Answer

STATE: Final = "dialogkit.connection"
"""Where in the ASGI scope's `state` the sandbox's own server leaves the connection of a request."""


class Connection(Protocol):
    """What the sandbox's own server lets the app do with the connection of a request."""

    def hang_up(self, *, reset: bool = False) -> None:
        """Close it once everything is written, or reset it at once."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """Mark the time during which a fault keeps the client waiting: when the server stops, it breaks that off."""
        ...


class Wire:
    """One request's connection.

    Args:
        scope: The request's, as ASGI has it, like the others.
        receive: Where the body has come from; after it there is only the news that the client is gone.
        send: Where the answer goes.

    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._connection: Connection | None = scope.get("state", {}).get(STATE)

    @property
    def can_hang_up(self) -> bool:
        """Whether the connection can be closed: other servers than the sandbox's own do not allow it."""
        return self._connection is not None

    async def left_within(self, seconds: float) -> bool:
        """Wait for so long; return at once, and True, when the client goes away or the server stops."""
        with self._held(), anyio.move_on_after(seconds):
            await self._gone()
            return True
        return False

    async def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection, and return when it is closed."""
        if self._connection is not None:
            self._connection.hang_up(reset=reset)
            with self._held():  # a client that does not read what is left keeps it open
                await self._gone()

    async def deliver(self, answer: Answer, how: HalfBody | SlowBody | None = None) -> None:
        """Send an answer."""
        response = _response(answer)
        if how is None or not answer.content:
            await response(self._scope, self._receive, self._send)
        else:
            await self._send(
                {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
            )
            if isinstance(how, HalfBody):
                await self._piece(answer.content[: len(answer.content) // 2])
            else:
                await self._trickle(answer.content, how)
        if isinstance(how, HalfBody):
            await self.hang_up()

    async def _trickle(self, content: bytes, how: SlowBody) -> None:
        count = min(how.chunks, len(content))
        for number in range(count):
            if await self.left_within(how.seconds / count):
                return
            await self._piece(content[len(content) * number // count : len(content) * (number + 1) // count])
        await self._piece(b"", more=False)

    async def _piece(self, body: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _held(self) -> AbstractContextManager[None]:
        return nullcontext() if self._connection is None else self._connection.held()


def _response(answer: Answer) -> Response:
    response = Response(answer.content, status_code=answer.status, headers=dict(answer.headers))
    if answer.media_type is not None:
        response.headers["Content-Type"] = answer.media_type
    return response
