"""What the sandbox's tests share."""

from __future__ import annotations

from typing import Any, ClassVar

import httpx

from dialogkit.testing import Sandbox
from dialogkit.testing.engine.document import is_object

VERSION = {"Version": "2021-07-28"}
HERE = {"locationId": "loc_sandbox"}


class Clock:
    """A clock that stands still until it is turned."""

    START: ClassVar[float] = 1_800_000_000.0

    def __init__(self) -> None:
        self.now = self.START

    def __call__(self) -> float:
        return self.now


def client_of(sandbox: Sandbox[Any], token: str | None = None) -> httpx.Client:
    """Make a client with the sandbox's key, or with another token."""
    headers = {"Authorization": f"Bearer {token or sandbox.api_key}", **VERSION}
    return httpx.Client(base_url=sandbox.url, headers=headers)


def complaints(errors: str) -> list[str]:
    """Return what a program has written to stderr, without asyncio's remarks on how busy the machine is."""
    return [line for line in errors.splitlines() if not line.startswith("Executing <")]


def ok(response: httpx.Response) -> Any:
    """Return the JSON of an answer that says it worked, without the id of the request that HoopAI's have."""
    assert response.is_success, f"{response.status_code} {response.text}"
    body: Any = response.json()
    if is_object(body):
        body.pop("traceId", None)
    return body


def refused(response: httpx.Response, status: int) -> str:
    """Return the message of an answer that refuses with this status."""
    assert response.status_code == status, f"{response.status_code} {response.text}"
    body = response.json()
    assert body.get("statusCode", body.get("status")) == status
    assert body["traceId"]
    message = body["message"]
    return message if isinstance(message, str) else "; ".join(message)
