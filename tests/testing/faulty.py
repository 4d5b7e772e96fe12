"""What the tests of faults share."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import httpx

from dialogkit.testing import LoggedRequest, Sandbox
from tests.testing.tools import HERE, ok

BOTS = "/conversations/bots"
BOT = {**HERE, "name": "B", "systemPrompt": ""}
FOREVER = 3600.0
"""Seconds that no test waits for."""


def create(api: httpx.Client) -> httpx.Response:
    return api.post(BOTS, json=BOT)


def names(sandbox: Sandbox, api: httpx.Client) -> list[str]:
    """Return the bots that there are, undisturbed by any fault."""
    sandbox.clear_faults()
    return [bot["name"] for bot in ok(api.get(BOTS, params=HERE))["bots"]]


def outcomes(sandbox: Sandbox) -> list[tuple[int | None, str | None]]:
    return [(each.status, each.fault) for each in sandbox.requests]


@contextmanager
def request(sandbox: Sandbox, method: str = "GET", path: str = BOTS, body: Any = None) -> Generator[socket.socket]:
    """Send a request over a plain socket, which shows how the connection ends."""
    content = b"" if body is None else json.dumps(body).encode()
    target = path if method == "POST" else f"{path}?locationId=loc_sandbox"
    head = (
        f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nVersion: 2021-07-28\r\n"
        f"Authorization: Bearer {sandbox.api_key}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    )
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), timeout=10) as connection:
        connection.sendall(f"{head}\r\n\r\n".encode() + content)
        yield connection


def answer_to(sandbox: Sandbox, method: str = "GET", path: str = BOTS, body: Any = None) -> tuple[bytes, bytes]:
    """Return head and body of an answer that ends with its connection."""
    with request(sandbox, method, path, body) as connection:
        head, _, content = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
    return head.lower(), content


class Heard:
    """Waits for what the sandbox tells of requests."""

    def __init__(self) -> None:
        self.requests: list[LoggedRequest] = []
        self._told = threading.Condition()

    def __call__(self, request: LoggedRequest) -> None:
        with self._told:
            self.requests.append(request)
            self._told.notify_all()

    def wait(self, count: int = 1) -> None:
        with self._told:
            assert self._told.wait_for(lambda: len(self.requests) >= count, timeout=10)
