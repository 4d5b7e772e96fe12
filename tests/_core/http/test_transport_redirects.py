"""Redirects are followed where that is harmless, and no credential follows to another origin."""

from __future__ import annotations

import httpx
import pytest

from dialogkit._core.http.pool import Connection, TransportFailure
from tests.support.backends import on_every_backend
from tests.support.messages import fetch, once, request_of
from tests.support.servers import Behaviour, Server, answer


def redirect(url: str, status: int = 302) -> Behaviour:
    return answer(b"elsewhere", status=status, headers=[("location", url)])


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@on_every_backend
async def test_redirects_of_reading_requests_are_followed(method: str, status: int) -> None:
    with Server(redirect("/there/", status), answer(b"here")) as server:
        response = await once(request_of(method, server.url, headers={"Authorization": "Bearer t", "Version": "1"}))
    assert response.status == 200
    assert [(request.method, request.target) for request in server.requests] == [(method, "/"), (method, "/there/")]
    assert server.requests[1].header("authorization") == "Bearer t"
    assert server.requests[1].header("version") == "1"
    assert server.connections == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@on_every_backend
async def test_redirects_of_changing_requests_are_answers(method: str) -> None:
    with Server(redirect("/there")) as server:
        response = await once(request_of(method, server.url))
    assert (response.status, response.content) == (302, b"elsewhere")
    assert len(server.requests) == 1


@on_every_backend
async def test_at_most_five_redirects() -> None:
    with Server(redirect("/again")) as server:
        response = await once(request_of("GET", server.url))
    assert response.status == 302
    assert len(server.requests) == 6


@on_every_backend
async def test_credentials_stay_with_their_origin() -> None:
    secrets = {"Authorization": "Bearer t", "X-Api-Key": "k", "Cookie": "c=1", "Version": "1"}
    neutral = {"Accept": "audio/x-wav", "Range": "bytes=0-9", "User-Agent": "dialogkit"}
    with Server(answer(b"file")) as storage, Server(redirect(f"{storage.url}file?sig=1")) as api:
        response = await once(request_of("GET", api.url, headers=secrets | neutral))
    assert response.content == b"file"
    assert {name.lower() for name, _ in storage.requests[0].headers} == {"host", "accept", "range", "user-agent"}
    assert storage.requests[0].header("host") == f"127.0.0.1:{storage.port}"


@on_every_backend
async def test_credentials_do_not_come_back_by_a_detour() -> None:
    with Server() as detour, Server(redirect(detour.url), answer()) as api:
        detour.behaviours = (redirect(api.url),)
        await once(request_of("GET", api.url, headers={"Authorization": "Bearer t"}))
    assert [request.header("authorization") for request in api.requests] == ["Bearer t", None]
    assert [request.header("authorization") for request in detour.requests] == [None]


async def test_what_a_given_client_was_told_stays_with_its_origin() -> None:
    with Server(answer(b"file")) as storage, Server(redirect(storage.url)) as api:
        async with httpx.AsyncClient(headers={"X-Gateway": "abc"}, params={"tenant": "t1"}) as client:
            await fetch(Connection(client), request_of("GET", api.url))
    assert (api.requests[0].header("x-gateway"), api.requests[0].target[-10:]) == ("abc", "?tenant=t1")
    assert storage.requests[0].header("x-gateway") is None
    assert "tenant" not in storage.requests[0].target


@pytest.mark.parametrize("location", ["http://[oops", "ftp://127.0.0.1/file", "https:///nowhere"])
@on_every_backend
async def test_a_redirect_that_leads_nowhere(location: str) -> None:
    with Server(redirect(location)) as server:
        with pytest.raises(TransportFailure):
            await once(request_of("GET", server.url))
        assert len(server.requests) == 1
