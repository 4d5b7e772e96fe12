"""A call that somebody mocks does not go out, whichever way they mock: each library of mocks is used as its users do.

There is a real server in each test, which must not be reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pytest
import respx
import vcr  # type: ignore[import-untyped]
from pytest_httpx import HTTPXMock

from tests._core.toy import KEY, Toy
from tests.support.backends import on_every_backend
from tests.support.servers import Server, answer

REAL = answer(b'{"id": "real"}', headers=[("content-type", "application/json")])
MOCKED = {"id": "mocked"}


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(REAL) as server:
        yield server


async def thing(server: Server) -> str | None:
    async with Toy(KEY, base_url=server.url, allow_insecure=True) as toy:
        return (await toy.things.get("t1")).id


@pytest.fixture
def used(server: Server) -> Iterator[Server]:
    """A server that must not be reached."""
    yield server
    assert server.requests == []


@respx.mock
@on_every_backend
async def test_the_decorator_of_respx(used: Server) -> None:
    respx.get(path="/things/t1").respond(json=MOCKED)
    assert await thing(used) == "mocked"


@on_every_backend
async def test_the_fixture_of_respx(used: Server, respx_mock: respx.MockRouter) -> None:
    respx_mock.get(path="/things/t1").respond(json=MOCKED)
    assert await thing(used) == "mocked"


@pytest.mark.parametrize("using", ["httpx", "httpcore"])
@on_every_backend
async def test_the_router_of_respx(used: Server, using: str) -> None:
    with respx.mock(using=using) as router:
        router.get(path="/things/t1").respond(json=MOCKED)
        assert await thing(used) == "mocked"


@pytest.mark.parametrize("using", ["httpx", "httpcore"])
async def test_what_respx_lets_pass_arrives(server: Server, using: str) -> None:
    with respx.mock(using=using) as router:
        router.get(path="/things/t1").pass_through()
        assert await thing(server) == "real"
    assert len(server.requests) == 1


@on_every_backend
async def test_a_request_that_no_route_of_respx_matches_is_no_call(used: Server) -> None:
    with respx.mock(), pytest.raises(AssertionError, match="not mocked"):
        await thing(used)


@on_every_backend
async def test_pytest_httpx(used: Server, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json=MOCKED)
    assert await thing(used) == "mocked"
    (request,) = httpx_mock.get_requests()
    assert request.headers["authorization"] == f"Bearer {KEY}"


async def test_vcrpy_records_once_and_plays_back(server: Server, tmp_path: Path) -> None:
    cassette = str(tmp_path / "cassette.yaml")
    for _ in range(2):
        with vcr.use_cassette(cassette) as played:  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            assert await thing(server) == "real"
            assert len(played) == 1  # pyright: ignore[reportUnknownArgumentType]
    assert len(server.requests) == 1


@on_every_backend
async def test_a_mock_of_the_standard_library(used: Server) -> None:
    async def handle(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=MOCKED)

    with mock.patch.object(httpx.AsyncHTTPTransport, "handle_async_request", handle):
        assert await thing(used) == "mocked"


async def test_a_mock_object(used: Server) -> None:
    replaced = mock.AsyncMock(return_value=httpx.Response(200, json=MOCKED, request=httpx.Request("GET", used.url)))
    with mock.patch.object(httpx.AsyncClient, "send", replaced):
        assert await thing(used) == "mocked"


async def test_a_client_that_is_open_when_a_mock_comes_and_goes(server: Server) -> None:
    async with Toy(KEY, base_url=server.url, allow_insecure=True) as toy:
        found = [(await toy.things.get("t1")).id]
        with respx.mock() as router:
            router.get(path="/things/t1").respond(json=MOCKED)
            found.append((await toy.things.get("t1")).id)
        found.append((await toy.things.get("t1")).id)
    assert found == ["real", "mocked", "real"]


async def test_a_wrapper_of_an_instrumentation_sees_the_call(server: Server) -> None:
    seen: list[str] = []
    real: Any = httpx.AsyncHTTPTransport.handle_async_request

    async def watch(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        response: httpx.Response = await real(transport, request)
        return response

    with mock.patch.object(httpx.AsyncHTTPTransport, "handle_async_request", watch):
        assert await thing(server) == "real"
    assert seen == ["/things/t1"]
