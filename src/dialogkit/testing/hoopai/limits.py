"""How fast HoopAI may be called, by tier, and how it tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dialogkit.testing.engine.limits import Usage, Window

DAILY: Final = Window(200_000, 86_400)
TIERS: Final[Mapping[str, tuple[Window, ...]]] = {
    "standard": (Window(60, 60), Window(10, 1)),
    "agency": (Window(120, 60), Window(20, 1)),
    "marketplace": (Window(100, 10), DAILY),
}
OWN_LIMITS: Final[Mapping[str, tuple[Window, ...]]] = {"get_access_token": (Window(5, 60),)}


def headers(usage: Usage) -> Mapping[str, str]:
    """Tell of the burst and of the day."""
    return {
        "X-RateLimit-Limit-Daily": str(DAILY.limit),
        "X-RateLimit-Daily-Remaining": str(max(0, DAILY.limit - usage.today)),
        "X-RateLimit-Interval-Milliseconds": str(round(usage.window.seconds * 1000)),
        "X-RateLimit-Max": str(usage.window.limit),
        "X-RateLimit-Remaining": str(max(0, usage.window.limit - usage.used)),
    }
