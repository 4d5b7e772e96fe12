"""Credentials: how a request proves who sends it, without the proof ever being seen.

An `Auth` makes the headers of one attempt, and is asked once whether it can
do better when the platform refuses them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn, Protocol, runtime_checkable

from dialogkit._core.call import Caller
from dialogkit._core.errors import ConfigurationError
from dialogkit._core.support.secret import Secret


@dataclass(frozen=True, kw_only=True)
class AuthContext:
    """What an `Auth` is told about the call that it makes headers for."""

    operation: str
    """The operation as users write it, such as `conversations.search`."""
    location_id: str | None = None
    """The location that the call concerns, where the platform has locations."""
    has_accounts: bool = True
    """Whether the platform has locations, or other accounts, at all; without, one token is for everything."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """For `rejected`: the headers that the platform refused."""
    client: Caller | None = field(default=None, repr=False, compare=False)
    """The client that asks; an `Auth` may use its connections, limits, retries and hooks to get a token."""


def has_accounts(client: Caller) -> bool:
    """Say whether the platform of a client has locations, or other accounts; most have, unless a client denies it."""
    return bool(getattr(client, "has_accounts", True))


class Auth(Protocol):
    """Makes the headers that authenticate a request.

    Whatever has these three members can be a client's `auth`. If it works in the background, it should also have a
    method `async drain()` (see `DrainableAuth`): clients wait for it before they close their connections.
    """

    @property
    def identity(self) -> str:
        """Name the credential without telling it, so that calls which share a credential share its rate limits."""
        ...

    async def headers(self, context: AuthContext, /) -> Mapping[str, str]:
        """Return the headers for one attempt, normally `{"Authorization": "Bearer …"}`."""
        ...

    async def rejected(self, context: AuthContext, /) -> bool:
        """Hear that the platform answered 401 to `context.headers`; return whether new headers may fare better.

        Asked at most once in a call. `True` repeats the attempt with new headers.
        """
        ...


@runtime_checkable
class DrainableAuth(Protocol):
    """An `Auth` that works in the background."""

    async def drain(self) -> None:
        """Wait until that is done."""
        ...


@runtime_checkable
class AccountAuth(Protocol):
    """An `Auth` that has a credential for each account, and so knows what a platform counts a call by."""

    def account(self, context: AuthContext, /) -> str:
        """Return the account whose credential a call is sent with."""
        ...


class BearerAuth:
    """A fixed token or API key, sent as `Authorization: Bearer …`.

    Args:
        token: The key, as the platform shows it.

    Raises:
        ConfigurationError: The token is empty, or has blanks, line breaks or letters that no header can carry.
    """

    __slots__ = ("_token", "identity")

    identity: str

    def __init__(self, token: str | Secret) -> None:
        token = Secret.of(token)
        _check_token(token)
        self._token = token
        self.identity = token.fingerprint()

    async def headers(self, context: AuthContext, /) -> Mapping[str, str]:  # noqa: ARG002 - the protocol's signature
        """Return the token as a bearer token."""
        return {"Authorization": "Bearer " + self._token.reveal()}

    async def rejected(self, context: AuthContext, /) -> bool:  # noqa: ARG002 - the protocol's signature
        """Return `False`: there is no other token."""
        return False

    def __repr__(self) -> str:
        return "BearerAuth('***')"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a BearerAuth holds a credential and cannot be pickled or copied: make a new one where needed")


def _check_token(token: Secret) -> None:
    """Refuse what cannot be a token, without saying what it was."""
    if not isinstance(token.reveal(), str):  # pyright: ignore[reportUnnecessaryIsInstance] - users may pass anything
        raise ConfigurationError("the API key must be a string")
    if not token.reveal():
        raise ConfigurationError("the API key is empty: pass the key that the platform shows in its settings")
    if any(character.isspace() for character in token.reveal()):
        raise ConfigurationError("the API key contains blanks or line breaks: strip it")
    if not (token.reveal().isascii() and token.reveal().isprintable()):
        raise ConfigurationError("the API key contains characters that no HTTP header can carry: copy it anew")
