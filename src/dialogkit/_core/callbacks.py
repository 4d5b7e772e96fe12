"""Callbacks of users, called so that their faults stay theirs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Generic, ParamSpec

P = ParamSpec("P")

logger = logging.getLogger("dialogkit")


class Guarded(Generic[P]):
    """A user's callback: when it fails, that is logged once, and the call that it watches goes on."""

    __slots__ = ("_callback", "_failed", "_name")

    def __init__(self, name: str, callback: Callable[P, object]) -> None:
        self._name = name
        self._callback = callback
        self._failed = False

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call the callback; whatever it returns is dropped."""
        try:
            self._callback(*args, **kwargs)
        except Exception:
            if not self._failed:
                logger.exception("%s failed; the call goes on without it", self._name)
            self._failed = True
