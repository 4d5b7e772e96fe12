"""Making a client loads words, settings and limits; what sends and validates is loaded when it is needed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from types import FunctionType
from typing import get_type_hints

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dialogkit
from dialogkit._core.client import BaseClient, ClientOptions
from dialogkit._core.http.urls import _PLAIN_URL, check_url
from dialogkit._core.support.lazy import LazyModule

CLIENTS = ("HoopAI", "HoverBot", "ConvoAI")
LIBRARIES = """
    aiohttp anyio asyncio cryptography email fastapi httpcore httpx opentelemetry pydantic pydantic_core redis ssl
    starlette trio yarl
"""
OWN = """
    decoding models tolerance sending.arguments sending.encoding sending.failures sending.sender sending.transport
    sending.writing
"""
HEAVY = [
    *LIBRARIES.split(),
    *(f"dialogkit._core.{name}" for name in OWN.split()),
    *(f"dialogkit.{name.lower()}._generated.models" for name in CLIENTS),
]


def run(program: str) -> list[str]:
    """Run a program in a fresh interpreter; `loaded()` tells it which of the heavy modules have come since it began."""
    prelude = (
        "import sys\n"
        "bare = set(sys.modules)\n"
        f"def loaded(heavy={HEAVY!r}):\n"
        "    return sorted(set(heavy) & (sys.modules.keys() - bare))\n"
    )
    done = subprocess.run([sys.executable, "-c", prelude + program], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", CLIENTS)
def test_making_a_client_loads_nothing_heavy(name: str) -> None:
    assert run(
        f"from dialogkit import {name}, CallOptions, RetryPolicy\n"
        f"client = {name}('a-key-of-a-test', retry=RetryPolicy(max_attempts=5), on_retry=print)\n"
        "client.with_options(base_url='https://api.example.com/v2', timeout=5)\n"
        "repr(client), [getattr(client, name) for name in dir(client) if name[0] != '_']\n"
        "print(loaded())\n"
    ) == ["[]"]


@pytest.mark.parametrize("package", ["httpx", "pydantic.main", "dialogkit._core.sending.sender"])
def test_what_is_heavy_is_seen_when_it_comes(package: str) -> None:
    (seen,) = run(f"import {package}\nprint(loaded())\n")
    assert repr(package.partition(".main")[0]) in seen


def test_a_server_loads_what_sends_when_it_starts() -> None:
    """Not in its first request, which would hold up all others."""
    assert run(
        "import asyncio, dialogkit\n"
        "async def main():\n"
        "    async with dialogkit.HoopAI('a-key-of-a-test'):\n"
        "        print('dialogkit._core.sending.sender' in loaded(), 'httpx' in loaded(), 'aiohttp' in loaded())\n"
        "asyncio.run(main())\n"
    ) == ["True True False"]


def test_under_trio_aiohttp_is_never_loaded() -> None:
    assert run(
        "import socket, trio, dialogkit\n"
        "async def main(url):\n"
        "    async with dialogkit.HoopAI('a-key-of-a-test', base_url=url, retry=None) as hoop:\n"
        "        try:\n"
        "            await hoop.conversations.get('c1')\n"
        "        except dialogkit.APIConnectionError as error:\n"
        "            print(error.sent, 'httpx' in loaded(), 'aiohttp' in loaded())\n"
        "with socket.socket() as nobody:\n"
        "    nobody.bind(('127.0.0.1', 0))\n"  # and does not listen
        "    trio.run(main, f'http://127.0.0.1:{nobody.getsockname()[1]}')\n"
    ) == ["False True False"]


def test_a_view_made_before_the_first_call_shares_the_connection() -> None:
    client = dialogkit.HoopAI("a-key-of-a-test")
    view = client.for_location("loc_2").with_options(timeout=5)
    other = view.with_options(http_client=httpx.AsyncClient())
    assert view._connection is client._connection
    assert other._connection is not client._connection
    assert other.for_location("loc_3")._connection is other._connection


FIRST_CALL = """
import asyncio, typing, httpx, pydantic, dialogkit
from dialogkit.hoopai._generated import conversations, models

def reached(kind):
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        yield kind
        kinds = [field.annotation for field in kind.model_fields.values()]
    else:
        kinds = typing.get_args(kind)
    for each in kinds:
        yield from reached(each)

def answer(request):
    return httpx.Response(200, json={"id": "c1", "contactId": "x1", "locationId": "l1"})

async def main():
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    async with dialogkit.HoopAI("a-key-of-a-test", http_client=client, on_drift=lambda drift: None) as hoop:
        assert isinstance(await hoop.conversations.get("c1"), models.Conversation)

asyncio.run(main())
known = [each for each in vars(models).values() if isinstance(each, type) and issubclass(each, pydantic.BaseModel)]
needed = set(reached(conversations.GET_CONVERSATION.result()))
built = [each.__name__ for each in known if each.__pydantic_complete__ and each not in needed]
print(len(needed) < len(known) / 10, built)
"""


def test_the_first_call_builds_only_the_models_that_it_needs() -> None:
    assert run(FIRST_CALL) == ["True []"]


def public_things() -> Iterator[object]:
    yield from (BaseClient, ClientOptions)
    yield from (getattr(dialogkit, name) for name in dialogkit.__all__)


def test_annotations_can_be_read_at_run_time() -> None:
    read = 0
    for thing in public_things():
        for each in (thing, *getattr(thing, "__dict__", {}).values()):
            if isinstance(each, type | FunctionType):
                get_type_hints(each)
                read += 1
    assert read > 200


@given(st.from_regex(_PLAIN_URL, fullmatch=True))
def test_nothing_is_wrong_with_a_url_that_is_not_looked_at(url: str) -> None:
    parsed = check_url(url, allow_insecure=False)
    assert str(parsed).rstrip("/") == url.rstrip("/")
    assert not any((parsed.userinfo, parsed.query, parsed.fragment, parsed.port))


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com",
        "https://u@api.example.com",
        "https://api.example.com:8443",
        "https://api.example.com?a=b",
        "https://api.example.com#f",
        "https://1.2.3.400",
        "https://xn--a.example",
        "https://api.example.com\n",
        "https://api.example.com/..",
        "https://localhost",
    ],
)
def test_every_other_url_is_looked_at(url: str) -> None:
    assert not _PLAIN_URL.fullmatch(url)


@pytest.mark.parametrize("name", CLIENTS)
def test_each_platforms_own_address_is_plain(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(f"{name.upper()}_BASE_URL", raising=False)
    client = getattr(dialogkit, name)("a-key-of-a-test")
    assert _PLAIN_URL.fullmatch(client._settings.base_url)


def test_a_lazy_module_names_itself_and_what_it_lacks() -> None:
    lazy = LazyModule("json.tool")
    assert repr(lazy) == "<lazy module 'json.tool'>"
    with pytest.raises(AttributeError, match=r"json\.tool.*no attribute 'hammer'"):
        _ = lazy.hammer
    assert lazy.main is sys.modules["json.tool"].main
