"""Tests that run under every event loop that the package supports."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec

import anyio
import pytest

P = ParamSpec("P")
BACKENDS = ("asyncio", "trio")


def on_every_backend(test: Callable[P, Awaitable[None]]) -> Callable[..., None]:
    """Make a test of an async function, run once under asyncio and once under trio."""

    @pytest.mark.parametrize("backend", BACKENDS)
    @functools.wraps(test)
    def run(backend: str, *args: P.args, **kwargs: P.kwargs) -> None:
        anyio.run(functools.partial(test, *args, **kwargs), backend=backend)

    signature = inspect.signature(test)
    backend = inspect.Parameter("backend", inspect.Parameter.KEYWORD_ONLY)
    run_: Any = run
    run_.__signature__ = signature.replace(parameters=[*signature.parameters.values(), backend], return_annotation=None)
    return run
