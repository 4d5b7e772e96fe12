"""What an option must be, checked at run time, since not everyone runs a type checker."""

from __future__ import annotations

import math
from collections.abc import Iterable


def is_positive(value: object) -> bool:
    """Say whether `value` is a number above 0; infinity is one."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def is_duration(value: object) -> bool:
    """Say whether `value` is a finite number from 0 up."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def is_count(value: object) -> bool:
    """Say whether `value` is a whole number from 1 up."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name: the known one that is most like it, if one is like it."""
    import difflib  # noqa: PLC0415 - only needed when something is wrong

    found = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""
