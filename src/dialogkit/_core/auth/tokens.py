"""OAuth tokens, and the places where they are kept.

A store holds the newest token of each account: `OAuth2` reads it when it needs a token, and writes it whenever a token
was renewed, before the new token is used.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NoReturn, Protocol

from dialogkit._core.call import OMIT, Omit
from dialogkit._core.errors import ConfigurationError
from dialogkit._core.support.secret import SecretFields


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, and what renews it. Neither is shown by `repr`, and a token cannot be pickled: use `to_json()`.

    Raises:
        ConfigurationError: The access token is one that no header can carry, or `expires_at` is no number.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    """What the next access token is got for; `None` where there is none, as for a token that an agency's was turned
    into."""
    expires_at: float | None = None
    """Epoch seconds; `None` if the platform has not said."""
    scope: str | None = None
    """The scopes that were granted, separated by spaces."""
    location_id: str | None = None
    """The location that the token is for, if the platform has said so."""
    company_id: str | None = None
    """The company (agency) that the token is for or belongs to, if the platform has said so."""

    def __post_init__(self) -> None:
        problem = _problem({each.name: getattr(self, each.name) for each in fields(self)})
        if problem is not None:
            raise ConfigurationError(problem)

    def expired(self, leeway: float = 0.0, *, now: float | None = None) -> bool:
        """Say whether the access token has expired, or will within so many seconds.

        A token that does not know when it expires has not.

        Args:
            leeway: Seconds.
            now: Epoch seconds; the system's clock unless given.
        """
        return self.expires_at is not None and self.expires_at - leeway <= (time.time() if now is None else now)

    def to_json(self) -> str:
        """Return everything, the secrets included, for a store."""
        return json.dumps({name: value for name, value in asdict(self).items() if value is not None})

    @classmethod
    def from_json(cls, text: str | bytes) -> Token:
        """Return the token that `to_json` has written; what it does not know is left out.

        Raises:
            ConfigurationError: It is something else.
        """
        written = read_json(text)
        del text  # what is raised from here on keeps this frame
        if written is None:
            raise ConfigurationError(
                "the token in the store cannot be read: it is no JSON object as Token.to_json() makes"
            )
        return cls.from_fields(written)

    @classmethod
    def from_fields(cls, written: Mapping[str, Any]) -> Token:
        """Do as `from_json` does for what has been read from JSON already."""
        known = {each.name for each in fields(cls)}
        values = SecretFields((name, value) for name, value in written.items() if name in known)
        values.setdefault("access_token", "")
        del written
        problem = _problem(values)
        if problem is not None:  # raised here, where no variable shows what is wrong
            raise ConfigurationError(problem)
        return cls(**values)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Token holds credentials and cannot be pickled or copied: keep it with to_json() in a store")


def _problem(values: Mapping[str, object]) -> str | None:
    """Return what is wrong with the fields of a token, without quoting them."""
    if not is_bearer(values["access_token"]):
        return "the access token of a Token must be a text without blanks that a header can carry"
    for name, value in values.items():
        wanted = int | float if name == "expires_at" else str
        if value is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
            return f"{name} of a Token cannot be a {type(value).__name__}"
    expires_at = values.get("expires_at")
    if isinstance(expires_at, float) and not math.isfinite(expires_at):
        return "expires_at of a Token must be epoch seconds, or None"
    return None


class TokenStore(Protocol):
    """Keeps the newest token of each account, under the id of its location or company.

    Whatever has these two methods can be the store of an `OAuth2`. A store that several processes share should also
    have `lock(key)`, which returns an async context manager that one of them at a time can be in: then a token that
    needs to be renewed is renewed by one process, and read by the others. Without it a token may be renewed twice at
    the same time; what the platform refuses then is read back from the store.

    `dialogkit.testing.token_store_contract` checks a store of your own. Use a store for one app (client id) only.
    """

    async def get(self, key: str, /) -> Token | None:
        """Return the token of an account, or `None` if there is none."""
        ...

    async def put(self, key: str, token: Token, /, *, expected: Token | Omit | None = OMIT) -> bool:
        """Keep `token` as an account's newest, and return whether that was done.

        Args:
            key: The location's or company's id.
            token: What to keep.
            expected: Do it only if this is what is kept at present (same access token, same refresh token; `None`:
                nothing), looked at and replaced in one step. `OMIT` does it in any case.
        """
        ...


class MemoryTokenStore:
    """Keeps tokens in this process, and forgets them with it: for tests, and for tokens that are kept elsewhere, too.

    Args:
        tokens: What is known from the start, by location or company.
    """

    __slots__ = ("_guard", "_tokens")

    def __init__(self, tokens: Mapping[str, Token] | None = None) -> None:
        self._tokens = dict(tokens or {})
        self._guard = threading.Lock()

    async def get(self, key: str, /) -> Token | None:
        """Return the token of an account, or `None` if there is none."""
        return self._tokens.get(key)

    async def put(self, key: str, token: Token, /, *, expected: Token | Omit | None = OMIT) -> bool:
        """Keep a token; see `TokenStore.put`."""
        with self._guard:  # never held for longer than it takes to compare
            if not is_expected(self._tokens.get(key), expected):
                return False
            self._tokens[key] = token
            return True

    def __repr__(self) -> str:
        return f"<MemoryTokenStore of {len(self._tokens)} tokens>"


def read_json(text: str | bytes) -> SecretFields | None:
    """Return the JSON object that `text` is, at no depth of which a value is shown; `None` if it is none."""
    try:
        read: object = json.loads(text, object_hook=SecretFields)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, SecretFields) else None


def is_expected(kept: Token | None, expected: Token | Omit | None) -> bool:
    """Say whether `put` may replace the token that is kept."""
    if isinstance(expected, Omit):
        return True
    return is_same(kept, expected)


def is_same(one: Token | None, other: Token | None) -> bool:
    """Say whether two tokens are the same credentials, whatever else is known of them."""
    if one is None or other is None:
        return one is other
    return (one.access_token, one.refresh_token) == (other.access_token, other.refresh_token)


def is_bearer(text: object) -> bool:
    """Say whether `text` can be sent as a bearer token."""
    return isinstance(text, str) and bool(text) and text.isascii() and text.isprintable() and " " not in text


def lock_of(store: TokenStore, key: str) -> AbstractAsyncContextManager[object]:
    """Return what keeps other processes from renewing the same token, if the store has such a thing."""
    lock = getattr(store, "lock", None)
    return nullcontext() if lock is None else lock(key)
