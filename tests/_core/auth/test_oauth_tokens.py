"""OAuth 2.0 when all is well: whose token, which token, and when it is renewed."""

from __future__ import annotations

import base64
import copy
import hashlib
import logging
import pickle
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx
import pytest

from dialogkit import AuthContext, AuthenticationError, ConfigurationError, MemoryTokenStore, Token, TokenError
from dialogkit._core.auth import keeper
from tests._core.auth.authority import (
    CLIENT_SECRET,
    LIFE,
    Authority,
    ToyOAuth2,
    WatchedStore,
    auth_of,
    call,
    client_of,
)
from tests.support.backends import on_every_backend

HERE = "loc_1"


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_LOOKS", (0.0, 0.0))


def store_of(authority: Authority, *accounts: str, life: float = LIFE) -> WatchedStore:
    return WatchedStore({account: authority.issue(account, life=life) for account in accounts})


@on_every_backend
async def test_a_good_token_is_used_as_it_is() -> None:
    authority = Authority()
    client = client_of(authority, auth_of(authority, store_of(authority, HERE)))
    await call(client, 10)
    assert authority.served == [(HERE, HERE)] * 10
    assert authority.forms == []


@on_every_backend
async def test_50_calls_with_an_expired_token_make_one_refresh() -> None:
    authority = Authority()
    store = store_of(authority, HERE, life=-1)
    client = client_of(authority, auth_of(authority, store))
    await call(client, 50)
    assert authority.served == [(HERE, HERE)] * 50
    assert authority.refused == 0
    assert [form["grant_type"] for form in authority.forms] == ["refresh_token"]
    assert authority.forms[0]["user_type"] == "Location"
    await call(client, 50)
    assert len(authority.forms) == len(store.puts) == 1


@on_every_backend
async def test_50_calls_with_a_refused_token_make_one_refresh() -> None:
    authority = Authority()
    store = store_of(authority, HERE)
    old = await store.get(HERE)
    assert old is not None
    authority.revoke(old)
    client = client_of(authority, auth_of(authority, store))
    await call(client, 50)
    assert authority.served == [(HERE, HERE)] * 50
    assert authority.refused <= 50
    assert authority.refreshes == 1


@on_every_backend
async def test_a_call_never_gets_the_token_of_another_location() -> None:
    authority = Authority()
    locations = [f"loc_{number}" for number in range(10)]
    store = store_of(authority, *locations, life=-1)
    client = client_of(authority, auth_of(authority, store))
    async with anyio.create_task_group() as group:
        for _ in range(10):
            for location in locations:
                group.start_soon(partial(call, client, location_id=location))
    assert len(authority.served) == 100
    assert all(named == whose for named, whose in authority.served)
    assert authority.refreshes == len(locations)
    assert sorted(key for key, _ in store.puts) == locations
    assert all(token.location_id == key for key, token in store.puts)


@on_every_backend
async def test_a_view_for_another_location_has_its_token() -> None:
    authority = Authority()
    client = client_of(authority, auth_of(authority, store_of(authority, HERE, "loc_2")))
    await call(client.with_options(location_id="loc_2"))
    assert authority.served == [("loc_2", "loc_2")]


@on_every_backend
async def test_calls_go_on_with_a_good_token_while_it_is_renewed() -> None:
    authority = Authority()
    authority.gate = anyio.Event()
    store = store_of(authority, HERE, life=200)
    client = client_of(authority, auth_of(authority, store, refresh_before=300))
    await call(client, 5)
    await authority.was_asked()
    await call(client, 5)
    assert len(authority.served) == 10
    assert store.puts == []
    authority.gate.set()
    await drained(client)
    authority.clock.now += 201
    await call(client, 5)
    assert authority.refused == 0
    assert authority.refreshes == len(store.puts) == 1


@on_every_backend
async def test_a_token_that_lives_shortly_is_not_renewed_at_every_call() -> None:
    authority = Authority()
    authority.more = {"expires_in": 60}
    client = client_of(authority, auth_of(authority, store_of(authority, HERE, life=-1)))
    for _ in range(5):
        await call(client)
    assert authority.refreshes == 1
    authority.clock.now += 31
    await call(client)
    await drained(client)
    assert authority.refreshes == 2


async def drained(client: Any) -> None:
    await client._settings.auth.drain()


@on_every_backend
async def test_the_next_refresh_token_is_stored_before_the_new_token_is_used() -> None:
    authority = Authority()
    store = store_of(authority, HERE, life=-1)
    stored, hold = anyio.Event(), anyio.Event()

    async def before() -> None:
        stored.set()
        await hold.wait()

    store.before_put = before
    client = client_of(authority, auth_of(authority, store))
    async with anyio.create_task_group() as group:
        group.start_soon(call, client, 5)
        await stored.wait()
        group.start_soon(call, client, 5)
        await anyio.wait_all_tasks_blocked()
        assert authority.served == []
        hold.set()
    assert len(authority.served) == 10


@on_every_backend
async def test_what_another_process_has_stored_is_used_without_a_refresh() -> None:
    authority = Authority()
    store = store_of(authority, HERE, life=100)
    client = client_of(authority, auth_of(authority, store, refresh_before=0))
    await call(client)
    authority.clock.now += 101
    store.steal(HERE, authority.issue(HERE))
    await call(client, 10)
    assert len(authority.served) == 11
    assert authority.forms == []


@on_every_backend
async def test_a_refused_token_is_looked_up_before_it_is_renewed() -> None:
    authority = Authority()
    store = store_of(authority, HERE)
    client = client_of(authority, auth_of(authority, store))
    await call(client)
    old = await store.get(HERE)
    assert old is not None
    authority.revoke(old)
    store.steal(HERE, authority.issue(HERE))
    await call(client)
    assert (authority.refused, len(authority.served), authority.forms) == (1, 2, [])


@on_every_backend
async def test_a_new_token_that_is_refused_is_not_renewed_again() -> None:
    authority = Authority()
    store = store_of(authority, HERE, life=-1)
    client = client_of(authority, auth_of(authority, store))
    await call(client)
    authority.valid.clear()
    for _ in range(3):
        with pytest.raises(AuthenticationError):
            await client.things.list()
    assert authority.refreshes == 1
    authority.clock.now += 61
    await client.things.list()
    assert authority.refreshes == 2


@on_every_backend
async def test_a_token_that_is_refused_for_ever_is_repeated_once() -> None:
    authority = Authority()
    authority.behaviours = [httpx.Response(200, json={"access_token": "worth-nothing", "refresh_token": "next-one"})]
    store = store_of(authority, HERE, life=-1)
    client = client_of(authority, auth_of(authority, store))
    with pytest.raises(AuthenticationError):
        await client.things.list()
    assert (authority.refused, authority.refreshes) == (1, 1)


@on_every_backend
@pytest.mark.parametrize("more", [{"expires_in": None}, {"expires_in": -1}, {"expires_in": "soon"}, {"expires_in": {}}])
async def test_an_answer_that_does_not_say_when_it_expires_is_kept(more: dict[str, Any]) -> None:
    authority = Authority()
    authority.more = more
    store = store_of(authority, HERE, life=-1)
    client = client_of(authority, auth_of(authority, store))
    await call(client, 5)
    new = await store.get(HERE)
    assert new is not None
    assert new.expires_at is None
    assert new.refresh_token in authority.grants
    assert authority.refreshes == 1


@on_every_backend
async def test_seconds_as_text_and_a_refresh_token_that_stays() -> None:
    authority = Authority()
    answer = {"access_token": "new-access", "expires_in": "60"}
    authority.behaviours = [httpx.Response(200, json=answer)]
    authority.valid["new-access"] = (HERE, authority.clock.now + 60)
    store = store_of(authority, HERE, life=-1)
    old = await store.get(HERE)
    assert old is not None
    await call(client_of(authority, auth_of(authority, store)))
    new = await store.get(HERE)
    assert new == Token("new-access", old.refresh_token, authority.clock.now + 60, None, HERE, "company_1")


@on_every_backend
async def test_an_agency_gets_tokens_for_its_locations() -> None:
    authority = Authority()
    store = store_of(authority, "company_1", life=-1)
    client = client_of(authority, auth_of(authority, store, company_id="company_1"))
    async with anyio.create_task_group() as group:
        group.start_soon(call, client, 20)
        group.start_soon(call, client.with_options(location_id="loc_2"), 20)
    assert sorted(set(authority.served)) == [(HERE, HERE), ("loc_2", "loc_2")]
    assert authority.refused == 0
    assert len(authority.forms) == 3
    assert authority.forms[0]["user_type"] == "Company"
    wanted = [{"companyId": "company_1", "locationId": each} for each in (HERE, "loc_2")]
    assert sorted(authority.forms[1:], key=lambda form: form["locationId"]) == wanted
    derived = await store.get(HERE)
    assert derived is not None
    assert derived.refresh_token is None
    authority.clock.now += LIFE - 1  # both near their end, and not renewable by themselves
    await call(client)
    await drained(client)
    assert len(authority.forms) == 5


@on_every_backend
async def test_an_agency_whose_token_is_refused_renews_it_once() -> None:
    authority = Authority()
    store = store_of(authority, "company_1")
    old = await store.get("company_1")
    assert old is not None
    authority.revoke(old)
    client = client_of(authority, auth_of(authority, store, company_id="company_1"))
    await call(client, 10)
    assert len(authority.served) == 10
    assert [form.get("grant_type", "location") for form in authority.forms] == ["location", "refresh_token", "location"]


@on_every_backend
async def test_a_location_that_lost_its_own_token_gets_one_from_its_agency() -> None:
    authority = Authority()
    store = store_of(authority, "company_1")
    spent = authority.issue(HERE, life=-1)
    assert spent.refresh_token is not None
    del authority.grants[spent.refresh_token]
    store.steal(HERE, spent)
    await call(client_of(authority, auth_of(authority, store, company_id="company_1")))
    assert authority.served == [(HERE, HERE)]


@on_every_backend
async def test_a_code_becomes_a_token_in_the_store() -> None:
    authority = Authority()
    authority.grants |= {"code-of-loc-2": "loc_2", "code-of-company": "company_1"}
    store = WatchedStore()
    auth = auth_of(authority, store)
    client = client_of(authority, auth)
    token = await auth.exchange(
        client, code="code-of-loc-2", redirect_uri="https://app.example/cb", code_verifier="v" * 43
    )
    assert (token.location_id, token.expires_at) == ("loc_2", authority.clock.now + LIFE)
    assert authority.forms[0] == {
        "client_id": "client-1",
        "client_secret": CLIENT_SECRET,
        "grant_type": "authorization_code",
        "user_type": "Location",
        "code": "code-of-loc-2",
        "redirect_uri": "https://app.example/cb",
        "code_verifier": "v" * 43,
    }
    assert (await auth.exchange(client, code="code-of-company")).company_id == "company_1"
    assert [key for key, _ in store.puts] == ["loc_2", "company_1"]
    await call(client, location_id="loc_2")
    assert authority.served == [("loc_2", "loc_2")]


@on_every_backend
async def test_a_code_that_is_spent() -> None:
    authority = Authority()
    auth = auth_of(authority, MemoryTokenStore())
    with pytest.raises(
        TokenError, match=r"exchange: the code brought no token: the code has expired, or was"
    ) as caught:
        await auth.exchange(client_of(authority, auth), code="spent-code-123456")
    assert "spent-code" not in str(caught.value)
    assert (caught.value.status, caught.value.code) == (400, "invalid_grant")


@on_every_backend
async def test_a_code_of_an_endpoint_that_names_nobody() -> None:
    authority = Authority()
    authority.grants["code"] = authority.grants["code2"] = "loc_2"
    authority.more = {"locationId": None, "companyId": None}
    auth = auth_of(authority, store := MemoryTokenStore())
    with pytest.raises(TokenError, match="pass location_id="):
        await auth.exchange(client_of(authority, auth), code="code")
    await auth.exchange(client_of(authority, auth), code="code2", location_id="loc_9")
    assert await store.get("loc_9") is not None


@on_every_backend
async def test_the_token_endpoint_may_be_elsewhere() -> None:
    authority = Authority()
    store = store_of(authority, HERE, life=-1)
    hosts: list[str] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        hosts.append(f"{request.url}")
        return await authority(request)

    transport = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    auth = auth_of(authority, store, token_url="https://login.example/v1/token?tenant=5")
    await call(client_of(authority, auth, http_client=transport))
    assert hosts[0] == "https://login.example/v1/token?tenant=5"
    insecure = auth_of(authority, store_of(authority, HERE, life=-1), token_url="http://login.example/token")
    with pytest.raises(TokenError, match="not encrypted"):
        await call_one(client_of(authority, insecure))


async def call_one(client: Any) -> None:
    await client.things.list()


def test_where_users_authorise() -> None:
    auth = ToyOAuth2("client-1", CLIENT_SECRET)
    request = auth.authorization_request(
        redirect_uri="https://app.example/cb?a=1", scope=["a.read", "b/c.write"], parameters={"mode": "self"}
    )
    url = urlsplit(request.url)
    query = {name: value for name, (value,) in parse_qs(url.query, strict_parsing=True).items()}
    assert f"{url.scheme}://{url.netloc}{url.path}" == "https://toy.example/authorize"
    assert request.code_verifier is not None
    digest = hashlib.sha256(request.code_verifier.encode()).digest()
    assert query == {
        "mode": "self",
        "response_type": "code",
        "client_id": "client-1",
        "redirect_uri": "https://app.example/cb?a=1",
        "scope": "a.read b/c.write",
        "state": request.state,
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
    }
    assert 43 <= len(request.code_verifier) <= 128
    assert request.state not in repr(request)
    other = auth.authorization_request(redirect_uri="x", scope="a b", pkce=False)
    assert other.code_verifier is None
    assert "code_challenge" not in other.url
    assert "scope=a+b" in other.url
    assert other.state != request.state
    elsewhere = ToyOAuth2("client-1", CLIENT_SECRET, authorize_url="https://login.example/a?b=c")
    assert elsewhere.authorization_request(redirect_uri="x", scope="a").url.startswith("https://login.example/a?b=c&")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"client_id": ""}, "client_id"),
        ({"client_secret": " "}, "client_secret"),
        ({"user_type": "Agency"}, "user_type"),
        ({"refresh_before": -1}, "refresh_before"),
        ({"refresh_timeout": 0}, "refresh_timeout"),
        ({"token_url": "login.example"}, "https://"),
        ({"token_url": "https://a:b@login.example/"}, "token_url"),
        ({"authorize_url": "https://login.example/#a"}, "authorize_url"),
        ({"token_url": "https://login.example/{a}"}, "token_url"),
    ],
)
def test_what_makes_no_sense(wrong: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"client_id": "client-1", "client_secret": CLIENT_SECRET, **wrong}
    with pytest.raises(ConfigurationError, match=words) as caught:
        ToyOAuth2(**given)
    assert CLIENT_SECRET not in str(caught.value)


async def test_a_call_about_no_location() -> None:
    authority = Authority()
    client = client_of(authority, auth_of(authority, MemoryTokenStore()), location_id=None)
    with pytest.raises(ConfigurationError, match="get_thing: no token can be chosen, as it is about no location"):
        await client.things.get("t1")
    agency = auth_of(authority, store_of(authority, "company_1"), company_id="company_1")
    await client_of(authority, agency, location_id=None).request("GET", "/companies")
    assert authority.served == [("", "company_1")]


async def test_without_a_client() -> None:
    with pytest.raises(ConfigurationError, match="auth= of a client"):
        await ToyOAuth2("client-1", CLIENT_SECRET).headers(AuthContext(operation="get_thing", location_id=HERE))


def test_it_shows_no_secret_and_is_not_copied() -> None:
    auth = ToyOAuth2("client-1", CLIENT_SECRET)
    assert CLIENT_SECRET not in repr(auth) + auth.identity
    assert auth.identity == ToyOAuth2("client-1", "another").identity != ToyOAuth2("client-2", CLIENT_SECRET).identity
    for spread in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            spread(auth)


async def test_the_log_shows_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="dialogkit.bodies")
    authority = Authority()
    store = store_of(authority, HERE, life=-1)
    client = client_of(authority, auth_of(authority, store))
    await call(client)
    authority.clock.now += LIFE + 1
    authority.behaviours = [httpx.Response(503, json={"message": str(authority.grants)})]
    with pytest.raises(TokenError):
        await call_one(client)
    assert '"access_token":"***"' in caplog.text
    assert "client_secret=***" in caplog.text
    secrets = {CLIENT_SECRET, *authority.valid, *(form["refresh_token"] for form in authority.forms)}
    assert len(secrets) == 5
    assert not [secret for secret in secrets if secret in caplog.text]
