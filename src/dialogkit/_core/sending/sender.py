"""The one place where a call becomes an answer."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import anyio

from dialogkit._core.call import Call
from dialogkit._core.files.downloads import ByteStream
from dialogkit._core.http.pool import Connection
from dialogkit._core.sending.encoding import Encoded, encode, encode_link, with_checked_options
from dialogkit._core.sending.exchange import Exchange
from dialogkit._core.sending.settings import Settings

T = TypeVar("T")


class Sender:
    """Turns calls into answers: it opens an `Exchange` for each, which does the rest.

    Args:
        settings: What the client was told.
        connection: Where requests go.
        clock: Seconds on a clock that never goes back.
        sleep: Waits for so many seconds on the same clock.
    """

    __slots__ = ("_clock", "_connection", "_settings", "_sleep")

    def __init__(
        self,
        settings: Settings,
        connection: Connection,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = anyio.sleep,
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._clock = clock
        self._sleep = sleep

    def call(self, call: Call[T], /) -> Coroutine[Any, Any, T]:
        """Send `call` and return its decoded result.

        An answer of bytes is returned open, once it begins; the deadline covers the time until then.

        Raises:
            DialogkitError: See `dialogkit._core.errors`.
        """
        if call.options is not None:
            call = with_checked_options(call)
        return self._exchange(call, encode(call, self._settings)).result()

    def fetch(self, url: str) -> Coroutine[Any, Any, ByteStream]:
        """Send a GET to a complete URL, without credential, version or limits, and return its answer as it begins.

        Raises:
            DialogkitError: See `dialogkit._core.errors`.
        """
        encoded = encode_link(url, allow_insecure=self._settings.allow_insecure)
        return self._exchange(Call(encoded.operation), encoded).result()

    def _exchange(self, call: Call[Any], encoded: Encoded) -> Exchange:
        return Exchange(
            call,
            encoded,
            settings=self._settings,
            connection=self._connection,
            clock=self._clock,
            sleep=self._sleep,
            client=self,
        )
