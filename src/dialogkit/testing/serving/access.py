"""Who is asking."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request

from dialogkit.testing.engine.document import Operation
from dialogkit.testing.engine.refusals import Refusal
from dialogkit.testing.engine.state import Credential, State

_NOBODY: Final = Credential("nobody")


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
    if not credential.allows(operation.scopes):
        raise Refusal(401, "The token is not authorized for this scope.")
    return credential
