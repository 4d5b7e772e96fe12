"""What is written to the standard log, and what never is.

`dialogkit` is the logger to configure. Its children are `dialogkit.http`, which tells how calls go, and
`dialogkit.bodies`, which shows what is sent and answered, and is silent until its own level is set to DEBUG: bodies are
what people write to each other. No line at any level has a credential or a query in it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Final

from dialogkit._core.errors import APIConnectionError, APIStatusError, APITimeoutError, DialogkitError
from dialogkit._core.events import RateLimitEvent, RetryEvent
from dialogkit._core.observing.credentials import READ, content_of, secrets_of
from dialogkit._core.observing.observer import AttemptInfo, Observer, operation_of, request_of
from dialogkit._core.support.printing import blotted, printable

LONGEST_BODY: Final = 2_000
"""Characters of a body that are logged."""
_LONG_WAIT: Final = 1.0
"""Seconds; shorter waits at the limiter are everyday life."""
_TOKENS: Final = re.compile(
    r'("(?:access_?token|refresh_?token|id_?token|(?:client_?)?secret)"\s*:\s*")(?:[^"\\]|\\.)*', re.IGNORECASE
)
"""What OAuth answers, and what webhooks are signed with."""

_http: Final = logging.getLogger("dialogkit.http")
_bodies: Final = logging.getLogger("dialogkit.bodies")


class LogObserver(Observer):
    """Writes how calls go."""

    def is_watching(self) -> bool:
        """Say whether anyone reads how attempts end, or what is in them."""
        return _http.isEnabledFor(logging.DEBUG) or (_bodies.level != logging.NOTSET and _bodies_are_logged())

    def on_request(self, attempt: AttemptInfo) -> None:
        """Write the body."""
        if _bodies_are_logged():
            _log_body(attempt, "request", content_of(request_of(attempt)))

    def on_response(self, attempt: AttemptInfo) -> None:
        """Write the status. A body that the user reads, if at all, is not written."""
        _log_end(attempt, str(attempt.status))
        if operation_of(attempt).answer == "bytes" and (attempt.status or 0) < 300 and _bodies_are_logged():
            _log_body(attempt, f"{attempt.status} response", None)

    def on_body(self, attempt: AttemptInfo, content: bytes) -> None:
        """Write the body."""
        if _bodies_are_logged():
            _log_body(attempt, f"{attempt.status} response", content)

    def on_failure(self, attempt: AttemptInfo, reason: str, *, timed_out: bool) -> None:  # noqa: ARG002 - it says so
        """Write the reason."""
        _log_end(attempt, reason)

    def on_retry(self, event: RetryEvent) -> None:
        """Write why a call is sent again, and in how many seconds."""
        _http.info(
            "%s: %s %s: attempt %d failed, the next one follows in %.3g s: %s",
            event.operation,
            event.method,
            event.path,
            event.attempt,
            event.delay,
            _reason(event.error),
        )

    def on_rate_limit(self, event: RateLimitEvent) -> None:
        """Write that the platform refused an attempt, or that the client's own limiter made one wait for long."""
        where = (event.operation, event.method, event.path)
        if event.reason == "refused":
            asked = (
                "it does not say for how long" if event.seconds is None else f"it asks to wait {event.seconds:.3g} s"
            )
            _http.info(
                "%s: %s %s: 429, the platform's rate limit is reached; %s (attempt %d)", *where, asked, event.attempt
            )
        elif (event.seconds or 0.0) >= _LONG_WAIT:
            _http.info(
                "%s: %s %s: waited %.3g s for its turn at the rate limiter (attempt %d)",
                *where,
                event.seconds,
                event.attempt,
            )


def _bodies_are_logged() -> bool:
    """Tell whether the user has asked for bodies: on this very logger, for they are too private to be inherited."""
    return _bodies.level != logging.NOTSET and _bodies.isEnabledFor(logging.DEBUG)


def _log_end(attempt: AttemptInfo, outcome: str) -> None:
    """Write how an attempt ended: with a status, or a clause of our own."""
    _http.debug(
        "%s: %s %s: %s (attempt %d, %.0f ms)",
        attempt.operation,
        attempt.method,
        attempt.path,
        printable(outcome),
        attempt.attempt,
        attempt.elapsed * 1000,
    )


def _log_body(attempt: AttemptInfo, what: str, content: bytes | None) -> None:
    """Write a body: `request`, or `response` with its status; `None` for one that is not in memory."""
    _bodies.debug(
        "%s: %s %s: %s body (attempt %d): %s",
        attempt.operation,
        attempt.method,
        attempt.path,
        what,
        attempt.attempt,
        "<stream>" if content is None else excerpt(content, secrets_of(request_of(attempt))),
    )


def excerpt(content: bytes, secrets: Sequence[str]) -> str:
    """Return the beginning of a body on one line, with every secret in it blotted out."""
    start = content[:READ]
    if b"\0" in start:
        return f"<{len(content)} bytes>"
    text = start.decode("utf-8", "replace")
    text = _TOKENS.sub(r"\1***", blotted(text, secrets))
    if len(content) > READ:  # its end may be the beginning of a secret, each character escaped
        text = text[: max(len(text) - 6 * max(map(len, secrets), default=0), 0)]
    more = len(text) > LONGEST_BODY or len(content) > READ
    return printable(text[:LONGEST_BODY]) + (f" [... {len(content)} bytes]" if more else "")


def _reason(error: DialogkitError) -> str:
    """Return why, in words of our own: those of the platform may quote the body."""
    if isinstance(error, APIStatusError):
        return f"the platform answered {error.status}"
    if isinstance(error, APITimeoutError):
        return "no complete answer within the timeout" if error.sent else "no connection within the timeout"
    if isinstance(error, APIConnectionError):
        return "no complete answer, the connection broke" if error.sent else "no connection could be made"
    return type(error).__name__
