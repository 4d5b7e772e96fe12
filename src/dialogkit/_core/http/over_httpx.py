"""Requests that go through an `httpx.AsyncClient`: a given one, a mock, or a proxy that aiohttp does not know."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Mapping
from functools import lru_cache
from typing import Final

import httpx

from dialogkit._core.http.proxies import proxy_mounts
from dialogkit._core.http.transport import Answer, Origin, Request


class DirectTransport(httpx.AsyncBaseTransport):
    """A transport that also takes requests past httpx's client, which would cost more than all the rest."""

    async def send(self, request: Request, *, timeout: float) -> Answer:
        """Send `request` and return its answer once the headers are there; see `Connection.send`."""
        raise NotImplementedError


class OwnClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` without cookies, and with the environment's proxies.

    Args:
        make: Makes the transport for direct connections (`None`), or for a proxy.
    """

    def __init__(self, make: Callable[[httpx.Proxy | None], httpx.AsyncBaseTransport]) -> None:
        # The client would read more from the environment than proxies, so it reads nothing, and proxies are mounted.
        super().__init__(transport=make(None), mounts=proxy_mounts(make), trust_env=False)

    @property
    def cookies(self) -> httpx.Cookies:
        return _NO_COOKIES

    @cookies.setter
    def cookies(self, cookies: object) -> None:
        pass

    def direct(self, origin: Origin) -> DirectTransport | None:
        """Return the transport for `origin`, if it takes requests directly.

        httpx is asked each time, and by the method that mocks replace, so that they see the requests.
        """
        transport = self._transport_for_url(_url(origin.text))
        return transport if isinstance(transport, DirectTransport) else None


class _NoCookies(httpx.Cookies):
    """Takes no cookie from an answer: a client serves many accounts, and no session may leak between them."""

    def extract_cookies(self, response: httpx.Response) -> None:
        pass


_NO_COOKIES: Final = _NoCookies()


async def send(client: httpx.AsyncClient, request: Request, *, timeout: float, authenticated: bool) -> Answer:
    """Send `request` through `client`.

    Args:
        client: Sends it. It follows no redirect.
        request: What to send.
        timeout: Seconds for each step; `math.inf` for no limit.
        authenticated: Whether the client's own `auth` may add to it.
    """
    sent = httpx.Request(
        request.method,
        request.url,
        headers=[(name.encode("ascii"), value.encode("latin-1")) for name, value in request.headers.items()],
        content=request.content,
        extensions={"timeout": limits_of(timeout)},
    )
    auth = httpx.USE_CLIENT_DEFAULT if authenticated else None
    return HttpxAnswer(await client.send(sent, stream=True, auth=auth, follow_redirects=False))


class HttpxAnswer(Answer):
    """An answer that came through httpx."""

    __slots__ = ("_response",)

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(response.status_code, response.headers.raw)
        self._response = response

    async def read(self) -> bytes:
        return await self._response.aread()

    def chunks(self) -> AsyncIterator[bytes]:
        return self._response.aiter_bytes()

    async def aclose(self) -> None:
        await self._response.aclose()


def origin_and_target(url: httpx.URL) -> tuple[Origin, str]:
    """Return where a URL leads, and what the request line says there."""
    return Origin(url), url.raw_path.decode("ascii")


@lru_cache(maxsize=1024)
def _url(text: str) -> httpx.URL:
    return httpx.URL(text)


@lru_cache(maxsize=64)
def limits_of(timeout: float) -> Mapping[str, float | None]:
    """Return a timeout as httpx has it: for each step, `None` for no limit."""
    limit = None if timeout == math.inf else timeout
    return {"connect": limit, "read": limit, "write": limit, "pool": limit}
