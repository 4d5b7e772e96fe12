"""Async-first SDK for conversational-AI platforms.

from dialogkit import HoopAI

async with HoopAI() as hoop:
await hoop.messages.send(type="SMS", contact_id="contact_abc123", message="Hello!")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dialogkit._core.auth.bearer import Auth, AuthContext
    from dialogkit._core.auth.token_files import FileTokenStore
    from dialogkit._core.auth.token_redis import RedisTokenStore
    from dialogkit._core.auth.tokens import MemoryTokenStore, Token, TokenStore
    from dialogkit._core.call import OMIT, CallOptions, Omit
    from dialogkit._core.codec.models import Model
    from dialogkit._core.errors import (
        AmbiguousOutcomeError,
        AnswerTooLargeError,
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
        StopCall,
        TokenError,
        UnprocessableEntityError,
        UnsupportedMediaTypeError,
        WebhookVerificationError,
    )
    from dialogkit._core.events import Drift, RateLimitEvent, RequestEvent, ResponseEvent, RetryEvent
    from dialogkit._core.files.downloads import ByteStream, Download
    from dialogkit._core.files.uploads import Upload
    from dialogkit._core.limits.memory import MemoryRateLimiter
    from dialogkit._core.limits.redis import RedisRateLimiter
    from dialogkit._core.limits.terms import Allowance, Permit, RateLimit, RateLimiter
    from dialogkit._core.lists.pager import Page, Pager
    from dialogkit._core.observing.observer import AttemptInfo, Observer
    from dialogkit._core.response import APIResponse, ResponseInfo, response_info
    from dialogkit._core.sending.retry import RetryPolicy
    from dialogkit._core.webhooks.dedupe import Claim, DedupeStore, MemoryDedupeStore, handled_once
    from dialogkit._core.webhooks.dedupe_redis import RedisDedupeStore
    from dialogkit._core.webhooks.schemes import SignatureScheme, WebhookProof
    from dialogkit._core.webhooks.verifier import WebhookDelivery, WebhookEvent, WebhookVerifier
    from dialogkit.convoai.client import ConvoAI
    from dialogkit.hoopai.client import HoopAI
    from dialogkit.hoopai.oauth import OAuth2
    from dialogkit.hoverbot.client import HoverBot

    __version__: str

__all__ = [
    "OMIT",
    "APIConnectionError",
    "APIResponse",
    "APIStatusError",
    "APITimeoutError",
    "Allowance",
    "AmbiguousOutcomeError",
    "AnswerTooLargeError",
    "AttemptInfo",
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
    "Observer",
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
    "SignatureScheme",
    "StopCall",
    "Token",
    "TokenError",
    "TokenStore",
    "UnprocessableEntityError",
    "UnsupportedMediaTypeError",
    "Upload",
    "WebhookDelivery",
    "WebhookEvent",
    "WebhookProof",
    "WebhookVerificationError",
    "WebhookVerifier",
    "__version__",
    "handled_once",
    "response_info",
]

_HOMES = {
    "_core.call": ("OMIT", "CallOptions", "Omit"),
    "_core.webhooks.dedupe": ("Claim", "DedupeStore", "MemoryDedupeStore", "handled_once"),
    "_core.webhooks.dedupe_redis": ("RedisDedupeStore",),
    "_core.files.downloads": ("ByteStream", "Download"),
    "_core.events": ("Drift", "RateLimitEvent", "RequestEvent", "ResponseEvent", "RetryEvent"),
    "_core.codec.models": ("Model",),
    "_core.lists.pager": ("Page", "Pager"),
    "_core.observing.observer": ("AttemptInfo", "Observer"),
    "_core.response": ("APIResponse", "ResponseInfo", "response_info"),
    "_core.auth.bearer": ("Auth", "AuthContext"),
    "_core.limits.terms": ("Allowance", "Permit", "RateLimit", "RateLimiter"),
    "_core.limits.memory": ("MemoryRateLimiter",),
    "_core.limits.redis": ("RedisRateLimiter",),
    "_core.sending.retry": ("RetryPolicy",),
    "_core.support.version": ("__version__",),
    "_core.auth.token_files": ("FileTokenStore",),
    "_core.auth.token_redis": ("RedisTokenStore",),
    "_core.auth.tokens": ("MemoryTokenStore", "Token", "TokenStore"),
    "_core.files.uploads": ("Upload",),
    "_core.webhooks.schemes": ("SignatureScheme", "WebhookProof"),
    "_core.webhooks.verifier": ("WebhookDelivery", "WebhookEvent", "WebhookVerifier"),
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
    home = import_module(f"{__name__}.{_HOME_OF.get(name, '_core.errors')}")
    value = home.version() if name == "__version__" else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
