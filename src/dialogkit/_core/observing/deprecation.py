"""Operations that a platform announces to end: said once each, to the developer and at the line that calls them."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Mapping
from datetime import datetime, timezone
from types import FrameType
from typing import Any, Final

from dialogkit._core.call import Operation
from dialogkit._core.support.dates import http_date

_MOST_REMEMBERED: Final = 1_000
_NO: Final = frozenset({"", "false", "?0", "0"})
_MOMENT: Final = re.compile(r"@(\d{1,11})")
_NOT_CALLERS: Final = frozenset({"dialogkit", "asyncio", "anyio", "trio", "outcome", "concurrent", "threading"})
"""Packages that run a coroutine rather than to write it."""


class Deprecations:
    """Warns once of each operation whose answers say that it is deprecated, or will be. Shared by a client's views."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: set[tuple[str, str]] = set()

    def look(self, platform: str, header: str | None, operation: Operation[Any], headers: Mapping[str, str]) -> None:
        """Warn of `operation` if its answer says so, and it is new.

        Args:
            platform: As users write it.
            header: Where the platform says it; `None` if it never does.
            operation: What was called.
            headers: Those of the answer.

        Raises:
            DeprecationWarning: The user has made warnings errors.
        """
        if header is None or not operation.path.startswith("/"):  # a link leads elsewhere
            return
        value = headers.get(header, "").strip()
        name = (operation.id, operation.path)
        if value.lower() in _NO or name in self._known or len(self._known) >= _MOST_REMEMBERED:
            return
        self._known.add(name)
        message = _message(platform, operation, since=_date(value), until=_date(headers.get("sunset", "")))
        warnings.warn(message, DeprecationWarning, stacklevel=_level(sys._getframe()))  # noqa: SLF001 - as warnings do


def _message(platform: str, operation: Operation[Any], *, since: datetime | None, until: datetime | None) -> str:
    text = f"{operation.id}: {platform} has deprecated {operation.method} {operation.path}"
    if since is not None:
        text += f" as of {since:%Y-%m-%d}"
    if until is not None:
        text += f" and will end it on {until:%Y-%m-%d}"
    return f"{text}. Look into {platform}'s changelog for what replaces it"


def _date(value: str) -> datetime | None:
    """Return the moment that a header names: as RFC 9745 writes it, or as a date."""
    match = _MOMENT.fullmatch(value)
    return http_date(value) if match is None else datetime.fromtimestamp(int(match[1]), timezone.utc)


def _level(frame: FrameType | None) -> int:
    """Return the `stacklevel` of the line that awaits the call.

    Coroutines that await each other stand on one stack. The first frame that is neither ours nor the event loop's is
    the caller's; where a call runs as a task of its own, that is whoever started the loop.
    """
    level = 1
    while frame is not None:
        if str(frame.f_globals.get("__name__")).partition(".")[0] not in _NOT_CALLERS:
            return level
        frame = frame.f_back
        level += 1
    return 1
