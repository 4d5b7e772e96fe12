"""What becomes of differences between answers and the document, unless the user takes them."""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import Final

from dialogkit._core.events import Drift
from dialogkit._core.support.printing import printable

logger = logging.getLogger("dialogkit")

_INDEX: Final = re.compile(r"\[\d+\]")
_MOST_REMEMBERED: Final = 1_000


@lru_cache(maxsize=1024)
def _any_row(location: str) -> str:
    return _INDEX.sub("[]", location)


class DriftLog:
    """Warns of each difference once: the same place in another row is the same difference."""

    __slots__ = ("_known",)

    says_once = True
    """One place of each field is enough: what is wrong in all rows is said for one."""

    def __init__(self) -> None:
        self._known: set[tuple[str, str]] = set()

    def __call__(self, drift: Drift) -> None:
        """Warn of `drift`, unless it is known."""
        place = (drift.operation, _any_row(drift.location))
        if place in self._known or len(self._known) >= _MOST_REMEMBERED:
            return
        self._known.add(place)
        logger.warning(
            "%s: what came differs from the document at %s: %s. It was read all the same; this is said once.",
            drift.operation,
            printable(place[1]) or "its top",
            printable(drift.message),
        )
