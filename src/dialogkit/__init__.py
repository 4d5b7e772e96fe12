"""Async-first SDK for conversational-AI platforms.

from dialogkit import HoopAI

async with HoopAI() as hoop:
await hoop.messages.send(type="SMS", contact_id="contact_abc123", message="Hello!")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dialogkit._core.call import OMIT, CallOptions
    from dialogkit._core.client import APIResponse
    from dialogkit._core.downloads import ByteStream, Download
    from dialogkit._core.errors import (
        AmbiguousOutcomeError,
        APIConnectionError,
        APIStatusError,
        APITimeoutError,
        AuthenticationError,
        BadRequestError,
        ConfigurationError,
        ConflictError,
        DeadlineExceededError,
        DialogkitError,
        InvalidArgumentError,
        NotFoundError,
        PaginationError,
        PayloadTooLargeError,
        PermissionDeniedError,
        RateLimitError,
        RateLimitWaitError,
        ResponseValidationError,
        ServerError,
        UnprocessableEntityError,
        UnsupportedMediaTypeError,
        WebhookVerificationError,
    )
    from dialogkit._core.events import RateLimitEvent, RequestEvent, ResponseEvent, RetryEvent
    from dialogkit._core.models import Drift, Model, ResponseInfo, response_info
    from dialogkit._core.pagination import Page, Pager
    from dialogkit._core.sending.auth import Auth, AuthContext
    from dialogkit._core.sending.rate_limit import Allowance, Permit, RateLimit, RateLimiter
    from dialogkit._core.sending.rate_limit.memory import MemoryRateLimiter
    from dialogkit._core.sending.rate_limit.redis import RedisRateLimiter
    from dialogkit._core.sending.retry import RetryPolicy
    from dialogkit._core.uploads import Upload
    from dialogkit.hoopai.client import HoopAI

__version__ = "0.1.0"

__all__ = [
    "OMIT",
    "APIConnectionError",
    "APIResponse",
    "APIStatusError",
    "APITimeoutError",
    "Allowance",
    "AmbiguousOutcomeError",
    "Auth",
    "AuthContext",
    "AuthenticationError",
    "BadRequestError",
    "ByteStream",
    "CallOptions",
    "ConfigurationError",
    "ConflictError",
    "DeadlineExceededError",
    "DialogkitError",
    "Download",
    "Drift",
    "HoopAI",
    "InvalidArgumentError",
    "MemoryRateLimiter",
    "Model",
    "NotFoundError",
    "Page",
    "Pager",
    "PaginationError",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "Permit",
    "RateLimit",
    "RateLimitError",
    "RateLimitEvent",
    "RateLimitWaitError",
    "RateLimiter",
    "RedisRateLimiter",
    "RequestEvent",
    "ResponseEvent",
    "ResponseInfo",
    "ResponseValidationError",
    "RetryEvent",
    "RetryPolicy",
    "ServerError",
    "UnprocessableEntityError",
    "UnsupportedMediaTypeError",
    "Upload",
    "WebhookVerificationError",
    "__version__",
    "response_info",
]

_HOMES = {
    "_core.call": ("OMIT", "CallOptions"),
    "_core.client": ("APIResponse",),
    "_core.downloads": ("ByteStream", "Download"),
    "_core.events": ("RateLimitEvent", "RequestEvent", "ResponseEvent", "RetryEvent"),
    "_core.models": ("Drift", "Model", "ResponseInfo", "response_info"),
    "_core.pagination": ("Page", "Pager"),
    "_core.sending.auth": ("Auth", "AuthContext"),
    "_core.sending.rate_limit": ("Allowance", "Permit", "RateLimit", "RateLimiter"),
    "_core.sending.rate_limit.memory": ("MemoryRateLimiter",),
    "_core.sending.rate_limit.redis": ("RedisRateLimiter",),
    "_core.sending.retry": ("RetryPolicy",),
    "_core.uploads": ("Upload",),
    "hoopai.client": ("HoopAI",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    # Lazily, so that importing the package costs next to nothing and builds no model.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF.get(name, '_core.errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
