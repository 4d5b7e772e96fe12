"""Those who wait, at a cost that does not grow with their number."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Waiter(Protocol):
    """Someone in a queue."""

    give_up: float | None
    """When the wait is too long."""
    place: int
    """How many had come before."""


WaiterT = TypeVar("WaiterT", bound=Waiter)


class Queue(Generic[WaiterT]):
    """Waiters, first come, first served.

    Joining, leaving and looking take constant time, or the logarithm of the length for those who give up at some time.
    Nobody's exact place is known without counting; that at least so many stand before someone is, which is all that a
    wait's lower bound needs.
    """

    __slots__ = ("_came", "_deadlines", "_left", "_waiters")

    def __init__(self) -> None:
        self._waiters: OrderedDict[int, WaiterT] = OrderedDict()  # in which the first one is found at once
        self._deadlines: list[tuple[float, int]] = []  # a heap; whoever has left is dropped when he would be next
        self._came = 0
        self._left = 0

    def __len__(self) -> int:
        return len(self._waiters)

    def __iter__(self) -> Iterator[WaiterT]:
        return iter(self._waiters.values())

    @property
    def head(self) -> WaiterT:
        """Whose turn is next."""
        return next(iter(self._waiters.values()))

    @property
    def last(self) -> WaiterT:
        """Who came last."""
        return next(reversed(self._waiters.values()))

    def join(self, waiter: WaiterT) -> None:
        """Go to the end."""
        waiter.place = self._came
        self._came += 1
        self._waiters[waiter.place] = waiter
        if waiter.give_up is not None:
            heapq.heappush(self._deadlines, (waiter.give_up, waiter.place))

    def leave(self, waiter: WaiterT) -> None:
        """Go, from whatever place."""
        del self._waiters[waiter.place]
        self._left += 1
        if not self._waiters:
            self._deadlines.clear()
        while self._deadlines and self._deadlines[0][1] not in self._waiters:
            heapq.heappop(self._deadlines)

    def ahead_of(self, waiter: WaiterT) -> int:
        """Return how many stand before a waiter, or fewer if someone behind has left; of the first and last exactly."""
        if waiter is self.head:
            return 0
        return len(self) - 1 if waiter is self.last else max(1, waiter.place - self._left)

    def likely_hopeless(self) -> tuple[WaiterT, ...]:
        """Return those whose wait is the first to be too long: who gives up first, and who came last.

        When they have left, the next ones are.
        """
        if not self._deadlines:
            return ()
        first = self._waiters[self._deadlines[0][1]]
        return (first,) if first is self.last else (first, self.last)
