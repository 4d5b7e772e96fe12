"""How fast HoopAI may be called, by tier.

Source: HoopAI's AI API reference for `standard` and `agency`; the platform's public documentation for `marketplace`,
which counts for each app and location or company, and for the headers; HoopAI's OAuth guide for the token endpoint;
recorded answers of the live platform for the end of the day, in milliseconds.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from dialogkit._core.limits.headers import HeaderReader, RateLimitHeaders
from dialogkit._core.limits.terms import RateLimit

Tier: TypeAlias = Literal["standard", "agency", "marketplace"]

TIERS: dict[Tier, tuple[RateLimit, ...]] = {
    "standard": (RateLimit(60, per=60), RateLimit(10, per=1)),
    "agency": (RateLimit(120, per=60), RateLimit(20, per=1)),
    "marketplace": (RateLimit(100, per=10), RateLimit(200_000, per=86_400)),
}
"""The limits of a tier hold together: at ten requests a second a Standard account has spent its minute in six."""

OPERATION_LIMITS: dict[str, tuple[RateLimit, ...]] = {"get_access_token": (RateLimit(5, per=60, name="token"),)}
"""What some operations are counted by; the token endpoint needs no credential, so it is counted by nothing else."""

HEADERS = HeaderReader(
    (
        RateLimitHeaders(
            limit="x-ratelimit-max",
            remaining="x-ratelimit-remaining",
            per_milliseconds="x-ratelimit-interval-milliseconds",
        ),
        RateLimitHeaders(
            limit="x-ratelimit-limit-daily",
            remaining="x-ratelimit-daily-remaining",
            per=86_400,
            begins_anew_in_milliseconds="x-ratelimit-daily-reset",
        ),
    )
)
