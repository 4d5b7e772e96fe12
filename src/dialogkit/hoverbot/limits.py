"""How fast HoverBot may be called.

Source: HoverBot's API reference, which allows 600 requests a minute for each workspace key, and twice as many for a
short time. It does not say how short: here, never more than 1,200 in any two minutes, so that what a burst takes in
advance is missing afterwards.
"""

from __future__ import annotations

from typing import Final

from dialogkit._core.limits.terms import RateLimit

LIMITS: Final = (RateLimit(600, per=60, burst=1_200),)
