"""Async-first SDK for conversational-AI platforms.

from dialogkit import HoopAI

async with HoopAI() as hoop:
await hoop.messages.send(type="SMS", contact_id="contact_abc123", message="Hello!")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dialogkit._core.call import OMIT, CallOptions, Omit
    from dialogkit._core.dedupe import Claim, DedupeStore, MemoryDedupeStore, handled_once
    from dialogkit._core.dedupe_redis import RedisDedupeStore
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
        ReauthorizationRequiredError,
        ResponseValidationError,
        ServerError,
        TokenError,
        UnprocessableEntityError,
        UnsupportedMediaTypeError,
        WebhookVerificationError,
    )
    from dialogkit._core.events import Drift, RateLimitEvent, RequestEvent, ResponseEvent, RetryEvent
    from dialogkit._core.models import Model
    from dialogkit._core.pagination import Page, Pager
    from dialogkit._core.response import APIResponse, ResponseInfo, response_info
    from dialogkit._core.sending.auth import Auth, AuthContext
    from dialogkit._core.sending.rate_limit import Allowance, Permit, RateLimit, RateLimiter
    from dialogkit._core.sending.rate_limit.memory import MemoryRateLimiter
    from dialogkit._core.sending.rate_limit.redis import RedisRateLimiter
    from dialogkit._core.sending.retry import RetryPolicy
    from dialogkit._core.sending.token_files import FileTokenStore
    from dialogkit._core.sending.token_redis import RedisTokenStore
    from dialogkit._core.sending.tokens import MemoryTokenStore, Token, TokenStore
    from dialogkit._core.uploads import Upload
    from dialogkit._core.webhooks import WebhookDelivery, WebhookEvent, WebhookVerifier
    from dialogkit.convoai.client import ConvoAI
    from dialogkit.hoopai.client import HoopAI
    from dialogkit.hoopai.oauth import OAuth2
    from dialogkit.hoverbot.client import HoverBot

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
    "Claim",
    "ConfigurationError",
    "ConflictError",
    "ConvoAI",
    "DeadlineExceededError",
    "DedupeStore",
    "DialogkitError",
    "Download",
    "Drift",
    "FileTokenStore",
    "HoopAI",
    "HoverBot",
    "InvalidArgumentError",
    "MemoryDedupeStore",
    "MemoryRateLimiter",
    "MemoryTokenStore",
    "Model",
    "NotFoundError",
    "OAuth2",
    "Omit",
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
    "ReauthorizationRequiredError",
    "RedisDedupeStore",
    "RedisRateLimiter",
    "RedisTokenStore",
    "RequestEvent",
    "ResponseEvent",
    "ResponseInfo",
    "ResponseValidationError",
    "RetryEvent",
    "RetryPolicy",
    "ServerError",
    "Token",
    "TokenError",
    "TokenStore",
    "UnprocessableEntityError",
    "UnsupportedMediaTypeError",
    "Upload",
    "WebhookDelivery",
    "WebhookEvent",
    "WebhookVerificationError",
    "WebhookVerifier",
    "__version__",
    "handled_once",
    "response_info",
]

_HOMES = {
    "_core.call": ("OMIT", "CallOptions", "Omit"),
    "_core.dedupe": ("Claim", "DedupeStore", "MemoryDedupeStore", "handled_once"),
    "_core.dedupe_redis": ("RedisDedupeStore",),
    "_core.downloads": ("ByteStream", "Download"),
    "_core.events": ("Drift", "RateLimitEvent", "RequestEvent", "ResponseEvent", "RetryEvent"),
    "_core.models": ("Model",),
    "_core.pagination": ("Page", "Pager"),
    "_core.response": ("APIResponse", "ResponseInfo", "response_info"),
    "_core.sending.auth": ("Auth", "AuthContext"),
    "_core.sending.rate_limit": ("Allowance", "Permit", "RateLimit", "RateLimiter"),
    "_core.sending.rate_limit.memory": ("MemoryRateLimiter",),
    "_core.sending.rate_limit.redis": ("RedisRateLimiter",),
    "_core.sending.retry": ("RetryPolicy",),
    "_core.sending.token_files": ("FileTokenStore",),
    "_core.sending.token_redis": ("RedisTokenStore",),
    "_core.sending.tokens": ("MemoryTokenStore", "Token", "TokenStore"),
    "_core.uploads": ("Upload",),
    "_core.webhooks": ("WebhookDelivery", "WebhookEvent", "WebhookVerifier"),
    "convoai.client": ("ConvoAI",),
    "hoopai.client": ("HoopAI",),
    "hoopai.oauth": ("OAuth2",),
    "hoverbot.client": ("HoverBot",),
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
