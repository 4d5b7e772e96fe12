"""The errors of calls that got no answer, or were not let go."""

from __future__ import annotations

from typing import Any, Final

from dialogkit._core.call import Operation
from dialogkit._core.errors import (
    AmbiguousOutcomeError,
    APIConnectionError,
    APITimeoutError,
    DeadlineExceededError,
    DialogkitError,
    RateLimitWaitError,
)
from dialogkit._core.sending.transport_failure import TransportFailure

_UNCLEAR: Final = " It may have taken effect: find out before you call again."


def silence_error(
    operation: Operation[Any], failure: TransportFailure, *, attempts: int, repeatable: bool
) -> APIConnectionError:
    """Make the error for a request that got no complete answer.

    Args:
        operation: What was called.
        failure: What came in the way.
        attempts: How many there have been.
        repeatable: Whether the request may be sent again; if not, it may have taken effect.
    """
    call = f"{operation.id}: {operation.method} {operation.path}"
    facts: dict[str, Any] = {"operation": operation.id, "sent": failure.sent, "attempts": attempts}
    if not repeatable:
        return AmbiguousOutcomeError(
            f"{call} was sent, but no complete answer came: {failure.reason}. It may or may not have taken "
            "effect, so it was not repeated: find out before you call again.",
            **facts,
        )
    times = "" if attempts == 1 else f" in {attempts} attempts"
    advice = "Raise the timeout, or try again later" if failure.timed_out else "Check the network and base_url"
    reached = "" if failure.sent else " Nothing was sent."
    return (APITimeoutError if failure.timed_out else APIConnectionError)(
        f"{call} got no complete answer{times}: {failure.reason}.{reached} {advice}.", **facts
    )


def too_late_error(
    operation: Operation[Any], *, seconds: float, attempts: int, sent: bool, last: DialogkitError | None
) -> DeadlineExceededError:
    """Make the error for a call that brought no result within its deadline.

    Args:
        operation: What was called.
        seconds: The deadline, from the call's beginning.
        attempts: How many there have been.
        sent: Whether a request may have reached the platform.
        last: What the last attempt ended with, if it has ended.
    """
    times = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    ended = "" if last is None else f" The last one ended with: {last.message}"
    unclear = _UNCLEAR if sent and operation.retry == "never-after-sent" else ""
    return DeadlineExceededError(
        f"{operation.id}: {operation.method} {operation.path} brought no result within its deadline "
        f"of {seconds:.3g} s, after {times}.{ended}{unclear}",
        operation=operation.id,
        sent=sent,
        attempts=attempts,
    )


def wait_error(operation: Operation[Any], refused: RateLimitWaitError) -> RateLimitWaitError:
    """Make the error for an attempt that the limiter would not let go in time.

    Args:
        operation: What is called.
        refused: What the limiter said; it knows nothing of calls.
    """
    return RateLimitWaitError(
        f"{operation.id}: {refused.message}. This attempt was not sent; call again later, or give it more time.",
        operation=operation.id,
        wait=refused.wait,
    )
