"""Which URLs a request may go to, the first one and each that an answer leads to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogkit._core.errors import ConfigurationError
from dialogkit._core.http.failure import TransportFailure
from dialogkit._core.http.pool import Connection
from dialogkit._core.http.transport import Answer, Request
from dialogkit._core.http.urls import check_url, next_hop
from tests.support.backends import on_every_backend
from tests.support.messages import request_of

FORMS = ["https://xn--zzzzzzz--.test/", "https://a:99999999999/", "https://a..b/", "https://./", "https://" + "a" * 300]
LOCAL = ["127.0.0.1", "localhost", "LOCALHOST", "localhost.", "a.localhost", "[::1]", "127.1", "0x7f.1", "2130706433"]
LINK_LOCAL = ["169.254.169.254", "[fe80::1]", "[::ffff:a9fe:a9fe]", "0xa9fea9fe"]
INSIDE = [*LOCAL, *LINK_LOCAL, "0.0.0.0", "[::]", "[::ffff:127.0.0.1]"]
HTTPS = "https://api.test/a/b?c=1"


@pytest.mark.parametrize(
    ("url", "location", "there"),
    [
        (HTTPS, "/d", "https://api.test/d"),
        (HTTPS, "d?e#f", "https://api.test/a/d?e#f"),
        (HTTPS, "//files.test/d", "https://files.test/d"),
        (HTTPS, "https:///d", "https://api.test/d"),
        (HTTPS, "https://files.test:8443/d", "https://files.test:8443/d"),
        (HTTPS, "https://10.0.0.1/d", "https://10.0.0.1/d"),
        ("http://api.test/", "http://files.test/", "http://files.test/"),
        ("http://api.test/", "https://files.test/", "https://files.test/"),
        ("http://127.0.0.1:8000/", "http://localhost:9000/", "http://localhost:9000/"),
        ("http://127.0.0.1:8000/", "https://files.test/", "https://files.test/"),
        ("https://localhost/", "https://127.0.0.1/", "https://127.0.0.1/"),
    ],
)
def test_where_an_answer_may_lead(url: str, location: str, there: str) -> None:
    assert str(next_hop(url, location)) == there


@pytest.mark.parametrize(
    ("url", "location"),
    [
        (HTTPS, "http://api.test/a"),
        (HTTPS, "http://127.0.0.1/a"),
        ("https://127.0.0.1/", "http://127.0.0.1/a"),
        ("http://127.0.0.1/", "http://files.test/a"),
        *((HTTPS, f"https://{host}/latest") for host in INSIDE),
        *(("http://api.test/", f"http://{host}:8080/") for host in INSIDE),
        *((HTTPS, f"{scheme}://127.0.0.1/x") for scheme in ("file", "ftp", "gopher", "data", "javascript", "ws")),
        (HTTPS, "https://[oops/"),
        (HTTPS, "https://files.test:99999/"),
        (HTTPS, "https://files.test:-1/"),
        (HTTPS, "https://xn--zzzzzzz--.test/"),
        (HTTPS, "https://" + "a" * 64 + ".test/"),
        (HTTPS, "https://" + "a." * 200 + "test/"),
        (HTTPS, "https://a..test/"),
        (HTTPS, "https://files.test/\r\nX: y"),
        (HTTPS, "https://files.test/\0"),
        (HTTPS, "x" * 100_000),
    ],
)
def test_where_no_request_follows(url: str, location: str) -> None:
    with pytest.raises(TransportFailure, match="the answer leads to") as caught:
        next_hop(url, location)
    assert caught.value.sent
    assert "://" not in caught.value.reason, "what a stranger chose is not quoted"


@given(st.text(max_size=60) | st.text(max_size=60).map("https://".__add__))
def test_whatever_a_server_names_is_a_url_or_a_failure(location: str) -> None:
    try:
        there = next_hop(HTTPS, location)
    except TransportFailure:
        return
    assert there.scheme == "https"
    assert there.host


@given(st.text(max_size=60) | st.text(max_size=60).map("https://".__add__))
def test_whatever_a_user_gives_is_a_url_or_a_configuration_error(url: str) -> None:
    try:
        assert check_url(url, allow_insecure=False).host
    except ConfigurationError:
        return


@pytest.mark.parametrize("url", FORMS)
def test_hosts_and_ports_that_cannot_be_are_told_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        check_url(url, allow_insecure=False)


@on_every_backend
async def test_hops_are_looked_at_on_the_way() -> None:
    class Leading:
        def __init__(self) -> None:
            self.urls: list[str] = []

        async def send(self, request: Request, timeout: float) -> Answer:
            self.urls.append(request.url)
            location = b"https://files.test/" if len(self.urls) == 1 else b"https://169.254.169.254/latest"
            return Answer(302, [(b"Location", location)])

    leading = Leading()
    with pytest.raises(TransportFailure, match="to this machine, or to an address next to it"):
        await Connection(leading).send(request_of("GET", HTTPS), timeout=1)
    assert leading.urls == [HTTPS, "https://files.test/"]
