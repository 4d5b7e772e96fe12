"""A sandbox that checks its own answers, without limits and with a clock to turn, and a plain HTTP client for it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from dialogkit.testing import Sandbox
from tests.testing.tools import Clock, client_of


@pytest.fixture(scope="session")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def _server(clock: Clock) -> Iterator[Sandbox]:
    with Sandbox(tier=None, validate_responses=True, upload_limit=1000, clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_server: Sandbox, clock: Clock) -> Sandbox:
    clock.now = Clock.START
    _server.reset()
    return _server


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with client_of(sandbox) as client:
        yield client
