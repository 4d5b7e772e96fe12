"""Certificates and proxies from the environment, as httpx reads it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

import httpx
import httpx._utils
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogkit._core.errors import ConfigurationError
from dialogkit._core.http.over_httpx import OwnClient
from dialogkit._core.http.pool import TransportFailure
from dialogkit._core.http.transport import Origin
from tests.support import messages
from tests.support.backends import on_every_backend
from tests.support.messages import Whole, request_of
from tests.support.servers import Server, answer, drop, tunnel

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def once(url: str) -> Whole:
    return await messages.once(request_of("POST", url, headers={"Authorization": "Bearer t"}, content=b"hello"))


async def fail(url: str) -> TransportFailure:
    with pytest.raises(TransportFailure) as caught:
        await once(url)
    return caught.value


@on_every_backend
async def test_a_certificate_of_an_own_authority(
    authority_file: Path, server_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority_file))
    with Server(answer(b"safe"), tls=server_tls) as server:
        assert (await once(server.url)).content == b"safe"
        assert (await once(server.url.replace("127.0.0.1", "localhost"))).content == b"safe"


@on_every_backend
async def test_a_directory_of_certificates(
    authority_file: Path, server_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(authority_file.parent))  # has no hashed names, so nothing is trusted
    with Server(tls=server_tls) as server:
        found = await fail(server.url)
    assert "certificate verify failed" in found.reason
    assert not found.sent


@on_every_backend
async def test_a_certificate_for_another_host(
    authority_file: Path, server_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority_file))
    with Server(tls=server_tls) as server:
        found = await fail(f"https://127.0.0.2:{server.port}/")
        assert server.requests == []
    assert not found.sent


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
@on_every_backend
async def test_an_http_proxy(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(answer(b"forwarded")) as proxy:
        monkeypatch.setenv(variable.lower(), f"http://user:p%40ss@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "exempt.test")
        response = await once("http://api.test/a%2Fb?c=%20")
        (request,) = proxy.requests
    assert response.content == b"forwarded"
    assert request.target == "http://api.test/a%2Fb?c=%20"
    assert request.header("proxy-authorization") == "Basic dXNlcjpwQHNz"
    assert request.header("authorization") == "Bearer t"


@on_every_backend
async def test_a_proxy_for_https(
    authority_file: Path, server_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority_file))
    with Server(answer(b"tunnelled"), tls=server_tls) as server, Server(tunnel) as proxy:
        monkeypatch.setenv("https_proxy", f"user:pass@127.0.0.1:{proxy.port}")
        response = await once(server.url)
        assert response.content == b"tunnelled"
        (connect,) = proxy.requests
        assert (connect.method, connect.target) == ("CONNECT", f"127.0.0.1:{server.port}")
        assert connect.header("proxy-authorization") == "Basic dXNlcjpwYXNz"
        assert connect.header("authorization") is None
        assert server.requests[0].header("proxy-authorization") is None


@on_every_backend
async def test_an_exempt_host(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(answer(b"direct")) as server, Server() as proxy:
        monkeypatch.setenv("all_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert (await once(server.url)).content == b"direct"
        assert proxy.requests == []


@pytest.mark.parametrize("behaviour", [drop, answer(status=407)], ids=["drops", "refuses"])
@on_every_backend
async def test_a_proxy_that_makes_no_tunnel(behaviour: object, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(drop if behaviour is drop else answer(status=407)) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        found = await fail("https://api.test/")
        assert all(request.method == "CONNECT" for request in proxy.requests)
    assert not found.timed_out


@on_every_backend
async def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server() as proxy:
        monkeypatch.setenv("all_proxy", proxy.url)
    for url in ("http://api.test/", "https://api.test/"):
        assert not (await fail(url)).sent


@pytest.mark.parametrize(
    ("proxy", "problem"),
    [("ftp://user:hidden@proxy.test", "not understood"), ("socks5://user:hidden@proxy.test", "socksio")],
)
@on_every_backend
async def test_a_proxy_that_cannot_be_used(proxy: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", proxy)
    with pytest.raises(ConfigurationError, match=f"ALL_PROXY cannot be used.*{problem}") as caught:
        await once("http://api.test/")
    assert "hidden" not in str(caught.value)
    assert caught.value.__context__ is None


class Way(httpx.AsyncBaseTransport):
    """Is nothing but the name of a way."""

    def __init__(self, proxy: httpx.Proxy | None) -> None:
        self.proxy = None if proxy is None else str(proxy.url)


def ours(url: str) -> str | None:
    way = OwnClient(Way).transport_for(Origin(httpx.URL(url)))
    assert isinstance(way, Way)
    return way.proxy


def theirs(url: str) -> str | None:
    """Return the proxy that httpx's own client would choose."""
    mounts = {
        pattern: Way(None if proxy is None else httpx.Proxy(proxy))
        for pattern, proxy in httpx._utils.get_environment_proxies().items()
    }
    way = httpx.AsyncClient(transport=Way(None), mounts=mounts)._transport_for_url(httpx.URL(url))
    assert isinstance(way, Way)
    return way.proxy


# What httpx understands, too: it knows no networks.
hosts = st.sampled_from(["*", "localhost", "LOCALHOST", "a.test", ".a.test", "10.0.0.1", "::1", "http://b.test", ""])
proxies = st.sampled_from(["", "proxy.test:3128", "http://proxy.test", "socks5://proxy.test"])
URLS = [
    f"{scheme}://{host}"
    for scheme in ("http", "https")
    for host in ("localhost", "a.test", "b.a.test", "ba.test", "b.test", "10.0.0.1:8080", "[::1]:8080", "A.TEST")
]


@given(
    st.fixed_dictionaries(
        {}, optional={"http": proxies, "https": proxies, "all": proxies, "no": st.lists(hosts).map(" ,".join)}
    )
)
def test_the_environment_is_read_as_httpx_reads_it(environment: Mapping[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(f"{name}_proxy", value)
        for url in URLS:
            assert ours(url) == theirs(url), url


@pytest.mark.parametrize(
    ("entries", "url", "exempt"),
    [
        ("10.0.0.0/8", "https://10.9.8.7", True),
        ("10.0.0.0/8", "https://11.0.0.1", False),
        ("fe80::/10", "https://[fe80::1]:8443", True),
        ("[fd00::]/8", "https://[fd00:1::2]", True),
        ("[::1]", "https://[::1]", True),
        ("[::1]:8080", "https://[::1]:8080", True),
        ("[::1]:8080", "https://[::1]:9090", False),
        ("10.0.0.0/8", "https://ten.test", False),
        ("a.test:8443", "https://a.test:8443", True),
        ("a.test:8443", "https://a.test", False),
        ("*.a.test", "https://b.a.test", True),
        ("bücher_.example", "https://a.test", False),
        ("a b, [oops, http://, 1.2.3.4/99, :::, a.test", "https://a.test", True),
    ],
)
def test_exemptions_that_httpx_does_not_know(
    entries: str, url: str, exempt: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.test:3128")
    monkeypatch.setenv("no_proxy", entries)
    assert ours(url) == (None if exempt else "http://proxy.test:3128")


def test_an_entry_that_nobody_understands_is_said_and_harms_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.test:3128")
    monkeypatch.setenv("no_proxy", "10.0.0.0/99,a.test")
    assert ours("https://a.test") is None
    assert [record.getMessage()[:25] for record in caplog.records] == ["NO_PROXY: '10.0.0.0/99' i"]


@given(st.text(max_size=30))
def test_whatever_stands_in_the_environment_is_read(entry: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dialogkit._core.http.proxies.getproxies", lambda: {"no": entry, "all": "http://proxy.test"})
        assert ours("https://somewhere.test") in {None, "http://proxy.test"}
