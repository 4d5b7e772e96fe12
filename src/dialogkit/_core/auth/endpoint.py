"""The token endpoint: forms go there, and tokens or failures come back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from dialogkit._core.auth.tokens import Token, is_bearer
from dialogkit._core.call import Call, Caller, CallOptions, Operation, RetrySafety
from dialogkit._core.errors import (
    AmbiguousOutcomeError,
    APIStatusError,
    DialogkitError,
    ReauthorizationRequiredError,
    TokenError,
)
from dialogkit._core.response import APIResponse
from dialogkit._core.support.json import is_object
from dialogkit._core.support.printing import blotted, printable
from dialogkit._core.support.secret import SecretFields

_ATTEMPT: Final = 60.0
"""Seconds that the endpoint may be silent, whatever the client allows: an answer that is not waited for is lost, and
the next refresh token with it."""
_LONGEST_CODE: Final = 100
_SPENT: Final = "invalid_grant"


@dataclass(frozen=True, kw_only=True)
class OAuthEndpoints:
    """How a platform does OAuth 2.0, as its facade says."""

    authorize_url: str
    """Where users authorise an app."""
    token: Operation[Any]
    """Turns a code or a refresh token into an access token."""
    location_token: Operation[Any] | None = None
    """Turns a company's access token into one for a location, where there is such a thing."""
    company_operations: frozenset[str] = frozenset()
    """The operations that need a company's token; all others need a location's."""
    location_field: str = "locationId"
    """Names the location in what the endpoint answers."""
    company_field: str = "companyId"
    """Names the company in what the endpoint answers."""


@dataclass(frozen=True)
class Account:
    """Whose token it is."""

    location_id: str | None
    company_id: str | None
    """The company, for a token of its own."""

    @property
    def key(self) -> str:
        """What stores know it by."""
        return self.location_id or self.company_id or ""

    def __str__(self) -> str:
        return f"the location {self.location_id!r}" if self.location_id else f"the company {self.company_id!r}"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why there is no token, without any secret."""

    reason: str
    """A clause."""
    final: bool = False
    """Whether the user has to authorise the app again."""
    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    cause: Exception | None = field(default=None, repr=False)
    """What a store has raised."""

    @property
    def is_spent(self) -> bool:
        """Whether what was to be exchanged works no more."""
        return self.code == _SPENT

    @property
    def advice(self) -> str:
        """What to do about it."""
        if self.final:
            return "Send its user through OAuth2.authorization_request() again, and exchange() what comes back"
        if self.status is not None and 200 <= self.status < 300:
            return "Check the address of the token endpoint"
        if self.status is not None and 400 <= self.status < 429:
            return "Check client_id, client_secret and what the app may do"
        return "Try again later"

    def error(self, account: Account, operation: str) -> TokenError:
        """Make the error for one call that needs the token."""
        lacks = f"{account} must be authorised again" if self.final else f"there is no access token for {account}"
        error = (ReauthorizationRequiredError if self.final else TokenError)(
            f"{operation}: {lacks}: {self.reason.rstrip('.')}. This attempt was not sent. {self.advice}.",
            operation=operation,
            location_id=account.location_id,
            company_id=account.company_id,
            reason=self.reason,
            status=self.status,
            code=self.code,
            request_id=self.request_id,
            retry_after=self.retry_after,
        )
        error.__cause__ = self.cause
        return error


@dataclass(frozen=True)
class Grant:
    """What the endpoint has given."""

    fields: Mapping[str, Any] = field(repr=False)
    asked_at: float
    """Epoch seconds."""

    def text(self, name: str) -> str | None:
        """Return a field that is a text, and not an empty one."""
        value = self.fields.get(name)
        return value if isinstance(value, str) and value else None

    def token(self, endpoints: OAuthEndpoints, previous: Token | None) -> Token:
        """Return the token. What the endpoint leaves out stays as it was."""
        return Token(
            access_token=self.text("access_token") or "",
            refresh_token=self.text("refresh_token") or (previous.refresh_token if previous else None),
            expires_at=self._expires_at(),
            scope=self.text("scope") or (previous.scope if previous else None),
            location_id=self.text(endpoints.location_field) or (previous.location_id if previous else None),
            company_id=self.text(endpoints.company_field) or (previous.company_id if previous else None),
        )

    def _expires_at(self) -> float | None:
        """Return when the token expires; `None` if that makes no sense: it would be a pity about the rest."""
        value = self.fields.get("expires_in")
        try:
            seconds = math.nan if isinstance(value, bool) else float(cast("Any", value))
        except (TypeError, ValueError, OverflowError):
            return None
        return self.asked_at + seconds if 0 < seconds < math.inf else None


class Endpoint:
    """Asks one endpoint.

    Args:
        operation: What the platform says about it.
        url: Where it is in place of that, if it is elsewhere.
        retry: How safe it is to ask twice. What uses up a code or a refresh token is asked once.
    """

    __slots__ = ("_operation",)

    def __init__(
        self, operation: Operation[Any], url: str | None = None, *, retry: RetrySafety = "never-after-sent"
    ) -> None:
        # Raw, so that no error of decoding has the answer in it, which is a secret.
        self._operation: Operation[APIResponse] = replace(
            operation,
            path=url or operation.path,
            answer="raw",
            result=None,
            body=None,
            encoding="form",
            from_client={},
            required_from_client=frozenset(),
            retry=retry,
        )

    async def ask(
        self, client: Caller, form: Mapping[str, str | None], *, now: float, seconds: float
    ) -> Grant | Failure:
        """Send a form.

        Args:
            client: Sends it.
            form: What to send; `None` is left out.
            now: Epoch seconds.
            seconds: How long it may take altogether.
        """
        fields = SecretFields((name, value) for name, value in form.items() if value is not None)
        options = CallOptions(timeout=min(_ATTEMPT, seconds), deadline=seconds)
        try:
            answer = await client.call(Call(self._operation, body=fields, options=options))
        except DialogkitError as exc:
            return _failure(exc, [value for name, value in fields.items() if name not in _OPEN])
        return _grant(answer, now)


_OPEN: Final = frozenset({"grant_type", "user_type", "redirect_uri", "client_id"})


def _grant(answer: APIResponse, now: float) -> Grant | Failure:
    try:
        fields: object = answer.json()
    except ValueError:
        fields = None
    known: dict[str, Any] = {"status": answer.status, "request_id": answer.info.request_id}
    if not is_object(fields):
        kind = printable(answer.headers.get("content-type", "nothing"))[:_LONGEST_CODE]
        return Failure(reason=f"the token endpoint answered {answer.status}, but no JSON object ({kind})", **known)
    if is_bearer(fields.get("access_token")):
        return Grant(fields, now)
    code: object = fields.get("error")
    if isinstance(code, str) and code:  # some answer refusals with success
        code = printable(code)[:_LONGEST_CODE]
        return Failure(reason=f"the token endpoint refused: {code}", **known, code=_normal(code))
    return Failure(reason=f"the token endpoint answered {answer.status}, but without a usable access_token", **known)


def _failure(error: DialogkitError, secrets: list[str]) -> Failure:
    secrets = [each for each in secrets if each]
    if isinstance(error, TokenError):  # of a company, whose token was to become a location's
        final = isinstance(error, ReauthorizationRequiredError)
        reason = f"that of the company {error.company_id!r} could not be had: {error.reason}"
        return Failure(reason=reason, final=final, status=error.status, retry_after=error.retry_after)
    if isinstance(error, APIStatusError):
        words = blotted(error.detail or "without a word", secrets)[:500]
        code = None if error.code is None else _normal(blotted(error.code, secrets))
        if code != _SPENT and error.status in {400, 401} and _SPENT in _normal(words):
            code = _SPENT
        return Failure(
            reason=f"the token endpoint answered {error.status}: {words}",
            status=error.status,
            code=code,
            request_id=error.request_id,
            retry_after=error.retry_after,
        )
    if isinstance(error, AmbiguousOutcomeError):
        return Failure(reason="the token endpoint was asked, but no complete answer came")
    return Failure(reason=blotted(error.message, secrets))


def _normal(code: str) -> str:
    return code.strip().lower().replace(" ", "_")[:_LONGEST_CODE]
