"""An end for each attempt: one whose pieces all come in time may still never end."""

from __future__ import annotations

import math
from typing import Final

import anyio

from dialogkit._core.http import failure
from dialogkit._core.http.transport import Answer, Engine, Request, Transport

ATTEMPT: Final = 10
"""An attempt as a whole ends after so many times its timeout."""


class Bounded:
    """A transport whose attempts end in time, until the answer is read; one that is handed on as a stream goes on.

    Args:
        inner: Sends the requests.
    """

    __slots__ = ("_inner",)

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    async def send(self, request: Request, timeout: float) -> Answer:  # noqa: ASYNC109 - for each step
        """Send `request`; the answer's body is not read yet."""
        if timeout == math.inf:
            return await self._inner.send(request, timeout)
        until = anyio.current_time() + ATTEMPT * timeout
        with anyio.CancelScope(deadline=until):
            answer = await self._inner.send(request, timeout)
            answer.until = until
            return answer
        raise failure.NO_END_IN_TIME.told()


class BoundedEngine(Bounded):
    """The same of an engine of the house.

    Args:
        engine: Sends the requests.
    """

    __slots__ = ("_engine",)

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._engine = engine

    @property
    def own_timeout(self) -> float | None:
        """Seconds that the engine's client was told to wait for an answer, if it was told."""
        timeout: float | None = getattr(self._engine, "own_timeout", None)
        return timeout

    async def aclose(self) -> None:
        """Close all connections."""
        await self._engine.aclose()
