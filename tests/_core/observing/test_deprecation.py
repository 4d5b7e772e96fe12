"""The header by which a platform announces that an operation will end."""

from __future__ import annotations

import asyncio
import inspect
import warnings
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

import dialogkit
from dialogkit import ConvoAI, HoopAI, NotFoundError
from tests.support.backends import on_every_backend
from tests.support.wire import Wire, ignore

SUNSET = {"Deprecation": "@1767225600", "Sunset": "Thu, 31 Dec 2026 23:59:59 GMT"}


def client(wire: Wire, **options: Any) -> ConvoAI:
    return ConvoAI("ck_test_0123456789", http_client=wire.client(), rate_limit=None, on_drift=ignore, **options)


@contextmanager
def heard() -> Generator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught
    assert all(each.category is DeprecationWarning for each in caught)


def here() -> int:
    """Return the number of the line that calls this."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


async def test_it_names_the_operation_and_the_dates_and_points_at_the_line() -> None:
    async with client(Wire({"id": "a1"}, headers=SUNSET)) as convo:
        with heard() as caught:
            line = here() + 1
            await convo.agents.get("a1")
    (warning,) = caught
    assert str(warning.message) == (
        "agents.get: ConvoAI has deprecated GET /agents/{agent_id}/ as of 2026-01-01 and will end it on 2026-12-31. "
        "Look into ConvoAI's changelog for what replaces it"
    )
    assert (warning.filename, warning.lineno) == (__file__, line)


async def test_it_is_said_once_for_each_operation_by_a_client_and_its_views() -> None:
    async with client(Wire({"id": "a1"}, headers=SUNSET)) as convo:
        with heard() as caught:
            for each in (convo, convo.with_options(timeout=5), convo):
                await each.agents.get("a1")
                await each.me.get()
                await each.request("GET", "/agents/a1/logs/")
    said = [str(warning.message).partition(":")[0] for warning in caught]
    assert said == ["agents.get", "me.get", "request"]


@on_every_backend
async def test_lists_point_at_their_loop() -> None:
    async with client(Wire({"results": [{"id": "a1"}]}, headers=SUNSET), deadline=60) as convo:
        with heard() as caught:
            line = here() + 1
            async for agent in convo.agents.list():
                assert agent.id == "a1"
    (warning,) = caught
    assert (warning.filename, warning.lineno) == (__file__, line)


async def test_a_call_that_is_a_task_of_its_own_does_not_point_into_the_library() -> None:
    async with client(Wire({"id": "a1"}, headers=SUNSET)) as convo:
        with heard() as caught:
            await asyncio.gather(convo.me.get(), convo.agents.get("a1"))
    assert len(caught) == 2
    not_callers = [str(Path(inspect.getfile(package)).parent) for package in (asyncio, dialogkit, anyio)]
    for warning in caught:
        assert not warning.filename.startswith(tuple(not_callers))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Deprecation": "true"}, "deprecated GET /me/. Look"),
        ({"deprecation": "Thu, 01 Jan 2026 00:00:00 GMT"}, "deprecated GET /me/ as of 2026-01-01. Look"),
        ({"Deprecation": "?1", "Sunset": "soon"}, "deprecated GET /me/. Look"),
        ({"Deprecation": "@99999999999"}, "deprecated GET /me/ as of 5138-11-16. Look"),
        ({"Deprecation": "@9" * 40}, "deprecated GET /me/. Look"),
        ({"Deprecation": 'version="v1", date="2026"'}, "deprecated GET /me/. Look"),
    ],
)
async def test_whatever_its_form(headers: dict[str, str], expected: str) -> None:
    async with client(Wire(headers=headers)) as convo:
        with heard() as caught:
            await convo.me.get()
    assert expected in str(caught[0].message)


@pytest.mark.parametrize("headers", [{}, {"Deprecation": ""}, {"Deprecation": "false"}, {"Sunset": SUNSET["Sunset"]}])
async def test_nothing_is_said_without_it(headers: dict[str, str]) -> None:
    async with client(Wire(headers=headers)) as convo:
        await convo.me.get()  # a warning would be an error here


async def test_refusals_carry_it_too() -> None:
    async with client(Wire({}, 404, SUNSET)) as convo:
        with heard() as caught, pytest.raises(NotFoundError):
            await convo.agents.get("a1")
    assert len(caught) == 1


async def test_other_platforms_and_links_are_not_looked_at() -> None:
    wire = Wire({"id": "c1"}, headers=SUNSET)
    async with HoopAI("key", location_id="l1", http_client=wire.client(), rate_limit=None, on_drift=ignore) as hoop:
        await hoop.conversations.get("c1")
    async with client(wire) as convo:
        assert await convo.download("https://files.example.com/a") == b'{"id":"c1"}'


async def test_a_warning_that_is_an_error_leaves_the_connection_usable() -> None:
    closed: list[bool] = []

    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"{}"

        async def aclose(self) -> None:
            closed.append(True)

    transport = httpx.MockTransport(lambda request: httpx.Response(200, headers=SUNSET, stream=Body()))
    async with ConvoAI("ck_test_0123456789", http_client=httpx.AsyncClient(transport=transport)) as convo:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(DeprecationWarning, match=r"me\.get"):
                await convo.me.get()
        assert closed == [True]
        await convo.me.get()  # said once
    assert len(closed) == 2
