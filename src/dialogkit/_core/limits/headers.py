"""What an answer's headers tell of the platform's limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from dialogkit._core.limits.terms import Allowance
from dialogkit._core.support.dates import now_by

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


class HeaderReader:
    """Reads what answers tell of the limits, and believes nothing that cannot be.

    Args:
        sources: Where the platform tells of its limits.
    """

    __slots__ = ("_sources",)

    def __init__(self, sources: Sequence[RateLimitHeaders] = ()) -> None:
        self._sources = tuple(map(_Source.of, sources))

    def read(self, fields: Mapping[bytes, bytes]) -> tuple[Allowance, ...]:
        """Return what the headers of an answer tell.

        Args:
            fields: Names, in lower case, and values as they came.
        """
        told = [_allowance(source, fields) for source in self._sources if source.limit in fields]
        return tuple([each for each in told if each is not None])


class _Source(NamedTuple):
    """A `RateLimitHeaders` in the bytes that answers have."""

    limit: bytes
    remaining: bytes
    per: float | None
    per_milliseconds: bytes | None
    resets_at: bytes | None

    @classmethod
    def of(cls, source: RateLimitHeaders) -> _Source:
        milliseconds, resets_at = source.per_milliseconds, source.resets_at
        return cls(
            source.limit.encode(),
            source.remaining.encode(),
            source.per,
            None if milliseconds is None else milliseconds.encode(),
            None if resets_at is None else resets_at.encode(),
        )


def _allowance(source: _Source, fields: Mapping[bytes, bytes]) -> Allowance | None:
    limit = _whole(fields.get(source.limit))
    remaining = _whole(fields.get(source.remaining))
    per = source.per
    if source.per_milliseconds is not None:
        milliseconds = _whole(fields.get(source.per_milliseconds))
        per = None if milliseconds is None else milliseconds / 1000
    if per is None or limit is None or remaining is None or limit < 1 or remaining > limit or not 0 < per <= _LONGEST:
        return None
    resets_in = None if source.resets_at is None else _seconds_until(fields.get(source.resets_at), fields.get(b"date"))
    if resets_in is not None and resets_in > per:  # a clock that is wrong, or another unit
        resets_in = None
    return Allowance(limit, per, remaining, resets_in)


def _seconds_until(reset: bytes | None, date: bytes | None) -> float | None:
    """Return seconds from the platform's own time until `reset`."""
    at = _whole(reset)
    if at is None:
        return None
    seconds = at - now_by(None if date is None else date.decode("latin-1")).timestamp()
    return seconds if seconds >= 0 else None


def _whole(text: bytes | None) -> int | None:
    return None if text is None or len(text) > _MOST_DIGITS or not text.isdigit() else int(text)
