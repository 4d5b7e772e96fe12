"""An endpoint on this machine that keeps the webhooks it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType

from starlette.types import Receive, Scope, Send
from typing_extensions import Self

from dialogkit.testing.serving.server import ServerThread


@dataclass(frozen=True)
class Received:
    """A delivery, byte by byte."""

    body: bytes
    headers: dict[str, str]


class Endpoint:
    """Accepts whatever is posted, while its block lasts."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.status = 200
        """What it answers."""
        self._server = ServerThread(self, "127.0.0.1", 0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}/hook"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.received.append(Received(body, headers))
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.stop()
