"""The way of one request in, and of its answer out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from dialogkit.testing.engine.refusals import Refusal
from dialogkit.testing.engine.registry import Answer

STATE: Final = "dialogkit.connection"
"""Where in the ASGI scope's `state` the sandbox's own server leaves the connection of a request."""
_LARGEST_BODY: Final = 256 * 1024 * 1024


class Connection(Protocol):
    """What the sandbox's own server lets the app do with the connection of a request."""

    def hang_up(self, *, reset: bool = False) -> None:
        """Close it once everything is written, or reset it at once."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """Mark the time during which a fault keeps the client waiting: when the server stops, it breaks that off."""
        ...


class Exchange:
    """One request on its way: what a fault can do with it, see `dialogkit.testing.faults`.

    Args:
        scope: The request's, as ASGI has it, like the others.
        receive: Where the body comes from; after it there is only the news that the client is gone.
        send: Where the answer goes.
        serve: Makes the platform's answer to the request.
        refused: Makes the platform's answer of a refusal.

    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        serve: Callable[[Request], Awaitable[Answer]],
        refused: Callable[[Refusal], Answer],
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._connection: Connection | None = scope.get("state", {}).get(STATE)
        self._serve = serve
        self._body: bytes | None = None
        self.refused = refused

    @property
    def can_hang_up(self) -> bool:
        """Whether the connection can be closed: other servers than the sandbox's own do not allow it."""
        return self._connection is not None

    async def read(self) -> None:
        """Read the request to its end, whatever becomes of it, so that the connection stays in step.

        Raises:
            ClientDisconnect: The client has left.

        """
        if self._body is not None:
            return
        content = bytearray()
        async for chunk in Request(self._scope, self._receive).stream():
            if len(content) + len(chunk) <= _LARGEST_BODY:
                content += chunk
        self._body = bytes(content)

    async def served(self) -> Answer:
        """Read the request, and return the platform's answer.

        Raises:
            ClientDisconnect: The client has left.

        """
        await self.read()
        body = self._body or b""

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        return await self._serve(Request(self._scope, receive))

    async def wait(self, seconds: float) -> None:
        """Wait for so long.

        Raises:
            ClientDisconnect: The client has gone away, or the server stops.

        """
        await self.read()
        with self._held(), anyio.move_on_after(seconds):
            await self._gone()
            raise ClientDisconnect

    async def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection, and return when it is closed."""
        if self._connection is not None:
            self._connection.hang_up(reset=reset)
            with self._held():  # a client that does not read what is left keeps it open
                await self._gone()

    async def send(self, answer: Answer) -> None:
        """Send an answer whole."""
        await _response(answer)(self._scope, self._receive, self._send)

    async def begin(self, answer: Answer) -> None:
        """Send the head of an answer, which promises all of its body."""
        response = _response(answer)
        await self._send(
            {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
        )

    async def piece(self, content: bytes, *, more: bool = True) -> None:
        """Send a piece of the body; `more` says whether another follows."""
        await self._send({"type": "http.response.body", "body": content, "more_body": more})

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
