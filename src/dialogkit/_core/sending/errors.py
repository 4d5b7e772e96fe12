"""Whatever keeps a call from its result becomes a typed error: a refusal, no answer, no time left, no permit.

Of a refusal, an answer that is no success, the HTTP status is the truth about what happened; the body only adds words,
in whatever shape the platform has put them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from dialogkit._core.call import Operation
from dialogkit._core.errors import (
    AmbiguousOutcomeError,
    AnswerTooLargeError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    DeadlineExceededError,
    DialogkitError,
    RateLimitWaitError,
    status_error_class,
)
from dialogkit._core.http.failure import AnswerTooLarge, TransportFailure
from dialogkit._core.http.transport import Answer
from dialogkit._core.limits.headers import seconds_of
from dialogkit._core.limits.terms import LONGEST_WINDOW
from dialogkit._core.support.json import charset_of, is_array, is_object, json_of, text_of
from dialogkit._core.support.printing import blotted, may_show, printable

_UNCLEAR: Final = " It may have taken effect: find out before you call again."
_LONGEST_DETAIL: Final = 500
_LONGEST_CODE: Final = 200
_LONGEST_ID: Final = 200
_ENDS: Final = 256
"""Bytes at either end of a body."""
_ID_HEADERS: Final = (b"x-request-id", b"x-trace-id", b"request-id", b"trace-id", b"x-correlation-id", b"traceparent")
_WORDS: Final = ("message", "detail", "error_description", "msg", "title")
_ENVELOPE: Final = frozenset({"statusCode", "status", "status_code", "traceId", "code", "error", "success", "path"})
_TRACE_ID: Final = re.compile(rb'"traceId"\s*:\s*"([!-~]{1,200}?)"')
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)

_ADVICE: Final[Mapping[int, str]] = {
    400: "Correct the arguments",
    401: "Check the API key or token: it is wrong, expired or revoked, or lacks the scope for this",
    403: "Check that the credential has the permission (scope) for this, and for this location",
    404: "Check the ids, and that they belong to this credential's account",
    409: "Read the present state and decide anew",
    413: "Send less",
    415: "Send a file of a type that the platform takes",
    422: "Correct the arguments: they are well-formed, but the platform cannot act on them",
    429: "Slow down, or ask for a higher limit",
}


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What is needed to tell of a refusal."""

    operation: str
    platform: str
    method: str
    path: str
    """The path's template."""
    attempts: int
    repeatable: bool
    """Whether doing it twice is no worse than doing it once."""
    version_header: str | None = None
    """The header that selects the platform's API version, if there is one: a wrong one is told as a wrong key."""
    advice: str | None = None
    """What to do about a refusal, in place of what its status suggests."""
    retry_after: float | None = None
    """Seconds that the platform asks to wait, in other headers than `Retry-After`, too."""


def status_error(
    refusal: Refusal, answer: Answer, content: bytes | None, *, secrets: tuple[str, ...] = ()
) -> APIStatusError:
    """Make the error for an answer that is no success.

    Args:
        refusal: Which call was refused.
        answer: Status and headers.
        content: The body, `None` if it broke off.
        secrets: What must not appear in the error, even if the platform echoes it.
    """
    body = _parsed(content or b"", answer)
    headers = {name: value for name, value in answer.headers.items() if name != "set-cookie"}
    said = body if isinstance(body, str) else (content or b"").decode("latin-1")
    if may_show("\n".join((said, *headers.values())), secrets):
        body, headers = _scrubbed(body, secrets), _scrubbed(headers, secrets)
    code, detail = _words(body)
    request_id = _request_id_in(body) or _scrubbed(request_id_of(answer), secrets)
    return status_error_class(answer.status)(
        _sentence(refusal, answer, detail, request_id),
        operation=refusal.operation,
        status=answer.status,
        code=code,
        detail=detail,
        request_id=request_id,
        body=body,
        headers=headers,
        attempts=refusal.attempts,
        retry_after=_asked(refusal, answer),
    )


def _asked(refusal: Refusal, answer: Answer) -> float | None:
    seconds = retry_after_of(answer.headers) if refusal.retry_after is None else refusal.retry_after
    return None if seconds is None or seconds > LONGEST_WINDOW else seconds


def request_id_of(answer: Answer, content: bytes = b"") -> str | None:
    """Find the platform's id of a request, fit to be printed: the `traceId` of a JSON body, else a header's.

    Where a header has one, a long body is looked at where an envelope's fields are, at either end.
    """
    ends = content if len(content) <= 2 * _ENDS else content[:_ENDS] + content[-_ENDS:]
    if b'"traceId"' in ends and (found := _trace_id_in(content)):
        return found
    fields = answer.fields
    for name in _ID_HEADERS:
        if name in fields and (value := fields[name].decode("latin-1").strip()[:_LONGEST_ID]):
            return printable(value.split("-")[1] if name == b"traceparent" and value.count("-") == 3 else value)
    return _trace_id_in(content) if len(content) > 2 * _ENDS else None


def _trace_id_in(content: bytes) -> str | None:
    """Return the `traceId` of a body; what is called so further inside is something else."""
    if content.count(b'"traceId"') <= 1:
        match = _TRACE_ID.search(content)
        return None if match is None else match[1].decode("ascii")
    try:
        return _request_id_in(json_of(content))
    except ValueError:
        return None


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Return the seconds in a `Retry-After` header, given as a number or a date; `None` if it makes no sense."""
    value = headers.get("retry-after")
    return None if value is None else seconds_of(value, headers.get("date"))


def _parsed(content: bytes, answer: Answer) -> Any:
    if not content.strip():
        return None
    charset = charset_of(answer.headers)
    try:
        return json_of(content, charset)
    except ValueError:
        return text_of(content, charset)


def _scrubbed(value: object, secrets: Sequence[str]) -> Any:
    """Return `value` with every secret in it, at any depth, blotted out."""
    if isinstance(value, str):
        return blotted(value, secrets)
    if is_array(value):
        return [_scrubbed(each, secrets) for each in value]
    if is_object(value):
        return {_scrubbed(name, secrets): _scrubbed(each, secrets) for name, each in value.items()}
    return value


def _words(body: object) -> tuple[str | None, str]:
    """Return the platform's error code, and its words as one text, both fit to be printed."""
    code, words = _said(body)
    return None if code is None else printable(code)[:_LONGEST_CODE], printable(words)


def _said(body: object) -> tuple[str | None, str]:
    if not is_object(body):
        return None, _text(body)
    error = body.get("error")
    if is_object(error):
        inner_code, inner = _said(error)
        return inner_code or _code(body.get("code")), inner
    code = _code(body.get("code")) or _code(error)
    for name in _WORDS:
        if words := _text(body.get(name)):
            return code, words
    rest = {name: value for name, value in body.items() if name not in _ENVELOPE}
    return code, _text(rest) or _text(error)


def _code(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        return None
    return str(value)[:_LONGEST_CODE]


def _text(value: object, depth: int = 0) -> str:
    """Return what an error body says, in whatever shape, as one text."""
    if value is None or isinstance(value, bool) or depth > 4:
        return ""
    if is_array(value):
        return "; ".join(filter(None, (_text(each, depth + 1) for each in value[:20])))
    if is_object(value):
        pairs = ((name, _text(each, depth + 1)) for name, each in list(value.items())[:20])
        return "; ".join(f"{name}: {text}" for name, text in pairs if text)
    text = str(value)
    if text.lstrip()[:1] == "<":
        title = _TITLE.search(text[:10_000])
        text = f"an HTML page, {title[1].strip()!r}" if title else "an HTML page"
    return " ".join(text[: 8 * _LONGEST_DETAIL].split())


def _request_id_in(body: object) -> str | None:
    if not is_object(body):
        return None
    for name in ("traceId", "trace_id", "requestId", "request_id"):
        value: object = body.get(name)
        if isinstance(value, str) and value:
            return printable(value[:_LONGEST_ID])[:_LONGEST_ID]
    return None


def _sentence(refusal: Refusal, answer: Answer, detail: str, request_id: str | None) -> str:
    status = answer.status
    words = detail if len(detail) <= _LONGEST_DETAIL else detail[:_LONGEST_DETAIL] + " [...]"
    return (
        f"{refusal.operation}: {refusal.platform} answered {_named(status)} to {refusal.method} {refusal.path}"
        + (f": {words.rstrip('.')}" if words else "")
        + f". {_advice(refusal, answer)}"
        + (f" (request id {request_id})." if request_id else ".")
    )


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _advice(refusal: Refusal, answer: Answer) -> str:
    status = answer.status
    if refusal.advice is not None and status < 500:
        return refusal.advice
    if 300 <= status < 400:
        return "Check base_url: the platform sends this request elsewhere, and a credential is not sent along"
    if status >= 500:
        later = "It is a fault of the platform: try again later"
        return later if refusal.repeatable else f"{later}, after a look whether this attempt has had an effect"
    advice = _ADVICE.get(status, "Correct the request")
    if status == 401 and refusal.version_header is not None:
        return f"{advice}; or the header {refusal.version_header} is not one that the platform knows (`api_version`)"
    wait = _asked(refusal, answer) if status == 429 else None
    return advice if wait is None else f"Wait {math.ceil(wait)} s, then go on more slowly"


def no_answer_error(
    operation: Operation[Any], failure: TransportFailure, *, attempts: int, sent: bool, repeatable: bool
) -> APIConnectionError:
    """Make the error for a request that got no complete answer.

    Args:
        operation: What was called.
        failure: What came in the way.
        attempts: How many there have been.
        sent: Whether any of them may have reached the platform.
        repeatable: Whether the request may be sent again; if not, it may have taken effect.
    """
    call = f"{operation.id}: {operation.method} {operation.path}"
    facts: dict[str, Any] = {"operation": operation.id, "sent": sent, "attempts": attempts}
    if not repeatable:
        return AmbiguousOutcomeError(
            f"{call} was sent, but no complete answer came: {failure.reason}. It may or may not have taken "
            "effect, so it was not repeated: find out before you call again.",
            **facts,
        )
    times = "" if attempts == 1 else f" in {attempts} attempts"
    advice = "Raise the timeout, or try again later" if failure.timed_out else "Check the network and base_url"
    reached = (
        "" if failure.sent else " This attempt was not sent, an earlier one was." if sent else " Nothing was sent."
    )
    return (APITimeoutError if failure.timed_out else APIConnectionError)(
        f"{call} got no complete answer{times}: {failure.reason}.{reached} {advice}.", **facts
    )


def too_large_error(operation: Operation[Any], failure: AnswerTooLarge, *, attempts: int) -> AnswerTooLargeError:
    """Make the error for an answer that is too large to be read into memory.

    Args:
        operation: What was called.
        failure: What the transport said.
        attempts: How many there have been.
    """
    return AnswerTooLargeError(
        f"{operation.id}: {operation.method} {operation.path} was carried out, but {failure.reason}. Ask for less at a "
        "time, or raise max_answer_bytes.",
        operation=operation.id,
        attempts=attempts,
        limit=failure.limit,
    )


def too_late_error(
    operation: Operation[Any],
    *,
    seconds: float,
    attempts: int,
    sent: bool,
    may_have_happened: bool,
    last: DialogkitError | None,
) -> DeadlineExceededError:
    """Make the error for a call that brought no result within its deadline.

    Args:
        operation: What was called.
        seconds: The deadline, from the call's beginning.
        attempts: How many there have been.
        sent: Whether a request may have reached the platform.
        may_have_happened: Whether one may have had its effect.
        last: What the last attempt ended with, if it has ended.
    """
    times = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    ended = "" if last is None else f" The last one ended with: {last.message}"
    unclear = _UNCLEAR if may_have_happened and operation.retry == "never-after-sent" else ""
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
