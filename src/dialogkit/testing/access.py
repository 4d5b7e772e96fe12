"""Who is asking, and for which location."""

from __future__ import annotations

import json
from typing import Any, Final

from starlette.requests import Request

from dialogkit.testing.document import Match, Operation, is_object
from dialogkit.testing.errors import Refusal, missing
from dialogkit.testing.state import Credential, State
from dialogkit.testing.validation import Arguments

TENANT: Final = "locationId"
_NOBODY: Final = Credential("nobody", "none")


def authenticate(request: Request, operation: Operation, state: State) -> Credential:
    """Return the credential of a request, or refuse with 401."""
    if operation.public:
        return _NOBODY
    header = request.headers.get("authorization")
    if header is None:
        raise Refusal(401, "The Authorization header is missing.")
    scheme, _, token = header.partition(" ")
    credential = state.tokens.get(token.strip()) if scheme.lower() == "bearer" else None
    if credential is None:
        raise Refusal(401, "Invalid token: access token is invalid")
    if credential.expires is not None and state.clock() >= credential.expires:
        raise Refusal(401, "The token has expired")
    return credential


def require_headers(request: Request, names: tuple[str, ...]) -> None:
    """Refuse with 400 a request that lacks one of these headers."""
    if absent := [name for name in names if not request.headers.get(name)]:
        raise missing(*(f"the header {name} should not be empty" for name in absent))


def peek_location(request: Request, match: Match, operation: Operation, content: bytes) -> str | None:
    """Say which location a request that is not validated yet seems to name: limits are counted before validation."""
    for each in operation.parameters:
        if each.tenant:
            return match.values.get(each.name) if each.place == "path" else request.query_params.get(each.name)
    if "application/json" not in operation.body:
        return None
    try:
        body: Any = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return _text(body.get(TENANT)) if is_object(body) else None


def named_location(operation: Operation, arguments: Arguments) -> str | None:
    """Return the location that a valid request names, if it names one."""
    for each in operation.parameters:
        if each.tenant:
            return _text((arguments.path if each.place == "path" else arguments.query).get(each.name))
    return _text(arguments.body.get(TENANT)) if is_object(arguments.body) else None


def location_in_reach(named: str | None, credential: Credential, state: State) -> str:
    """Return the location that a request is about, or refuse with 403 one that its credential does not reach."""
    own = credential.location_id or state.default_location
    reach = state.locations if credential.location_id is None else [credential.location_id]
    if named is not None and named not in reach:
        raise Refusal(403, "The token does not have access to this location.")
    return own if named is None else named


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
