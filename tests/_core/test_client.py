from __future__ import annotations

import copy
import inspect
import logging
import pickle
import traceback
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx
import pytest
import respx

from dialogkit._core.auth.bearer import BearerAuth
from dialogkit._core.call import CallOptions
from dialogkit._core.errors import APIStatusError, ConfigurationError, InvalidArgumentError, NotFoundError
from dialogkit._core.events import Drift
from dialogkit._core.files.downloads import Download
from dialogkit._core.limits.memory import MemoryRateLimiter
from dialogkit._core.limits.terms import RateLimit
from dialogkit._core.response import response_info
from tests._core.toy import KEY, Thing, Things, Toy, get_thing, toy


class Recorder:
    """Answers every request with the same, and remembers the requests."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.requests: list[httpx.Request] = []
        self.answers = list(answers) or [httpx.Response(200, json={"id": "t1"})]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answers[min(len(self.requests), len(self.answers)) - 1]


async def test_a_namespace_binds_generated_functions_with_their_signatures() -> None:
    seen = Recorder()
    client = toy(seen)
    thing = await client.things.get("t/1 ü")
    assert isinstance(thing, Thing)
    assert thing.id == "t1"
    assert str(seen.requests[0].url) == "https://toy.example/api/things/t%2F1%20%C3%BC"
    assert "thing_id: 'str'" in str(inspect.signature(Things.get))
    assert Things.get is get_thing


async def test_headers_of_a_plain_call() -> None:
    seen = Recorder()
    await toy(seen).things.get("t1")
    headers = seen.requests[0].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["version"] == "2021-07-28"
    assert headers["accept"] == "application/json"
    assert headers["user-agent"].startswith("dialogkit/")
    assert headers["host"] == "toy.example"
    assert "content-type" not in headers


async def test_response_info_tells_of_the_exchange() -> None:
    client = toy(Recorder(httpx.Response(503), httpx.Response(200, json={"id": "t1"}, headers={"X-Request-Id": "r1"})))
    info = response_info(await client.things.get("t1"))
    assert (info.status, info.request_id, info.attempts) == (200, "r1", 2)
    assert info.headers["x-REQUEST-id"] == "r1"
    assert info.elapsed >= 0


async def test_the_credential_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_API_KEY", "from-the-environment")
    monkeypatch.setenv("TOY_LOCATION_ID", "loc_env")
    seen = Recorder(httpx.Response(200, json={"things": []}))
    client = Toy(http_client=httpx.AsyncClient(transport=httpx.MockTransport(seen)))
    await client.things.list()
    assert seen.requests[0].headers["authorization"] == "Bearer from-the-environment"
    assert seen.requests[0].url.params["locationId"] == "loc_env"


def test_no_credential_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_API_KEY", "")
    with pytest.raises(ConfigurationError, match=r"api_key= .*or set TOY_API_KEY"):
        Toy()


def test_api_key_and_auth_exclude_each_other() -> None:
    with pytest.raises(ConfigurationError, match="not both"):
        Toy(KEY, auth=BearerAuth("another"))


@pytest.mark.parametrize("key", ["", "with blank", "with\nline", "with\x00nul", "schlüssel", " padded"])
def test_a_bad_key_is_refused_without_being_told(key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Toy(key)
    frames = list(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    own = "".join(frame for frame in frames if "in test_" not in frame)
    assert not key.strip() or key not in own


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://toy.example", "not encrypted"),
        ("ftp://toy.example", "https://"),
        ("toy.example", "https://"),
        ("https://user:pw@toy.example", "no user name"),
        ("https://toy.example/?a=b", "no user name"),
        ("https://toy.example:port", "cannot be read"),
    ],
)
def test_an_unsafe_base_url_is_refused(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        Toy(KEY, base_url=url)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("url", [5, ["https://toy.example"], b"https://toy.example"])
def test_a_base_url_that_is_no_text_is_refused(url: Any) -> None:
    with pytest.raises(ConfigurationError, match="https://"):
        Toy(KEY, base_url=url)


@pytest.mark.parametrize(
    "url", ["http://localhost:8080", "http://127.1.2.3", "http://[::1]:80", "https://toy.example/"]
)
def test_a_safe_base_url_is_accepted(url: str) -> None:
    assert repr(Toy(KEY, base_url=url)) == f"Toy(base_url={url!r})"


async def test_a_base_urls_trailing_slash_does_not_double() -> None:
    seen = Recorder(httpx.Response(200, json={"things": []}))
    await toy(seen, base_url="https://toy.example/api/v1/").things.list()
    assert seen.requests[0].url.path == "/api/v1/things/"


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": None},
        {"timeout": True},
        {"deadline": -1},
        {"rate_limit": "fast"},
        {"rate_limit": [1]},
    ],
)
def test_senseless_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        Toy(KEY, **options)  # type: ignore[arg-type]


def test_a_client_tells_where_but_not_who() -> None:
    client = toy(Recorder())
    assert repr(client) == "Toy(base_url='https://toy.example/api', location_id='loc_1')"
    assert repr(client.things) == f"<Things of {client!r}>"


@pytest.mark.parametrize("spread", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_client_cannot_be_copied(spread: object) -> None:
    assert callable(spread)
    with pytest.raises(TypeError, match="with_options"):
        spread(toy(Recorder()))


async def test_a_view_shares_the_pool_and_closes_nothing() -> None:
    seen = Recorder(httpx.Response(200, json={"things": []}))
    client = toy(seen)
    async with client.with_options(location_id="loc_2", timeout=3) as view:
        await view.things.list()
    await client.things.list()
    assert [each.url.params["locationId"] for each in seen.requests] == ["loc_2", "loc_1"]
    assert seen.requests[0].extensions["timeout"]["read"] == 3
    assert view.with_options(timeout=4).with_options(strict=True)._settings.timeout == 4
    await client.aclose()
    await client.aclose()
    with pytest.raises(ConfigurationError, match="closed"):
        await view.things.list()


async def test_a_view_shares_the_limiter() -> None:
    client = toy(Recorder(), rate_limit=RateLimit(1, per=3600))
    await client.things.get("t1")
    with pytest.raises(Exception, match="rate limiter would have to wait"):
        await client.with_options(deadline=5).things.get("t1")


async def test_a_limiter_of_ones_own_and_none_at_all() -> None:
    limiter = MemoryRateLimiter()
    assert toy(Recorder(), rate_limit=limiter)._settings.limiter is limiter
    assert len(toy(Recorder(), rate_limit=limiter)._settings.limits) == 2
    assert toy(Recorder(), rate_limit=None)._settings.limiter is None
    assert toy(Recorder(), rate_limit=[])._settings.limiter is None


async def test_a_views_auth_replaces_the_key() -> None:
    seen = Recorder()
    await toy(seen).with_options(auth=BearerAuth("other-token")).things.get("t1")
    assert seen.requests[0].headers["authorization"] == "Bearer other-token"


async def test_request_reaches_what_no_method_covers() -> None:
    seen = Recorder(httpx.Response(201, json={"a": 1}, headers={"X-Trace-Id": "t9"}))
    answer = await toy(seen).request(
        "post", "/odd/path/", query={"a": [1, None, True], "b": None}, json={"x": None}, headers={"X-Own": "ü"}
    )
    request = seen.requests[0]
    assert str(request.url) == "https://toy.example/api/odd/path/?a=1&a=true"
    assert (request.method, request.content) == ("POST", b'{"x":null}')
    assert request.headers.raw[-2] == (b"x-own", "ü".encode("latin-1")) or "x-own" in request.headers
    assert (answer.status, answer.json(), answer.text) == (201, {"a": 1}, '{"a":1}')
    assert answer.headers["x-trace-id"] == response_info(answer).request_id == answer.info.request_id == "t9"
    assert repr(answer) == "<APIResponse 201: 7 bytes>"


async def test_request_sends_content_as_it_is() -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    seen = Recorder(httpx.Response(204))
    client = toy(seen)
    await client.request("PUT", "/x", content="ü", headers={"Content-Type": "text/plain"})
    assert seen.requests[0].content == "ü".encode()
    assert seen.requests[0].headers["content-type"] == "text/plain"
    await client.request("PUT", "/x", content=stream())
    assert seen.requests[1].headers["transfer-encoding"] == "chunked"


async def test_request_may_leave_the_credential_out() -> None:
    seen = Recorder()
    await toy(seen).request("GET", "/x", authenticated=False, headers={"Authorization": "Basic abc"})
    assert seen.requests[0].headers["authorization"] == "Basic abc"
    await toy(seen).request("GET", "/x", headers={"Authorization": "Basic abc"})
    assert seen.requests[1].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "path", ["x", "//evil.example/x", "https://evil.example", "/a?b", "/a#b", "/a/../b", "/a/%2e%2e/b", "", "/a\\b"]
)
async def test_request_stays_below_the_base_url(path: str) -> None:
    seen = Recorder()
    with pytest.raises(InvalidArgumentError, match="path should"):
        await toy(seen).request("GET", path)
    assert seen.requests == []


async def test_request_errors_are_typed() -> None:
    with pytest.raises(NotFoundError, match="request: Toy answered 404 Not Found to GET /x"):
        await toy(Recorder(httpx.Response(404))).request("GET", "/x")


async def test_request_takes_one_body() -> None:
    with pytest.raises(InvalidArgumentError, match="together with json"):
        await toy(Recorder()).request("POST", "/x", json=1, content=b"x")


async def test_download_sends_no_credential() -> None:
    seen = Recorder(httpx.Response(200, content=b"audio"))
    client = toy(seen)
    url = "https://files.example/a%2Fb/c+d.wav?X-Sig=a%2Fb+c&x=%7B"
    download = client.download(url)
    assert isinstance(download, Download)
    assert await download == b"audio"
    request = seen.requests[0]
    assert str(request.url) == url
    assert set(request.headers) == {"host", "user-agent", "accept", "accept-encoding"}


async def test_a_failed_download_shows_no_signature(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dialogkit")
    with pytest.raises(APIStatusError, match="expired") as caught:
        await toy(Recorder(httpx.Response(403))).download("https://files.example/a?X-Sig=hush")
    assert "hush" not in str(caught.value) + caplog.text


def test_download_refuses_plain_http() -> None:
    with pytest.raises(ConfigurationError, match="not encrypted"):
        toy(Recorder()).download("http://files.example/a")


async def test_differences_are_logged_once_a_place(caplog: pytest.LogCaptureFixture) -> None:
    client = toy(Recorder(httpx.Response(200, json={"things": [{"id": 1}, {"id": 2}]})))
    await client.things.list()
    await client.with_options(timeout=1).things.list()
    assert len([each for each in caplog.records if each.levelno == logging.WARNING]) == 1
    assert "list_things" in caplog.text


async def test_differences_go_to_whoever_asks_for_them() -> None:
    drifts: list[Drift] = []
    client = toy(Recorder(httpx.Response(200, json={"things": [{}]})), on_drift=drifts.append)
    await client.things.list()
    assert [each.location for each in drifts] == ["things[0].id"]


async def test_options_of_one_call() -> None:
    seen = Recorder()
    options = CallOptions(timeout=7, headers={"X-A": "b", "Authorization": "no"}, api_version="v3")
    await toy(seen).things.get("t1", options=options)
    request = seen.requests[0]
    assert request.extensions["timeout"]["connect"] == 7
    assert (request.headers["x-a"], request.headers["version"]) == ("b", "v3")
    assert request.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "header", [("X-A", "a\r\nB: c"), ("X-A", "\u20ac"), ("X A", "a"), ("Host", "evil"), ("X-A", 1)]
)
async def test_headers_cannot_smuggle(header: tuple[str, str]) -> None:
    seen = Recorder()
    with pytest.raises(InvalidArgumentError, match="header"):
        await toy(seen).things.get("t1", options=CallOptions(headers=dict([header])))
    assert seen.requests == []


async def test_respx_works() -> None:
    with respx.mock(using="httpx") as router:
        route = router.get("https://toy.example/api/things/t1").respond(json={"id": "t1"})
        async with Toy(KEY) as client:
            assert (await client.things.get("t1")).id == "t1"
        assert route.called


def _texts(values: Iterable[object]) -> str:
    return " ".join(map(repr, values))


def test_no_part_of_a_client_shows_the_credential() -> None:
    client = toy(Recorder())
    assert KEY not in _texts([client, vars(client), client._settings, client._sender, client._settings.auth])


async def test_a_closed_client_is_not_entered_again() -> None:
    async with toy(Recorder()) as client:
        view = client.with_options(timeout=3)
    for closed in (client, view):
        with pytest.raises(ConfigurationError, match="closed and cannot be entered"):
            await closed.__aenter__()


async def test_the_limiter_can_be_reached() -> None:
    client = toy(Recorder())
    limiter = client.rate_limiter
    assert isinstance(limiter, MemoryRateLimiter)
    await client.with_options(timeout=3).things.get("t1")
    assert len(limiter.snapshot()) == 1
    assert toy(Recorder(), rate_limit=limiter).rate_limiter is client.with_options(timeout=3).rate_limiter
    assert toy(Recorder(), rate_limit=None).rate_limiter is None


async def test_a_mapping_is_taken_for_options() -> None:
    seen = Recorder()
    given: Any = {"timeout": 5, "headers": {"X-Trace": "1"}}
    client = toy(seen)
    await client.things.get("t1", options=given)
    await client.request("GET", "/things", options={"timeout": 7})
    assert [each.extensions["timeout"]["read"] for each in seen.requests] == [5, 7]
    assert seen.requests[0].headers["x-trace"] == "1"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"time_out": 5}, r"options\.time_out .*unknown; did you mean 'timeout'\?"),
        ({"zzz": 5}, r"options\.zzz .*unknown"),
        ({"timeout": -5}, r"options\.timeout"),
        (5, "options .*should be CallOptions or a mapping, not a int"),
    ],
)
async def test_other_options_are_refused(given: Any, words: str) -> None:
    seen = Recorder()
    with pytest.raises(InvalidArgumentError, match=words):
        await toy(seen).things.get("t1", options=given)
    assert seen.requests == []


def test_an_unknown_keyword_names_the_nearest_known_one() -> None:
    given: Any = {"time_out": 5}
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'time_out'; did you mean 'timeout'\?$"):
        Toy(KEY, **given)


UPWARDS = [
    "/a/../b",
    "/a/%2e%2e/b",
    "/a/%2e%2e%2fb",
    "/a/..%2Fb",
    "/a/%252e%252e%252fb",
    "/a/.%2e%5cb",
    "/a/..;x=1/b",
    "/a/%2e",
]


@pytest.mark.parametrize("path", UPWARDS)
async def test_no_path_leads_up(path: str) -> None:
    seen = Recorder()
    with pytest.raises(InvalidArgumentError, match="dots"):
        await toy(seen).request("GET", path)
    with pytest.raises(InvalidArgumentError, match="dots"):
        await toy(seen).things.get(path.removeprefix("/a/"))
    assert seen.requests == []


@pytest.mark.parametrize("path", ["/a/b.c", "/a/...", "/a%2Fb/%25", "/a;b=../c"])
async def test_other_paths_are_sent_as_they_are(path: str) -> None:
    seen = Recorder()
    await toy(seen).request("GET", path)
    assert seen.requests[0].url.raw_path.decode() == f"/api{path}"
