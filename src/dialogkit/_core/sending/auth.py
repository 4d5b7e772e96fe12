"""Credentials: how a request proves who sends it, without the proof ever being seen.

A `Secret` shows itself only to `reveal()`. An `Auth` makes the headers of one attempt, and is asked once whether it can
do better when the platform refuses them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn, Protocol, overload, runtime_checkable

from dialogkit._core.call import Caller
from dialogkit._core.errors import ConfigurationError


class Secret:
    """A text that neither `repr`, `str`, formatting nor pickling shows."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    @overload
    @staticmethod
    def of(value: str | Secret) -> Secret: ...
    @overload
    @staticmethod
    def of(value: str | Secret | None) -> Secret | None: ...
    @staticmethod
    def of(value: str | Secret | None) -> Secret | None:
        """Wrap `value`, unless it is wrapped already or `None`.

        `api_key = Secret.of(api_key)` as a function's first line keeps the plain text out of tracebacks that show
        local variables.
        """
        return value if value is None or isinstance(value, Secret) else Secret(value)

    def reveal(self) -> str:
        """Return the text itself."""
        return self._value

    def fingerprint(self) -> str:
        """Return a name for this secret that does not tell it, the same in every process.

        Whoever has the name can only check guesses, which is of no use against the long random text that a key is.
        """
        return hashlib.blake2b(self._bytes(), person=b"dialogkit", digest_size=16).hexdigest()

    def _bytes(self) -> bytes:
        return self._value.encode("utf-8", "surrogatepass")

    def __eq__(self, other: object) -> bool:
        return hmac.compare_digest(self._bytes(), other._bytes()) if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied: pass the credential itself to where it is needed")


@dataclass(frozen=True, kw_only=True)
class AuthContext:
    """What an `Auth` is told about the call that it makes headers for."""

    operation: str
    """The operation's id."""
    location_id: str | None = None
    """The location that the call concerns, where the platform has locations."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """For `rejected`: the headers that the platform refused."""
    client: Caller | None = field(default=None, repr=False, compare=False)
    """The client that asks; an `Auth` may use its connections, limits, retries and hooks to get a token."""


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
