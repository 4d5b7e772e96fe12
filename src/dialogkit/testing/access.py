"""Who is asking, and for which location."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qs

from starlette.requests import Request

from dialogkit.testing.document import Match, Operation
from dialogkit.testing.errors import Refusal, missing
from dialogkit.testing.state import Credential, State

_NOBODY = Credential("nobody", "none")


@dataclass(frozen=True)
class Naming:
    """How a request names its location."""

    given: bool
    """Whether it names one at all."""
    allowed: bool
    """Whether its credential reaches that location."""


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


def location_of(
    request: Request, match: Match, operation: Operation, credential: Credential, state: State, content: bytes
) -> tuple[str, Naming]:
    """Return the location that a request is about, and how it names it.

    Looked at before the request is validated, because the limits are counted by location.
    """
    own = credential.location_id or state.default_location
    name = _tenant_in_parameters(request, match, operation)
    if name is None:
        name = _tenant_in_body(operation, state, request, content)
    if name is None:
        return own, Naming(given=False, allowed=True)
    reach = state.locations if credential.location_id is None else [credential.location_id]
    return (name if name in state.locations else own), Naming(given=True, allowed=name in reach)


def _tenant_in_parameters(request: Request, match: Match, operation: Operation) -> str | None:
    for each in operation.parameters:
        if each.tenant:
            return match.values.get(each.name) if each.place == "path" else request.query_params.get(each.name)
    return None
