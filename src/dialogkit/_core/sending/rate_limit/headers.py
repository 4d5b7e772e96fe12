"""What an answer's headers tell of the platform's limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dialogkit._core.sending.dates import now_by
from dialogkit._core.sending.rate_limit import Allowance

_MOST_DIGITS: Final = 12
"""Longer numbers are no counts of requests and no times."""
_LONGEST: Final = 40 * 86_400.0
"""Seconds; nobody counts by more than a month."""


@dataclass(frozen=True, kw_only=True)
class RateLimitHeaders:
    """In which headers a platform tells of one of its limits; all names in lower case."""

    limit: str
    remaining: str
    per: float | None = None
    """Seconds in which the limit holds, unless a header says so."""
    per_milliseconds: str | None = None
    """The header that says in how many milliseconds the limit holds."""
    resets_at: str | None = None
    """The header that says, in Unix seconds, when all of it is there again."""

    def names(self) -> tuple[str, ...]:
        """Return all header names."""
        optional = (name for name in (self.per_milliseconds, self.resets_at) if name is not None)
        return (self.limit, self.remaining, *optional)


class HeaderReader:
    """Reads what answers tell of the limits, and believes nothing that cannot be.

    Args:
        sources: Where the platform tells of its limits.
    """

    __slots__ = ("_names", "_sources")

    def __init__(self, sources: Sequence[RateLimitHeaders] = ()) -> None:
        self._sources = tuple(sources)
        names = {name for source in sources for name in source.names()}
        self._names = tuple((name.encode(), name) for name in sorted(names | {"date"})) if names else ()

    def read(self, fields: Mapping[bytes, bytes]) -> tuple[Allowance, ...]:
        """Return what the headers of an answer tell.

        Args:
            fields: Names, in lower case, and values as they came.
        """
        found = {name: value.decode("latin-1") for raw, name in self._names if (value := fields.get(raw)) is not None}
        told = (_allowance(source, found) for source in self._sources)
        return tuple([each for each in told if each is not None])


def _allowance(source: RateLimitHeaders, headers: Mapping[str, str]) -> Allowance | None:
    limit = _whole(headers.get(source.limit))
    remaining = _whole(headers.get(source.remaining))
    per = source.per
    if source.per_milliseconds is not None:
        milliseconds = _whole(headers.get(source.per_milliseconds))
        per = None if milliseconds is None else milliseconds / 1000
    if per is None or limit is None or remaining is None or limit < 1 or remaining > limit or not 0 < per <= _LONGEST:
        return None
    resets_in = None if source.resets_at is None else _seconds_until(headers.get(source.resets_at), headers.get("date"))
    if resets_in is not None and resets_in > per:  # a clock that is wrong, or another unit
        resets_in = None
    return Allowance(limit=limit, per=per, remaining=remaining, resets_in=resets_in)


def _seconds_until(reset: str | None, date: str | None) -> float | None:
    """Return seconds from the platform's own time until `reset`."""
    at = _whole(reset)
    if at is None:
        return None
    seconds = at - now_by(date).timestamp()
    return seconds if seconds >= 0 else None


def _whole(text: str | None) -> int | None:
    if text is None or len(text) > _MOST_DIGITS or not (text.isascii() and text.isdigit()):
        return None
    return int(text)
