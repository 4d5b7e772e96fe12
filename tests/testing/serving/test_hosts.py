"""The sandbox answers only to whoever calls it by a name that no stranger can own (DNS rebinding)."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from dialogkit.testing import Sandbox
from tests.testing.tools import HERE, VERSION, refused


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(tier=None, hosts=["sandbox.internal.example"]) as sandbox:
        yield sandbox


def get(sandbox: Sandbox, host: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {sandbox.api_key}", **VERSION, "Host": host}
    return httpx.get(f"{sandbox.url}/conversations/bots", headers=headers, params=HERE)


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LocalHost:1", "a.localhost", "testserver", "sandbox:8080", "sandbox.internal.example"),
        *("127.0.0.1", "127.9.9.9:80", "[::1]", "[::1]:8080", "192.168.1.2"),
    ],
)
def test_names_that_are_ours(sandbox: Sandbox, host: str) -> None:
    assert get(sandbox, host).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "[", "a.b@c.d"]
)
def test_names_of_strangers_are_refused_with_what_to_do(sandbox: Sandbox, host: str) -> None:
    before = len(sandbox.requests)
    answer = get(sandbox, host)
    assert answer.status_code == 421
    assert "Sandbox(hosts=[...])" in answer.json()["message"]
    assert [each.status for each in sandbox.requests[before:]] == [421]


def test_links_to_files_are_guarded_too(sandbox: Sandbox) -> None:
    headers = {"Authorization": f"Bearer {sandbox.api_key}", **VERSION}
    link = httpx.get(f"{sandbox.url}/voice-ai/calls/call_1/recording", headers=headers, params=HERE).json()["url"]
    refused(httpx.get(link, headers={"Host": "evil.example"}), 421)
    assert httpx.get(link).status_code == 200
