"""How fast ConvoAI may be called, by plan.

Source: ConvoAI's Developer Hub. It does not say which limit its headers tell of; the number in its example is that of
requests a minute on the Pro plan.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from dialogkit._core.limits.headers import HeaderReader, RateLimitHeaders
from dialogkit._core.limits.terms import RateLimit

Plan: TypeAlias = Literal["free", "pro", "enterprise"]

PLANS: dict[Plan, tuple[RateLimit, ...]] = {
    "free": (RateLimit(30, per=60),),
    "pro": (RateLimit(300, per=60),),
    "enterprise": (RateLimit(3_000, per=60),),
}
"""What all requests of a key are counted by."""


def _own(messages: int, documents: int) -> dict[str, tuple[RateLimit, ...]]:
    return {
        "send_message": (RateLimit(messages, per=3_600, name="messages"),),
        "create_knowledge": (RateLimit(documents, per=86_400, name="knowledge"),),
    }


OPERATION_LIMITS: dict[Plan, dict[str, tuple[RateLimit, ...]]] = {
    "free": _own(messages=60, documents=20),
    "pro": _own(messages=1_000, documents=500),
    "enterprise": {},
}
"""What messages and knowledge documents are counted by besides."""

HEADERS = HeaderReader(
    (
        RateLimitHeaders(
            limit="x-ratelimit-limit", remaining="x-ratelimit-remaining", per=60, resets_at="x-ratelimit-reset"
        ),
    )
)
