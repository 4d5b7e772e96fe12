"""What is written to the standard log, and what never is.

`dialogkit` is the logger to configure. Its children are `dialogkit.http`, which tells how calls go, and
`dialogkit.bodies`, which shows what is sent and answered, and is silent until its own level is set to DEBUG: bodies are
what people write to each other. No line at any level has a credential or a query in it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, quote

from dialogkit._core.call import Operation
from dialogkit._core.errors import APIConnectionError, APIStatusError, APITimeoutError, DialogkitError
from dialogkit._core.http.transport import Request
from dialogkit._core.support.printing import printable

LONGEST_BODY: Final = 2_000
"""Characters of a body that are logged."""
_LONG_WAIT: Final = 1.0
"""Seconds; shorter waits at the limiter are everyday life."""
_READ: Final = 16_384
"""Bytes of a body that are looked at."""
_SHORTEST_SECRET: Final = 8
"""Shorter credentials (in tests, for example) are words that an answer may use by chance."""
_CREDENTIALS: Final = ("authorization", "x-api-key", "proxy-authorization", "cookie")
_FORM: Final = "application/x-www-form-urlencoded"
_SECRET_FIELDS: Final = frozenset({"client_secret", "code", "code_verifier", "refresh_token"})
"""Of a form that OAuth sends."""
_SECRET_TEXTS: Final = re.compile(
    rb'"(?:\w*(?:token|secret|password)|authenticationValue)"\s*:\s*"((?:[^"\\]|\\.)*)"', re.IGNORECASE
)
"""Of a JSON body: tokens of third parties, and what webhooks are signed with."""
_TOKENS: Final = re.compile(
    r'("(?:access_?token|refresh_?token|id_?token|(?:client_?)?secret)"\s*:\s*")(?:[^"\\]|\\.)*', re.IGNORECASE
)
"""What OAuth answers, and what webhooks are signed with."""

_http: Final = logging.getLogger("dialogkit.http")
_bodies: Final = logging.getLogger("dialogkit.bodies")


def attempts_are_logged() -> bool:
    """Tell whether anyone reads how attempts end."""
    return _http.isEnabledFor(logging.DEBUG)


def bodies_are_logged() -> bool:
    """Tell whether the user has asked for bodies: on this very logger, for they are too private to be inherited."""
    return _bodies.level != logging.NOTSET and _bodies.isEnabledFor(logging.DEBUG)


def log_attempt(operation: Operation[Any], outcome: str, attempt: int, elapsed: float) -> None:
    """Write how an attempt ended.

    Args:
        operation: What was called.
        outcome: A status, or a clause of our own.
        attempt: 1 is the first.
        elapsed: Seconds.
    """
    _http.debug(
        "%s: %s %s: %s (attempt %d, %.0f ms)",
        operation.id,
        operation.method,
        operation.path,
        printable(outcome),
        attempt,
        elapsed * 1000,
    )


def log_retry(operation: Operation[Any], error: DialogkitError, attempt: int, delay: float) -> None:
    """Write why a call is sent again, and in how many seconds."""
    _http.info(
        "%s: %s %s: attempt %d failed, the next one follows in %.3g s: %s",
        operation.id,
        operation.method,
        operation.path,
        attempt,
        delay,
        _reason(error),
    )


def log_wait(operation: Operation[Any], attempt: int, seconds: float) -> None:
    """Write that the client's own limiter made an attempt wait, if it was for long."""
    if seconds >= _LONG_WAIT:
        _http.info(
            "%s: %s %s: waited %.3g s for its turn at the rate limiter (attempt %d)",
            operation.id,
            operation.method,
            operation.path,
            seconds,
            attempt,
        )


def log_refusal(operation: Operation[Any], attempt: int, seconds: float | None) -> None:
    """Write that the platform refused an attempt for its rate."""
    _http.info(
        "%s: %s %s: 429, the platform's rate limit is reached; %s (attempt %d)",
        operation.id,
        operation.method,
        operation.path,
        "it does not say for how long" if seconds is None else f"it asks to wait {seconds:.3g} s",
        attempt,
    )


def log_body(operation: Operation[Any], what: str, content: bytes | None, attempt: int, secrets: Sequence[str]) -> None:
    """Write a body.

    Args:
        operation: What was called.
        what: `request`, or `response` with its status.
        content: The body; `None` for one that is not in memory.
        attempt: 1 is the first.
        secrets: What must not appear.
    """
    _bodies.debug(
        "%s: %s %s: %s body (attempt %d): %s",
        operation.id,
        operation.method,
        operation.path,
        what,
        attempt,
        "<stream>" if content is None else excerpt(content, secrets),
    )


def excerpt(content: bytes, secrets: Sequence[str]) -> str:
    """Return the beginning of a body on one line, with every secret in it blotted out."""
    start = content[:_READ]
    if b"\0" in start:
        return f"<{len(content)} bytes>"
    text = start.decode("utf-8", "replace")
    forms = _forms(secrets)
    for form in forms:
        text = text.replace(form, "***")
    text = _TOKENS.sub(r"\1***", text)
    if len(content) > _READ:  # its end may be the beginning of a secret
        text = text[: len(text) - max(map(len, forms), default=0)]
    more = len(text) > LONGEST_BODY or len(content) > _READ
    return printable(text[:LONGEST_BODY]) + (f" [... {len(content)} bytes]" if more else "")


def secrets_of(request: Request) -> tuple[str, ...]:
    """Return what must not be shown: the credentials of `request`, with and without their schemes, and in a form."""
    values = (request.headers.get(name, "") for name in _CREDENTIALS)
    texts = [text for value in values if value for text in (value, value.partition(" ")[2])]
    if request.headers.get("content-type") == _FORM:
        fields = parse_qsl((content_of(request) or b"").decode("utf-8", "replace"))
        texts += [value for name, value in fields if name in _SECRET_FIELDS]
    elif request.headers.get("content-type") == "application/json":
        found = _SECRET_TEXTS.findall((content_of(request) or b"")[:_READ])
        texts += [each.decode("utf-8", "replace") for each in found]
    return tuple(text for text in texts if len(text) >= _SHORTEST_SECRET)


def content_of(request: Request) -> bytes | None:
    """Return the body of `request`, or `None` if it is read while it is sent."""
    content = b"" if request.content is None else request.content
    return content if isinstance(content, bytes) else None


def _forms(secrets: Sequence[str]) -> tuple[str, ...]:
    """Return the secrets in the spellings that an echo may have: as they are, in JSON of PHP, and in a URL."""
    spellings = ((each, each.replace("/", "\\/"), quote(each, safe="")) for each in secrets)
    return tuple(dict.fromkeys(form for forms in spellings for form in forms))


def _reason(error: DialogkitError) -> str:
    """Return why, in words of our own: those of the platform may quote the body."""
    if isinstance(error, APIStatusError):
        return f"the platform answered {error.status}"
    if isinstance(error, APITimeoutError):
        return "no complete answer within the timeout" if error.sent else "no connection within the timeout"
    if isinstance(error, APIConnectionError):
        return "no complete answer, the connection broke" if error.sent else "no connection could be made"
    return type(error).__name__
