"""The tokens of one window, and why they come back late.

Theory of operation
    A window is a sliding-window log that is kept by the client, in the form of tokens. Invariant: a token is free, in
    flight, or on its way back, and it comes back one window after its request was *settled*.

    A platform counts a request when it arrives, which is some time after the client let it go and before the client
    has its answer. Were a token to come back one window after the request was let go, a request that travelled slowly
    and one that travelled fast could arrive within one window of the platform's clock, and the platform would count
    one too many. Once a request is settled it had surely arrived. Take any two requests that used the same token one
    after the other: the second is let go, and so arrives, at least a window after the first was answered, and so had
    arrived. With `limit` tokens there are thus never more than `limit` arrivals in any window, wherever it begins:
    not in a fixed window of unknown phase, nor in a sliding one. A bucket that holds `limit` tokens and refills
    evenly does not run dry either: in any time t it sees at most limit * (floor(t / per) + 1) arrivals, and it has
    limit * (1 + t / per) tokens to give. The price is one round trip for each window, and the whole allowance is
    there at once after a quiet time.

Clumps
    Remembering when each of 200,000 tokens comes back would take megabytes for each key. Tokens that were settled at
    about the same time come back together, with the last of them: late by a thousandth of a window at most while there
    are few such clumps, by a twentieth when there are many. Under saturation there are few, because tokens that come
    back together are taken together.

What answers tell
    The platform's own count is compared with what it can have counted of ours. All that was outstanding when the
    request was let go, and all that has been taken since, may be in its count, but for what it has refused meanwhile;
    what it counts beyond that, others have used. Tokens of others are missing here until the platform tells anew,
    until its window ends by its own account, or for two windows (but a minute at most). A smaller limit is believed
    for as long, and for a quarter of an hour at least. So nothing that one answer says holds for longer than that,
    but the end of a window that the platform names, which is bounded by the window's length.

The day
    Where the platform says when its window begins anew (a day, by its own midnight), the phase is known, and tokens
    need not stay away for a whole window. Told in an answer whose request was let go at `a` and settled at `b`, that
    it begins anew in `r` seconds, it does so between `a + r` and `b + r`. What was settled before `a + r` was counted
    in the old window, and at `b + r` the new one has begun: then those tokens come back.
"""

from __future__ import annotations

import enum
import math
from array import array
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from dialogkit._core.limits.terms import LONGEST_PAUSE, LONGEST_WINDOW, Allowance, RateLimit

_CLOCK_SKEW: Final = 5e-4
"""Two clocks may run this much apart (clocks that are being set are slewed by at most as much)."""
_CLOCK_GRAIN: Final = 1e-3
_ROUNDING: Final = 1e-6
"""Seconds that do not matter; far less than the grain, so nothing is let through too early."""
_CLUMPS: Final = 32
_FINE: Final = 1 / 1000
_COARSE: Final = 2 / _CLUMPS
_TICKS: Final = 4096
"""In a second. A clump is one number, when it comes back in ticks and how many tokens it has, so that a busy key with
two windows stays below a kilobyte."""
_COUNT_BITS: Final = 22
_MOST_COUNTED: Final = (1 << _COUNT_BITS) - 1
_BELIEVED: Final = 60.0
"""Seconds for which others' use of a longer window is taken for granted: then calls may try."""
_UNLIMITED: Final = 2**62


class Outlook(enum.Enum):
    """What an answer changes for those who wait."""

    WORSE = enum.auto()
    SAME = enum.auto()
    BETTER = enum.auto()


@dataclass(frozen=True, slots=True)
class Extent:
    """What a window is, the same for every key: at most `limit` requests in any `per` seconds."""

    limit: int
    per: float
    name: str
    """What is counted, see `RateLimit.name`."""
    away: float = field(init=False, compare=False)
    """Seconds for which a token stays away after its request was settled."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "away", self.per * (1 + _CLOCK_SKEW) + _CLOCK_GRAIN)


@lru_cache(maxsize=256)
def extents_of(limit: RateLimit) -> tuple[Extent, ...]:
    """Return what must hold for `limit`."""
    return tuple(Extent(count, per, limit.name) for count, per in limit.windows())


class _Told:
    """What the platform told last."""

    __slots__ = ("anew_at", "number", "others", "settled_before", "since", "until")

    def __init__(self, number: int, others: int, since: float, until: float) -> None:
        self.number = number
        self.others = others
        self.since = since
        self.until = until
        """When others' tokens come back."""
        self.anew_at = math.inf
        """When the window begins anew, and our tokens come back that were settled before a moment."""
        self.settled_before = -math.inf

    @property
    def forgotten_at(self) -> float:
        return max(self.until, self.since + LONGEST_PAUSE)


class Window:
    """The tokens of one window for one key.

    Args:
        extent: How many there are, and for how long each stays away.
    """

    __slots__ = ("_began", "_clumps", "_refused", "_returned", "_told", "extent", "held", "limit")

    def __init__(self, extent: Extent) -> None:
        self.extent = extent
        self.limit = extent.limit
        """How many tokens there are: as configured, or less if the platform says so."""
        self.held = 0
        """Tokens that are not free: in flight, or on their way back."""
        self._returned = 0  # how many tokens have ever come back
        self._refused = 0  # how many requests the platform has ever refused, and so did not count
        self._clumps = array("Q")
        self._began = 0.0
        self._told: _Told | None = None

    @classmethod
    def learned(cls, per: float) -> Window:
        """Make a window of which nothing is known but what the platform will tell."""
        return cls(Extent(_UNLIMITED, per, ""))

    def take(self) -> None:
        """Take a token for a request that is about to be sent."""
        self.held += 1

    def give_back(self) -> None:
        """Undo `take`: the request was not sent."""
        self.held -= 1

    def mark(self) -> int:
        """Return what `learn` has to know of the moment in which a request is let go."""
        return self._returned - self._refused

    def settle(self, now: float, *, refused: bool = False) -> None:
        """Send a token on its way back, also if its request was refused: the platform may count that, too."""
        self._refused += refused
        clumps = self._clumps
        at = math.ceil((now + self.extent.away) * _TICKS) << _COUNT_BITS
        count = _MOST_COUNTED
        if clumps:
            count = clumps[-1] & _MOST_COUNTED
            if at < clumps[-1] - count:  # noqa: PLR1730 - on every call's way; its permit was lost, and is settled late
                at = clumps[-1] - count
        if count < _MOST_COUNTED and now - self._began <= self._span(len(clumps)):
            clumps[-1] = at + count + 1
            return
        self._began = now
        clumps.append(at + 1)

    def wait(self, now: float, ahead: int) -> float:
        """Return seconds until a token is free for whoever has `ahead` others before him.

        It is the least that the wait can be: nobody knows when the others go, nor when a token in flight is settled.
        """
        self._expire(now)
        missing = ahead + 1 + self.held - self.limit
        if missing <= 0 and self._told is None:
            return 0.0
        rounds, place = divmod(ahead, self.limit)
        missing += place - ahead + (0 if self._told is None else self._told.others)
        later = rounds * self.extent.away
        if self._told is not None and self._told.anew_at < now + later:
            return self._told.anew_at - now + (rounds - 1) * self.extent.away
        if missing <= 0:
            return later
        for at, count in self._coming():
            missing -= count
            if missing <= 0:
                return at - now + later
        return later + self.extent.away  # the other tokens are in flight

    def free(self, now: float) -> int:
        """Return how many requests could start now."""
        self._expire(now)
        return max(0, self.limit - self.held - (0 if self._told is None else self._told.others))

    def learn(self, told: Allowance, now: float, *, number: int, mark: int, let_go: float) -> Outlook:
        """Narrow the window to what the platform told, and say what that changes for those who wait.

        Args:
            told: What the answer said.
            now: When it came.
            number: The request's place in the order in which requests were let go: older ones tell nothing new.
            mark: What `mark` returned when it was let go.
            let_go: When that was.
        """
        before = self._told
        if before is not None and number < before.number:
            return Outlook.SAME
        limit, others = self.limit, 0 if before is None else before.others
        self.limit = min(self.extent.limit, told.limit)
        ours = self.held + self.mark() - mark
        per = self.extent.per
        until = now + (min(2 * per, _BELIEVED) if told.resets_in is None else min(per, LONGEST_WINDOW, told.resets_in))
        self._told = _Told(number, max(0, told.limit - told.remaining - ours), now, until)
        if told.begins_anew and told.resets_in is not None:
            self._told.anew_at = until
            self._told.settled_before = let_go + (until - now) * (1 - _CLOCK_SKEW)
        lost = self._told.others - others + limit - self.limit
        return Outlook.WORSE if lost > 0 else Outlook.BETTER if lost < 0 else Outlook.SAME

    def is_idle(self, now: float) -> bool:
        """Say whether nothing would be lost if the window were made anew.

        What is known only from answers, the next answer tells again; that nothing is left is worth to be remembered.
        """
        self._expire(now)
        told = self._told
        if told is not None and now < told.until and (now < told.since + _BELIEVED or not self.free(now)):
            return False
        return not self.held or self.is_learned

    def returning(self) -> tuple[tuple[float, int], ...]:
        """Return when tokens come back whose requests are settled, and how many."""
        return tuple(((clump >> _COUNT_BITS) / _TICKS, clump & _MOST_COUNTED) for clump in self._clumps)

    @property
    def is_returning(self) -> bool:
        """Whether any token is on its way back."""
        return bool(self._clumps)

    @property
    def is_learned(self) -> bool:
        """Whether it is known from answers only."""
        return self.extent.limit == _UNLIMITED

    def _span(self, clumps: int) -> float:
        """Return for how many seconds tokens join the newest clump."""
        if clumps < _CLUMPS // 2:
            return self.extent.per * _FINE
        return self.extent.per * _COARSE if self.limit > _CLUMPS else 0.0

    def _expire(self, now: float) -> None:
        told = self._told
        if told is not None:
            if told.anew_at <= now + _ROUNDING:
                self._begin_anew(told.settled_before)
                told.anew_at = math.inf
            if told.until <= now + _ROUNDING:
                told.others = 0
                if told.forgotten_at <= now + _ROUNDING:
                    self.limit = self.extent.limit
                    self._told = None
        clumps = self._clumps
        if clumps:
            reached = (math.floor((now + _ROUNDING) * _TICKS) + 1) << _COUNT_BITS
            while clumps and clumps[0] < reached:
                self._come_back(clumps.pop(0) & _MOST_COUNTED)

    def _begin_anew(self, settled_before: float) -> None:
        """Let the tokens come back that were counted in the window that has ended."""
        clumps = self._clumps
        while clumps and (clumps[0] >> _COUNT_BITS) / _TICKS <= settled_before + self.extent.away:
            self._come_back(clumps.pop(0) & _MOST_COUNTED)

    def _come_back(self, count: int) -> None:
        self.held -= count
        self._returned += count

    def _coming(self) -> list[tuple[float, int]]:
        """Return when tokens come back, and how many."""
        coming = [((clump >> _COUNT_BITS) / _TICKS, clump & _MOST_COUNTED) for clump in self._clumps]
        told = self._told
        if told is not None and told.anew_at < math.inf:
            counted = told.settled_before + self.extent.away
            coming = [(min(at, told.anew_at) if at <= counted else at, count) for at, count in coming]
            coming.append((told.anew_at, self.held - sum(count for _, count in coming)))  # in flight, at the soonest
        if told is not None:
            coming.append((told.until, told.others))
            coming.sort()
        return coming
