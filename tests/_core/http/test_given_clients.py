"""What an `httpx.AsyncClient` was told before it was given to us: kept, or refused with a sentence, never dropped."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import httpx
import pytest

from dialogkit import (
    AuthenticationError,
    ConfigurationError,
    NotFoundError,
    RetryPolicy,
    UnprocessableEntityError,
)
from tests._core.toy import KEY, Toy

Handler = Callable[[httpx.Request], httpx.Response]


def ok(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"id": "t1"})


def libraries() -> list[Any]:
    return [httpx, *([import_module("httpx2")] if find_spec("httpx2") else [])]  # which wants Python 3.11


async def sent(library: Any = httpx, **told: Any) -> Any:
    """Return the request of one call over a client that was told so."""
    seen: list[Any] = []

    def handle(request: Any) -> Any:
        seen.append(request)
        return library.Response(200, json={"id": "t1"})

    async with library.AsyncClient(transport=library.MockTransport(handle), **told) as client:
        toy = Toy(KEY, base_url="https://api.test", http_client=client)
        await toy.things.list(tags=["a b"], location_id="loc_1")
    return seen[0]


@pytest.mark.parametrize("library", libraries())
async def test_headers_go_along(library: Any) -> None:
    request = await sent(library, headers={"X-Gateway": "abc", "Accept": "text/html", "User-Agent": "corp/1"})
    assert request.headers["x-gateway"] == "abc"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept"] == "application/json", "else the answer could not be read"
    assert request.headers["user-agent"].startswith("corp/1 dialogkit/")


async def test_a_client_that_was_told_nothing_adds_nothing() -> None:
    request = await sent()
    assert request.headers["user-agent"].startswith("dialogkit/")
    assert set(request.headers) == {"host", "user-agent", "accept", "accept-encoding", "authorization", "version"}


@pytest.mark.parametrize("library", libraries())
async def test_parameters_go_along_and_the_calls_own_win(library: Any) -> None:
    request = await sent(library, params={"tenant": "t 1", "tags": "theirs"})
    assert request.url.query == b"tags=a%20b&locationId=loc_1&tenant=t+1"


@pytest.mark.parametrize("library", libraries())
async def test_cookies_go_along(library: Any) -> None:
    assert (await sent(library, cookies={"sid": "1"})).headers["cookie"] == "sid=1"


@pytest.mark.parametrize("library", libraries())
async def test_event_hooks_run(library: Any) -> None:
    ran: list[str] = []

    async def hook(what: Any) -> None:
        ran.append(type(what).__name__)

    await sent(library, event_hooks={"request": [hook], "response": [hook]})
    assert ran == ["Request", "Response"]


@pytest.mark.parametrize("library", libraries())
@pytest.mark.parametrize(
    ("told", "advice"),
    [
        ({"base_url": "https://other.test"}, "give base_url= to this client"),
        ({"auth": ("user", "password")}, "give api_key= or auth= to this client"),
        ({"headers": {"authorization": "Basic abc-secret"}}, "give api_key= or auth= to this client"),
    ],
)
async def test_what_would_contradict_is_refused(library: Any, told: dict[str, Any], advice: str) -> None:
    async with library.AsyncClient(**told) as client:
        with pytest.raises(ConfigurationError, match=advice) as caught:
            Toy(KEY, http_client=client)
    assert "secret" not in str(caught.value)


async def raises_for_status(response: httpx.Response) -> None:
    response.raise_for_status()


@pytest.mark.parametrize(
    ("status", "error"), [(401, AuthenticationError), (404, NotFoundError), (422, UnprocessableEntityError)]
)
@pytest.mark.parametrize("method", ["get", "create"])
async def test_a_hook_that_raises_for_a_status_leaves_the_answer_an_answer(
    status: int, error: type[Exception], method: str
) -> None:
    requests: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(status, json={"message": "no"})

    hooks: Any = {"response": [raises_for_status]}
    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse), event_hooks=hooks) as client:
        toy = Toy(KEY, base_url="https://api.test", http_client=client, retry=RetryPolicy(base_delay=0))
        with pytest.raises(error):
            await (toy.things.get("t1") if method == "get" else toy.things.create(name="x"))
    assert len(requests) == 1


async def test_what_else_a_hook_raises_is_its_own_matter() -> None:
    async def fails(response: httpx.Response) -> None:
        raise LookupError("mine")

    hooks: Any = {"response": [fails]}
    async with httpx.AsyncClient(transport=httpx.MockTransport(ok), event_hooks=hooks) as client:
        with pytest.raises(LookupError, match="mine"):
            await Toy(KEY, base_url="https://api.test", http_client=client).things.get("t1")


async def test_downloads_from_elsewhere_get_nothing_of_it() -> None:
    requests: list[httpx.Request] = []

    def serve(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, content=b"file")

    async with httpx.AsyncClient(transport=httpx.MockTransport(serve), headers={"X-Gateway": "abc"}) as client:
        toy = Toy(KEY, base_url="https://api.test", http_client=client)
        assert await toy.download("https://storage.test/file?signature=1") == b"file"
    assert "x-gateway" not in requests[0].headers
    assert requests[0].url.query == b"signature=1"
