"""Every engine that can carry a request, for tests that must come out alike over each."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from dialogkit._core.http.pool import Connection


def _httpx2_client() -> Any:
    return pytest.importorskip("httpx2").AsyncClient(timeout=None)


_CLIENTS: dict[str, tuple[str, Callable[[], Any] | None]] = {
    "aiohttp": ("asyncio", None),
    "httpx": ("asyncio", lambda: httpx.AsyncClient(timeout=None)),
    "httpx2": ("asyncio", _httpx2_client),
    "trio": ("trio", None),
}
ENGINES = [name for name in _CLIENTS if name != "httpx2" or importlib.util.find_spec("httpx2") is not None]
every_engine = pytest.mark.parametrize("engine", ENGINES)


def backend_of(engine: str) -> str:
    """Return the event loop that an engine works in."""
    return _CLIENTS[engine][0]


@asynccontextmanager
async def connected(engine: str) -> AsyncGenerator[Connection, None]:
    """Open a connection over an engine, and close all of it."""
    make = _CLIENTS[engine][1]
    given = None if make is None else make()
    connection = Connection(given)
    try:
        yield connection
    finally:
        await connection.aclose()
        if given is not None:
            await given.aclose()
