"""What can go wrong.

    DialogkitError                    may_have_happened: whether the call may have had its effect
    ├── ConfigurationError            the client cannot work as it is set up
    ├── InvalidArgumentError          an argument is wrong; nothing was sent (also a ValueError)
    ├── APIConnectionError            no answer came; `sent` says whether the request may have reached the server
    │   ├── APITimeoutError           ... within the timeout
    │   └── AmbiguousOutcomeError     sent, not answered and not idempotent: it may or may not have happened
    ├── DeadlineExceededError         the whole call took longer than its deadline
    ├── RateLimitWaitError            the client-side limiter would have to wait too long
    ├── APIStatusError                the platform refused: status, code, message, request_id, body, headers, attempts
    │   ├── BadRequestError 400 · AuthenticationError 401 · PermissionDeniedError 403 · NotFoundError 404
    │   ├── ConflictError 409 · PayloadTooLargeError 413 · UnsupportedMediaTypeError 415
    │   ├── UnprocessableEntityError 422
    │   ├── RateLimitError 429        retry_after
    │   └── ServerError 5xx
    ├── TokenError                    OAuth: no access token could be had
    │   └── ReauthorizationRequiredError   ... nor can one, before the user has authorised the app again
    ├── AnswerTooLargeError           the answer has more bytes than may be read into memory
    ├── ResponseValidationError       the answer is not what the document promises
    ├── PaginationError               the platform's pages do not advance
    ├── StopCall                      a hook of yours did not let an attempt go
    └── WebhookVerificationError      a delivery is not proven to come from the platform: reason, status

Every error can be pickled, and none carries a credential.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

WebhookFault: TypeAlias = Literal["missing_signature", "bad_signature", "stale", "too_large", "malformed", "foreign"]


class DialogkitError(Exception):
    """Everything that this package raises on purpose."""

    may_have_happened: bool = False
    """Whether the call may have had its effect, in any of its attempts; `False` means that it certainly had none.

    True when no whole answer came to a request that may have reached the platform, after 408 and 5xx, which gateways
    write when the deed is done, and for an answer that cannot be read. Also for reads, whose only effect is an answer.
    A cancelled call says the same in a note of its `CancelledError`.
    """

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.__dict__.update(facts)

    def __reduce__(self) -> tuple[Callable[..., DialogkitError], tuple[Any, ...]]:
        return _restore, (type(self), self.message, dict(self.__dict__))


def _restore(cls: type[DialogkitError], message: str, state: dict[str, Any]) -> DialogkitError:
    error = cls.__new__(cls, message)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


class ConfigurationError(DialogkitError):
    """The client cannot work as it is set up: no credential, a wrong URL, a closed client, a foreign event loop."""


class InvalidArgumentError(DialogkitError, ValueError):
    """An argument is of the wrong type or outside its documented limits. Nothing was sent."""

    operation: str
    argument: str

    def __init__(self, message: str, *, operation: str, argument: str) -> None:
        super().__init__(message, operation=operation, argument=argument)


class APIConnectionError(DialogkitError):
    """No answer came."""

    operation: str
    sent: bool
    """Whether any attempt may have reached the server; `False` means that certainly none did."""
    attempts: int

    def __init__(self, message: str, *, operation: str, sent: bool, attempts: int) -> None:
        super().__init__(message, operation=operation, sent=sent, attempts=attempts, may_have_happened=sent)


class APITimeoutError(APIConnectionError):
    """No answer came in time."""


class AmbiguousOutcomeError(APIConnectionError):
    """The request was sent, no answer came, and repeating it might do its work twice: find out before you repeat."""


class DeadlineExceededError(DialogkitError):
    """The call took longer than its deadline."""

    operation: str
    sent: bool
    attempts: int

    def __init__(self, message: str, *, operation: str, sent: bool, attempts: int) -> None:
        super().__init__(message, operation=operation, sent=sent, attempts=attempts, may_have_happened=sent)


class RateLimitWaitError(DialogkitError):
    """The client-side limiter would have had to wait longer than allowed. Nothing was sent."""

    operation: str
    wait: float
    """Seconds that the wait would have taken."""

    def __init__(self, message: str, *, operation: str, wait: float) -> None:
        super().__init__(message, operation=operation, wait=wait)


class APIStatusError(DialogkitError):
    """The platform answered, and not with success."""

    operation: str
    status: int
    code: str | None
    """The platform's own error code or name, when the body has one."""
    detail: str
    """The platform's own words, as one string."""
    request_id: str | None
    body: Any
    """The decoded body, or its text when it is not JSON."""
    headers: Mapping[str, str]
    """Response headers, names in lower case, cookies left out."""
    attempts: int
    retry_after: float | None
    """Seconds that the platform asks to wait, when it says so."""

    def __init__(self, message: str, *, operation: str, status: int, **facts: Any) -> None:
        defaults: dict[str, Any] = {
            "code": None,
            "detail": "",
            "request_id": None,
            "body": None,
            "headers": {},
            "attempts": 1,
            "retry_after": None,
            "may_have_happened": may_have_happened(status),
        }
        super().__init__(message, operation=operation, status=status, **(defaults | facts))


class BadRequestError(APIStatusError):
    """400: a required field is missing or a parameter is invalid."""


class AuthenticationError(APIStatusError):
    """401: the credential is missing, wrong or expired."""


class PermissionDeniedError(APIStatusError):
    """403: the credential lacks a permission or scope."""


class NotFoundError(APIStatusError):
    """404: no such thing, or not for this credential."""


class ConflictError(APIStatusError):
    """409: the request contradicts the present state."""


class PayloadTooLargeError(APIStatusError):
    """413: the upload is too big."""


class UnsupportedMediaTypeError(APIStatusError):
    """415: files of this type are not accepted."""


class UnprocessableEntityError(APIStatusError):
    """422: well-formed, but the platform cannot act on it."""


class RateLimitError(APIStatusError):
    """429: too many requests; `retry_after` tells how many seconds to wait, when the platform says so."""


class ServerError(APIStatusError):
    """5xx: a fault of the platform."""


class TokenError(DialogkitError):
    """OAuth: a call needs an access token, and none could be had. The attempt was not sent."""

    operation: str
    """The call that needs it, or `exchange`."""
    location_id: str | None
    """The location whose token it is; `None` for a company's."""
    company_id: str | None
    """The company (agency) whose token it is; `None` for a location's."""
    reason: str
    """What came in the way, as a clause."""
    status: int | None
    """What the token endpoint answered, if it has answered."""
    code: str | None
    """The token endpoint's own error code, such as `invalid_client`, if it gave one."""
    request_id: str | None
    retry_after: float | None
    """Seconds until it is tried again: calls that need the same token fail until then."""

    def __init__(self, message: str, *, operation: str, **facts: Any) -> None:
        names = ("location_id", "company_id", "status", "code", "request_id", "retry_after")
        defaults: dict[str, Any] = {"reason": "", **dict.fromkeys(names)}
        super().__init__(message, operation=operation, **(defaults | facts))


class ReauthorizationRequiredError(TokenError):
    """OAuth: there is no token for the location or company, or its refresh token is spent or was revoked.

    Send its user through `OAuth2.authorization_request()` (again); trying again does not help.
    """


class AnswerTooLargeError(DialogkitError):
    """The platform answered, with more bytes than `max_answer_bytes` lets into memory. The request was carried out."""

    operation: str
    attempts: int
    limit: int
    """How many bytes may be."""
    may_have_happened = True

    def __init__(self, message: str, *, operation: str, attempts: int = 1, limit: int = 0) -> None:
        super().__init__(message, operation=operation, attempts=attempts, limit=limit)


class ResponseValidationError(DialogkitError):
    """The answer is not what the document promises: with `strict=True` any difference, else only what is unreadable.

    It was an answer of success: what was asked for has happened.
    """

    may_have_happened = True
    operation: str
    body: bytes
    """The answer as it came."""
    request_id: str | None

    def __init__(self, message: str, *, operation: str, body: bytes, request_id: str | None) -> None:
        super().__init__(message, operation=operation, body=body, request_id=request_id)


class PaginationError(DialogkitError):
    """The pages do not advance: a cursor came twice, or a page brought nothing new. Going on would never end."""

    operation: str

    def __init__(self, message: str, *, operation: str) -> None:
        super().__init__(message, operation=operation)


class StopCall(DialogkitError):  # noqa: N818 - it is what the hook says, not what went wrong
    """Raised by a hook `on_request`: the attempt is not sent, and the call ends with this error.

    For whoever must not send what could not be written down first, for example. Any other error of a hook is logged,
    and the call goes on.
    """

    def __init__(self, message: str = "A hook stopped the call.") -> None:
        super().__init__(message)


class WebhookVerificationError(DialogkitError):
    """The delivery is not proven to come from the platform, cannot be read, or is somebody else's; do not act on it."""

    reason: WebhookFault
    """`missing_signature`, `bad_signature`, `stale` (too old, or from the future), `too_large`, `malformed`, or
    `foreign` (proven, and about an account that is none of yours)."""

    def __init__(self, message: str, *, reason: WebhookFault = "bad_signature") -> None:
        super().__init__(message, reason=reason)

    @property
    def status(self) -> int:
        """The HTTP status to answer with: 401, 413 or 422, and 200 for `foreign`.

        A delivery that is somebody else's is dropped, but acknowledged: platforms count each refusal against the app.
        """
        return {"too_large": 413, "malformed": 422, "foreign": 200}.get(self.reason, 401)


STATUS_ERRORS: Mapping[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    413: PayloadTooLargeError,
    415: UnsupportedMediaTypeError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


def may_have_happened(status: int) -> bool:
    """Say whether a request that was answered with this error status may have had its effect all the same."""
    return status == 408 or not 400 <= status < 500


def status_error_class(status: int) -> type[APIStatusError]:
    """Return the error class for an HTTP status."""
    return STATUS_ERRORS.get(status, ServerError if status >= 500 else APIStatusError)
