"""Which requests meet a fault."""

from __future__ import annotations

import difflib
import random
from collections.abc import Mapping
from threading import RLock
from types import TracebackType
from typing import Final

from typing_extensions import Self

from dialogkit.testing.engine.document import Document, Operation
from dialogkit.testing.faults import Fault

EVERYTHING: Final = "*"


class Injection:
    """A fault that is set, by `Sandbox.inject`.

    As a context manager it ends with its block::

        with sandbox.inject(faults.Latency(0.2), on="*", rate=0.05, seed=1) as slow:
            ...
        print(slow.hits)

    """

    def __init__(
        self, owner: Injections, fault: Fault, on: str, *, times: int | None, rate: float | None, seed: int | None
    ) -> None:
        self._owner = owner
        self._times = times
        self._rate = rate
        self._random = random.Random(seed)  # noqa: S311 - it draws tests, not secrets
        self.fault = fault
        self.on = on
        """The operation's id, or `*`."""
        self.hits = 0
        """How many requests have met the fault."""

    def __repr__(self) -> str:
        return f"<Injection of {self.fault!r} on {self.on}, {self.hits} hits>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """End the fault. Requests that have met it already go on with it; removing twice does nothing."""
        self._owner.remove(self)

    def strikes(self, operation: Operation | None) -> bool:
        """Say whether a request meets the fault, and count it if so. The owner calls it, with its lock held."""
        if self.on != EVERYTHING and (operation is None or operation.id != self.on):
            return False
        if self._times is not None and self.hits >= self._times:
            return False
        if self._rate is not None and self._random.random() >= self._rate:
            return False
        self.hits += 1
        return True


class Injections:
    """All faults that are set.

    Args:
        document: Has the operations.
        lock: Guards them.

    """

    def __init__(self, document: Document, lock: RLock) -> None:
        self._document = document
        self._lock = lock
        self._injections: list[Injection] = []
        self._routes = {f"{each.method} {each.template}": each.id for each in document.operations.values()}

    def add(self, fault: Fault, on: str, *, times: int | None, rate: float | None, seed: int | None) -> Injection:
        """Set a fault, as `Sandbox.inject` describes it."""
        if not isinstance(fault, Fault):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"inject takes a fault such as `faults.Drop()`, not {fault!r}.")
        if times is not None and not _is_count(times):
            raise ValueError(f"times must be a whole number from 1 up, or None for always, not {times!r}.")
        if rate is not None and not _is_share(rate):
            raise ValueError(f"rate must be a share from 0 to 1, not {rate!r}.")
        if seed is not None and rate is None:
            raise ValueError("A seed is for drawing a share of the requests: give `rate`, too.")
        injection = Injection(self, fault, self._operation_id(on), times=times, rate=rate, seed=seed)
        with self._lock:
            self._injections.append(injection)
        return injection

    def draw(self, operation: Operation | None) -> Fault | None:
        """Return the fault that a request meets. Of several the oldest goes first."""
        with self._lock:
            return next((each.fault for each in self._injections if each.strikes(operation)), None)

    def remove(self, injection: Injection) -> None:
        """End one, if it is set."""
        with self._lock:
            if injection in self._injections:
                self._injections.remove(injection)

    def clear(self) -> None:
        """End all of them."""
        with self._lock:
            self._injections.clear()

    def _operation_id(self, on: str) -> str:
        operations: Mapping[str, Operation] = self._document.operations
        if on == EVERYTHING or on in operations:
            return on
        method, _, path = on.strip().partition(" ")
        route = f"{method.upper()} {path.strip()}"
        if route in self._routes:
            return self._routes[route]
        near = self._near_misses(on, method.upper(), path.strip())
        advice = f"Did you mean {' or '.join(map(repr, near))}?" if near else "Name an operation by its id."
        raise ValueError(
            f"There is no operation {on!r} in the OpenAPI document. {advice} A route is given as in the document, "
            "such as 'GET /conversations/{conversationId}', and '*' means every request."
        )

    def _near_misses(self, on: str, method: str, path: str) -> list[str]:
        match = self._document.find(path) if path.startswith("/") else None
        if match is not None and method in match.operations:  # the path of a request, rather than its template
            return [f"{method} {match.operations[method].template}"]
        return difflib.get_close_matches(on, [*self._document.operations, *self._routes], n=3, cutoff=0.6)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
