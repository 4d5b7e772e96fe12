"""One account's token: kept, renewed by one at a time, and never lost.

Theory of operation. A refresh token works once, so the token after the present one exists in one place only: the answer
that is on its way. Everything here follows from that.

- *One flight at a time.* Whoever finds that the token will not do starts a flight, or waits for the one that is under
  way, in whatever event loop or thread. A flight is nobody's: a caller that is cancelled leaves it alone. Across
  processes the store's lock does the same; without one, a refused refresh token is looked up in the store, where the
  process that used it has put the next one.
- *Stored before used.* A flight ends when the store has the new token. If the store fails, the token is used from
  memory and stored as soon as that works; until then it is `unsaved`, and closing a client waits for it.
- *The store is the truth between flights.* What another process has stored since is adopted, unless what is here is
  newer and not stored yet. `put(expected=...)` decides between two that were renewed at once.
- *States.* Good: calls use the token; near its end a flight starts in the background. Expired or refused: calls wait
  for a flight. Failed: calls fail at once for a pause that doubles, up to half a minute, or as long as the endpoint
  asks, up to five; the first call after it probes. Spent: the refresh token was refused, and is not sent again.
- *A token that was just renewed and is refused all the same* is not renewed again for a minute: the next one would be
  refused, too, and the endpoint is not the place to find out.
- *Elapsed time* is what both clocks agree on. The system's clock may be set, and a machine may sleep; if either clock
  says that a minute is over, it is. So a clock that is set back keeps no token and no pause alive.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, TypeAlias

import anyio

from dialogkit._core.auth.endpoint import Account, Failure
from dialogkit._core.auth.tokens import Token, TokenStore, is_same, lock_of
from dialogkit._core.call import OMIT, Caller, Omit
from dialogkit._core.errors import DialogkitError
from dialogkit._core.support.background import CancelledWorkError, Detached
from dialogkit._core.support.callbacks import logger

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
"""Seconds for which calls fail at once after a token could not be renewed; each time twice as long."""
_LONGEST_ASKED: Final = 300.0
"""Seconds for which a token endpoint can ask to be left alone."""
_STORING: Final = 10.0
"""Seconds that a store may take to keep a token, while calls wait for it."""
_FRESH: Final = 60.0
"""Seconds; a token that is younger and refused all the same would not be followed by a better one."""
_LOOKS: Final = (0.0, 0.1, 0.4, 1.5)
"""Seconds before each look into the store after `invalid_grant`: whoever has used the refresh token is about to store
the next one."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """A call that needs a token."""

    operation: str
    client: Caller = field(repr=False)
    refused: str | None = field(default=None, repr=False)
    """An access token that will not do."""


Renewal: TypeAlias = Callable[[Account, "Token | None", Caller], Awaitable["Token | Failure"]]
"""Asks the platform for the next token after the given one."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What all accounts of an `OAuth2` have in common."""

    store: TokenStore = field(repr=False)
    renew: Renewal = field(repr=False)
    clock: Callable[[], float]
    """Epoch seconds."""
    steady: Callable[[], float]
    """Seconds on a clock that nobody sets."""
    refresh_before: float
    refresh_timeout: float


class _Moment(NamedTuple):
    wall: float
    steady: float

    def until(self, now: _Moment) -> float:
        """Return the seconds that have passed, by the clock that has moved more."""
        return max(abs(now.wall - self.wall), now.steady - self.steady)


_NEVER: Final = _Moment(-math.inf, -math.inf)


class TokenKeeper:
    """Keeps one account's token. Any thread may ask for it.

    Args:
        account: Whose token it is.
        terms: What is common to all accounts.
    """

    __slots__ = (
        "_account",
        "_failed_at",
        "_failure",
        "_failures",
        "_flight",
        "_guard",
        "_kept",
        "_lead",
        "_pause",
        "_received",
        "_renewed_at",
        "_spent",
        "_store_failed_at",
        "_terms",
        "_token",
        "_unsaved",
    )

    def __init__(self, account: Account, terms: Terms) -> None:
        self._account = account
        self._terms = terms
        self._token: Token | None = None
        self._kept: Token | Omit | None = None  # what the store had when last looked; OMIT: it does not matter
        self._unsaved = False  # the token is newer than what the store has
        self._store_failed_at = _NEVER
        self._lead = terms.refresh_before
        self._renewed_at = _NEVER
        self._received = 0  # how often the user has granted a token
        self._spent: str | None = None  # the refresh token that was refused
        self._failure: Failure | None = None
        self._failures = 0
        self._failed_at = _NEVER
        self._pause = 0.0
        self._flight: Detached[Token | Failure] | None = None
        self._guard = threading.Lock()  # held to begin a flight, never while one waits

    async def token(self, demand: Demand) -> Token:
        """Return a token that is good at present, as far as anyone knows.

        While it is, others renew it in the background when its end is near.

        Raises:
            TokenError: There is none.
        """
        while True:
            token = self._token
            if token is not None and self._serves(token, demand):
                self._look_ahead(token, demand)
                return token
            flight, own = self._flight_for(demand)
            try:
                outcome = await flight.result()
            except CancelledWorkError:
                outcome = Failure(reason="the event loop ended meanwhile")
            if isinstance(outcome, Failure):
                raise outcome.error(self._account, demand.operation)
            if own or outcome.access_token != demand.refused:
                self._look_ahead(outcome, demand)
                return outcome

    async def has_better(self, demand: Demand) -> bool:
        """Say whether there is a token other than the one that was refused, renewing it if need be.

        Raises:
            TokenError: It could not be renewed.
        """
        token = self._token
        is_fresh = self._renewed_at.until(self._now()) < _FRESH
        if token is not None and token.access_token == demand.refused and is_fresh:
            return False
        return (await self.token(demand)).access_token != demand.refused

    async def receive(self, token: Token) -> None:
        """Take a token that the user has just granted: it replaces whatever there was."""
        self._kept = OMIT
        self._received += 1
        self._spent = None
        await self._accept(token)
        self._succeeded()

    @property
    def is_renewing(self) -> bool:
        """Whether a flight is under way."""
        return self._under_way() is not None

    @property
    def is_idle(self) -> bool:
        """Whether nothing would be lost with it: no flight is under way, and the store has what is here."""
        return not self._unsaved and not self.is_renewing

    async def drain(self) -> None:
        """Wait for what runs in the background, and store what is not stored yet."""
        if (flight := self._under_way()) is not None:
            with contextlib.suppress(CancelledWorkError):
                await flight.result()
        if self._unsaved and self._token is not None:
            await self._save(self._token)

    def _serves(self, token: Token, demand: Demand) -> bool:
        return token.access_token != demand.refused and not token.expired(now=self._terms.clock())

    def _look_ahead(self, token: Token, demand: Demand) -> None:
        """Begin what has to be done soon, if nobody does it."""
        now = self._now()
        due = token.expired(self._lead, now=now.wall) and not self._pause_left(now)
        if not due and not (self._unsaved and self._store_failed_at.until(now) >= _FIRST_PAUSE):
            return
        with self._guard:
            if self._under_way() is None:
                self._start(demand, ahead=True)

    def _flight_for(self, demand: Demand) -> tuple[Detached[Token | Failure], bool]:
        """Return the flight to wait for, and whether it was begun just now."""
        with self._guard:
            if (flight := self._under_way()) is not None:
                return flight, False
            self._check_pause(demand)
            return self._start(demand, ahead=False), True

    def _under_way(self) -> Detached[Token | Failure] | None:
        return self._flight if self._flight is not None and self._flight.is_under_way else None

    def _now(self) -> _Moment:
        return _Moment(self._terms.clock(), self._terms.steady())

    def _pause_left(self, now: _Moment) -> float:
        """Return for how many seconds more the endpoint is left alone after a failure."""
        return 0.0 if self._failure is None else max(self._pause - self._failed_at.until(now), 0.0)

    def _check_pause(self, demand: Demand) -> None:
        left = self._pause_left(self._now())
        if self._failure is not None and left:
            raise replace(self._failure, retry_after=left).error(self._account, demand.operation)

    def _start(self, demand: Demand, *, ahead: bool) -> Detached[Token | Failure]:
        self._flight = Detached(lambda: self._fly(demand, ahead=ahead))
        return self._flight

    async def _fly(self, demand: Demand, *, ahead: bool) -> Token | Failure:
        """Renew the token, and take note of how that went."""
        seconds = self._terms.refresh_timeout
        outcome: Token | Failure = Failure(reason=f"it could not be renewed within {seconds:g} s")
        with anyio.move_on_after(seconds, shield=True) as scope:
            outcome = await self._renewed(demand, leeway=self._lead if ahead else 0.0)
        token = self._token
        if scope.cancelled_caught and self._unsaved and token is not None and self._serves(token, demand):
            outcome = token
        if isinstance(outcome, Failure):
            return self._failed(outcome, demand)
        self._succeeded()
        return outcome

    async def _renewed(self, demand: Demand, *, leeway: float) -> Token | Failure:
        """Return the token in the store if it will do for `leeway` seconds, else a new one, which is stored."""
        key, clock = self._account.key, self._terms.clock
        try:
            async with lock_of(self._terms.store, key):
                if (failure := self._adopt(await self._terms.store.get(key))) is not None:
                    return failure
                token = self._token
                if token is None or token.access_token == demand.refused or token.expired(leeway, now=clock()):
                    return await self._next(demand)
                if self._unsaved:
                    await self._save(token)
                return self._token or token
        except Exception as exc:  # noqa: BLE001 - a store may be anybody's
            return _store_failure(exc)

    async def _next(self, demand: Demand) -> Token | Failure:
        """Get the token that comes after the present one."""
        old, received = self._token, self._received
        if old is not None and old.refresh_token is not None and old.refresh_token == self._spent:
            new = await self._without_refresh_token(old, demand)
        else:
            new = await self._terms.renew(self._account, old, demand.client)
            if isinstance(new, Failure) and new.is_spent and old is not None:
                new = await self._after_a_race(old, demand, new)
        if self._received == received:
            if isinstance(new, Failure):
                return new
            await self._accept(new)
        return self._token or new  # meanwhile the user may have granted another one, which is what counts

    async def _after_a_race(self, old: Token, demand: Demand, refusal: Failure) -> Token | Failure:
        """Look whether another process has used the refresh token, and stored the next one."""
        for pause in _LOOKS:
            await anyio.sleep(pause)
            kept = await self._terms.store.get(self._account.key)
            if kept is None or is_same(kept, old):
                continue
            if (failure := self._adopt(kept)) is not None:
                return failure
            if self._serves(kept, demand):
                return kept
            if kept.refresh_token != old.refresh_token:
                return await self._terms.renew(self._account, kept, demand.client)
        self._spent = old.refresh_token
        logger.warning("The refresh token of %s is refused: %s", self._account, refusal.reason)
        return await self._without_refresh_token(old, demand)

    async def _without_refresh_token(self, old: Token, demand: Demand) -> Token | Failure:
        return await self._terms.renew(self._account, replace(old, refresh_token=None), demand.client)

    def _adopt(self, kept: Token | None) -> Failure | None:
        """Take over what the store has, if that is news."""
        if isinstance(self._kept, Omit) or kept is None or is_same(kept, self._kept):
            return None
        if not self._is_ours(kept):
            return Failure(reason="the token store has another account's token under its id")
        self._kept = kept
        if self._unsaved and kept.expired(now=self._terms.clock()):
            return None
        self._token = kept
        self._unsaved = False
        self._lead = self._terms.refresh_before
        return None

    def _is_ours(self, token: Token) -> bool:
        own = self._account
        theirs = token.location_id if own.location_id else token.company_id
        return theirs is None or theirs == own.key

    async def _accept(self, new: Token) -> None:
        """Store a new token, then use it; if it cannot be stored, use it all the same, and store it later."""
        now = self._now()
        if not isinstance(self._kept, Omit) and is_same(new, self._kept):
            return  # it comes from the store
        lifetime = self._terms.refresh_before * 2 if new.expires_at is None else new.expires_at - now.wall
        self._unsaved = True
        try:
            await self._save(new)
        finally:  # also when the time is up, as there is no other copy
            if self._unsaved:
                self._token = new
            self._lead = min(self._terms.refresh_before, lifetime / 2)
            self._renewed_at = now

    async def _save(self, token: Token) -> None:
        """Store the token, unless another one came in between that is good, which is used then."""
        store, key = self._terms.store, self._account.key
        winner = token
        try:
            with anyio.fail_after(_STORING):
                if not await store.put(key, token, expected=self._kept):
                    kept = await store.get(key)
                    if kept is not None and self._is_ours(kept) and not kept.expired(now=self._terms.clock()):
                        winner = kept
                    else:
                        await store.put(key, token)
        except Exception as exc:  # noqa: BLE001 - a store may be anybody's
            self._store_failed_at = self._now()
            logger.warning(
                "The new token of %s could not be stored (%s). It is kept in memory and stored as soon as that works; "
                "if this process ends before, the account must be authorised again",
                self._account,
                type(exc).__name__,
            )
        else:
            self._token = self._kept = winner
            self._unsaved = False

    def _succeeded(self) -> None:
        self._failure = None
        self._failures = 0

    def _failed(self, failure: Failure, demand: Demand) -> Failure:
        """Leave the endpoint alone for a while."""
        pause = min(_FIRST_PAUSE * 2**self._failures, _LONGEST_PAUSE)
        pause = max(pause, min(failure.retry_after or 0.0, _LONGEST_ASKED))
        self._failures = min(self._failures + 1, 10)
        self._failure = failure = replace(failure, retry_after=pause)
        self._failed_at, self._pause = self._now(), pause
        if self._token is not None and self._serves(self._token, demand):
            logger.warning(
                "The access token of %s, which is still good, could not be renewed: %s", self._account, failure.reason
            )
        return failure


def _store_failure(error: Exception) -> Failure:
    words = f": {error.message}" if isinstance(error, DialogkitError) else f" with {type(error).__name__}"
    return Failure(reason=f"the token store failed{words}", cause=error)
