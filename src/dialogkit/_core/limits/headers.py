"""What an answer's headers tell of the platform's limits, and what of it is believed.

Everything here comes from strangers. A number is taken when it can be what its header says it is; another one is
ignored, which the log says once, as a platform that changes its units should not go unnoticed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from dialogkit._core.limits.terms import LONGEST_WINDOW, Allowance
from dialogkit._core.support.callbacks import logger
from dialogkit._core.support.dates import http_date, now_by
from dialogkit._core.support.printing import printable

_MOST_DIGITS: Final = 12
"""Longer numbers are no counts of requests and no times."""
_LONGEST_SHOWN: Final = 40
_SECONDS: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{0,15})?")


class Doubts:
    """What was told and not believed; of each header that is said once."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: set[str] = set()

    def ignored(self, header: str, value: str) -> None:
        """Log that the value of a header makes no sense, unless that has been said of the header before."""
        if header not in self._known:
            self._known.add(header)
            logger.warning(
                "The header %s has a value that makes no sense, %r: it is ignored, this time and whenever that happens",
                header,
                printable(value[:_LONGEST_SHOWN]),
            )


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
    begins_anew_in_milliseconds: str | None = None
    """The header that says in how many milliseconds the platform begins to count anew, from nothing."""


class HeaderReader:
    """Reads what answers tell of the limits, and believes nothing that cannot be.

    Args:
        sources: Where the platform tells of its limits.
    """

    __slots__ = ("_sources",)

    def __init__(self, sources: Sequence[RateLimitHeaders] = ()) -> None:
        self._sources = tuple(map(_Source.of, sources))

    def read(self, fields: Mapping[bytes, bytes], doubts: Doubts | None = None) -> tuple[Allowance, ...]:
        """Return what the headers of an answer tell.

        Args:
            fields: Names, in lower case, and values as they came.
            doubts: Where to say what is not believed.
        """
        told = [_allowance(source, fields, doubts) for source in self._sources if source.limit in fields]
        return tuple([each for each in told if each is not None])

    def retry_after(self, fields: Mapping[bytes, bytes], doubts: Doubts | None = None) -> float | None:
        """Return the seconds that `Retry-After` names, unless it makes no sense: nobody asks for more than a day."""
        value, date = _text(fields.get(b"retry-after")), _text(fields.get(b"date"))
        if value is None:
            return None
        seconds = seconds_of(value, date)
        if seconds is None or seconds > LONGEST_WINDOW:
            _ignored(doubts, b"retry-after", value)
            return None
        return seconds

    def pause(self, fields: Mapping[bytes, bytes], doubts: Doubts | None = None) -> float | None:
        """Return the seconds that an answer asks to wait which refuses a request for its rate, if it says.

        A day that is spent comes first: nothing can be sent until the next one. Then `Retry-After`; then when that is
        there again of which nothing is left; then the time in which the limit holds, which is what HoopAI's own client
        waits.
        """
        spent = [each for each in self.read(fields, doubts) if each.resets_in and not each.remaining]
        asked = self.retry_after(fields, doubts)
        day = max((each.resets_in or 0.0 for each in spent if each.begins_anew), default=None)
        if day is not None:
            return max(day, asked or 0.0)
        if asked is not None:
            return asked
        intervals = [_interval(source, fields, doubts) for source in self._sources if source.per_milliseconds]
        waits = [each.resets_in for each in spent] or intervals
        return max((wait for wait in waits if wait is not None), default=None)


def seconds_of(value: str, date: str | None) -> float | None:
    """Return the seconds that a `Retry-After` names, as a number or as a date, whether or not they can be meant.

    Args:
        value: What the header says.
        date: The answer's `Date`, by which the other date is read.
    """
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    until = http_date(text)
    return None if until is None else max((until - now_by(date)).total_seconds(), 0.0)


class _Source(NamedTuple):
    """A `RateLimitHeaders` in the bytes that answers have."""

    limit: bytes
    remaining: bytes
    per: float | None
    per_milliseconds: bytes | None
    resets_at: bytes | None
    begins_anew_in_milliseconds: bytes | None

    @classmethod
    def of(cls, source: RateLimitHeaders) -> _Source:
        return cls(
            source.limit.encode(),
            source.remaining.encode(),
            source.per,
            _bytes(source.per_milliseconds),
            _bytes(source.resets_at),
            _bytes(source.begins_anew_in_milliseconds),
        )


def _allowance(source: _Source, fields: Mapping[bytes, bytes], doubts: Doubts | None) -> Allowance | None:
    limit = _whole(source.limit, fields, doubts)
    remaining = _whole(source.remaining, fields, doubts)
    per = source.per if source.per_milliseconds is None else _interval(source, fields, doubts)
    if per is None or limit is None or remaining is None:
        return None
    if limit < 1 or remaining > limit:
        name = source.limit if limit < 1 else source.remaining
        _ignored(doubts, name, _text(fields[name]) or "")
        return None
    resets_in = _resets_in(source, per, fields, doubts)
    return Allowance(
        limit, per, remaining, resets_in, resets_in is not None and source.begins_anew_in_milliseconds is not None
    )


def _resets_in(source: _Source, per: float, fields: Mapping[bytes, bytes], doubts: Doubts | None) -> float | None:
    """Return seconds until all of it is there again, if that is said, and can be."""
    name = source.begins_anew_in_milliseconds or source.resets_at
    number = None if name is None else _whole(name, fields, doubts)
    if name is None or number is None:
        return None
    if source.begins_anew_in_milliseconds is not None:
        seconds = number / 1000
    else:  # by the platform's own time
        seconds = number - now_by(_text(fields.get(b"date"))).timestamp()
    if seconds > 2 * per:
        _ignored(doubts, name, str(number))
    return seconds if 0 <= seconds <= per else None  # a clock may be a little wrong


def _interval(source: _Source, fields: Mapping[bytes, bytes], doubts: Doubts | None) -> float | None:
    """Return the seconds in which a limit holds, by its header."""
    name = source.per_milliseconds
    milliseconds = None if name is None else _whole(name, fields, doubts)
    if name is None or milliseconds is None:
        return None
    if not 0 < milliseconds <= LONGEST_WINDOW * 1000:
        _ignored(doubts, name, str(milliseconds))
        return None
    return milliseconds / 1000


def _whole(name: bytes, fields: Mapping[bytes, bytes], doubts: Doubts | None) -> int | None:
    text = fields.get(name)
    if text is None:
        return None
    if len(text) > _MOST_DIGITS or not text.isdigit():
        _ignored(doubts, name, _text(text) or "")
        return None
    return int(text)


def _ignored(doubts: Doubts | None, header: bytes, value: str) -> None:
    if doubts is not None:
        doubts.ignored(header.decode("latin-1"), value)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _bytes(name: str | None) -> bytes | None:
    return None if name is None else name.encode()
