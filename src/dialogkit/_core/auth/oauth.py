"""OAuth 2.0: users authorise an app, and each call gets the token of its own location."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar, Final, Literal, NoReturn, TypeAlias
from urllib.parse import urlencode

import anyio

from dialogkit._core.auth.bearer import AuthContext, has_accounts
from dialogkit._core.auth.endpoint import Account, Endpoint, Failure, Grant, OAuthEndpoints
from dialogkit._core.auth.keeper import Demand, Terms, TokenKeeper
from dialogkit._core.auth.tokens import MemoryTokenStore, Token, TokenStore
from dialogkit._core.call import Caller
from dialogkit._core.errors import ConfigurationError, TokenError
from dialogkit._core.http.urls import check_url
from dialogkit._core.support.background import CancelledWorkError, Detached
from dialogkit._core.support.checks import is_duration, is_positive
from dialogkit._core.support.secret import Secret, SecretFields

UserType: TypeAlias = Literal["Location", "Company"]

_DRAIN: Final = 30.0
"""Seconds that closing a client may wait for what runs in the background."""
_MOST_KEEPERS: Final = 10_000
"""Accounts that are remembered beside the store: their ids may be chosen by strangers, who send webhooks."""
_LOOKED_AT: Final = 16
"""Keepers of which one is dropped at a time; those that renew a token are few."""
_SCHEME: Final = "Bearer "


@dataclass(frozen=True, kw_only=True)
class AuthorizationRequest:
    """Where to send a user, and what to remember until the user comes back."""

    url: str = field(repr=False)
    """Redirect the user there."""
    state: str = field(repr=False)
    """Keep it in the user's session, and accept no callback with another `state`."""
    code_verifier: str | None = field(repr=False)
    """Keep it in the user's session, and give it to `exchange()`; `None` without PKCE."""


_SOLE: Final = "default"
"""Where the one token is kept of a platform that has no accounts."""


class OAuth2:
    """Authenticates each call with the access token of the location that it is about.

    Tokens are read from the store. Each is renewed in the background before it expires, while calls go on with the old
    one; when it has expired or was refused, calls wait for one renewal. The next refresh token is stored before the
    new access token is used. A call never gets the token of another location.

    One object serves any number of locations and clients, in any number of threads and event loops; a store that holds
    a Redis client belongs to one of them.

    Args:
        client_id: Id of the app.
        client_secret: Secret of the app.
        store: Where tokens are kept, for this app only; in memory unless given.
        token_url: The complete URL of the token endpoint, unless it is the platform's.
        authorize_url: The complete URL where users authorise the app, unless it is the platform's.
        refresh_before: Seconds before its end when a token begins to be renewed (half its life at most).
        refresh_timeout: Seconds that one renewal may take, waits for other processes and for the rate limit included.
        company_id: The company (agency) whose token is in the store, too: a location that has no token of its own gets
            one with it, and calls about no location use it.
        user_type: Which level of token `exchange()` asks for, `Location` or `Company`.
        clock: What time it is, in epoch seconds.

    Raises:
        ConfigurationError: An argument makes no sense.
    """

    _endpoints: ClassVar[OAuthEndpoints]
    """A platform's facade says it in a subclass."""
    _steady = staticmethod(time.monotonic)
    """Seconds on a clock that nobody sets."""

    def __init__(
        self,
        client_id: str,
        client_secret: str | Secret,
        *,
        store: TokenStore | None = None,
        token_url: str | None = None,
        authorize_url: str | None = None,
        refresh_before: float = 300.0,
        refresh_timeout: float = 120.0,
        company_id: str | None = None,
        user_type: UserType = "Location",
        clock: Callable[[], float] = time.time,
    ) -> None:
        client_secret = Secret.of(client_secret)
        _check_texts(client_id=client_id, client_secret=client_secret.reveal())
        if user_type not in {"Location", "Company"}:
            raise ConfigurationError(f"user_type is Location or Company, not {user_type!r}")
        if not is_duration(refresh_before):
            raise ConfigurationError(f"refresh_before must be a number of seconds from 0 up, not {refresh_before!r}")
        if not (is_positive(refresh_timeout) and is_duration(refresh_timeout)):
            raise ConfigurationError(f"refresh_timeout must be a positive number of seconds, not {refresh_timeout!r}")
        endpoints = self._endpoints
        self._client_id = client_id
        self._client_secret = client_secret
        self._authorize_url = endpoints.authorize_url if authorize_url is None else _checked_url(authorize_url)
        self._token = Endpoint(endpoints.token, None if token_url is None else _checked_url(token_url))
        self._location_token: Endpoint | None = None
        if endpoints.location_token is not None:
            # The company's token is as good afterwards as before, so asking twice does no harm.
            self._location_token = Endpoint(endpoints.location_token, retry="idempotent")
        self._company_id = company_id
        self._user_type: UserType = user_type
        self._keepers: dict[str, TokenKeeper] = {}  # the least recently used first
        self._guard = threading.Lock()  # of the keepers
        self._terms = Terms(
            store=MemoryTokenStore() if store is None else store,
            renew=self._renew,
            clock=clock,
            steady=self._steady,
            refresh_before=refresh_before,
            refresh_timeout=refresh_timeout,
        )
        self.identity = "oauth:" + Secret(client_id).fingerprint()

    def authorization_request(
        self,
        *,
        redirect_uri: str,
        scope: Sequence[str] | str,
        pkce: bool = True,
        parameters: Mapping[str, str] | None = None,
    ) -> AuthorizationRequest:
        """Return where to send a user who shall authorise the app.

        Args:
            redirect_uri: Where the platform sends the user back to, with `code` and `state`; as registered for the app.
            scope: What the app wants to do.
            pkce: Whether to protect the code by PKCE (S256).
            parameters: Further parameters of the URL, such as `{"loginWindowOpenMode": "self"}`.
        """
        state = secrets.token_urlsafe(32)
        verifier = secrets.token_urlsafe(64) if pkce else None
        query = {
            **(parameters or {}),
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": scope if isinstance(scope, str) else " ".join(scope),
            "state": state,
        }
        if verifier is not None:
            digest = hashlib.sha256(verifier.encode("ascii")).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
            query |= {"code_challenge": challenge, "code_challenge_method": "S256"}
        separator = "&" if "?" in self._authorize_url else "?"
        return AuthorizationRequest(
            url=f"{self._authorize_url}{separator}{urlencode(query)}", state=state, code_verifier=verifier
        )

    async def exchange(
        self,
        client: Caller,
        *,
        code: str | Secret,
        redirect_uri: str | None = None,
        code_verifier: str | Secret | None = None,
        location_id: str | None = None,
    ) -> Token:
        """Turn the code that the user has brought back into a token, and store it.

        It is stored under the id of the location that it is for, or of the company (`location_id` and `company_id` of
        the token say which). Cancelling does not stop it.

        Args:
            client: What it is sent with.
            code: It works once.
            redirect_uri: The same as in `authorization_request()`.
            code_verifier: What `authorization_request()` has returned.
            location_id: The location, for an endpoint whose answer does not name one.

        Raises:
            TokenError: The endpoint did not give a token.
        """
        code, code_verifier = Secret.of(code), Secret.of(code_verifier)
        form = self._form("authorization_code", self._user_type, redirect_uri=redirect_uri)
        form["code"] = code.reveal()
        form["code_verifier"] = None if code_verifier is None else code_verifier.reveal()
        work = Detached(lambda: self._exchange(client, form, location_id))
        try:
            outcome = await work.result()
        except CancelledWorkError:
            outcome = Failure(reason="the event loop ended meanwhile")
        if isinstance(outcome, Token):
            return outcome
        raise _exchange_error(outcome, location_id)

    async def headers(self, context: AuthContext, /) -> Mapping[str, str]:
        """Return the token of the location that the call is about.

        Raises:
            TokenError: There is none.
            ConfigurationError: The call is about no location, and there is no `company_id`.
        """
        token = await self._keeper(self._account(context)).token(_demand(context))
        return {"Authorization": _SCHEME + token.access_token}

    def account(self, context: AuthContext, /) -> str:
        """Return the location, or the company, whose token a call is sent with: its rate limits are the ones that hold.

        Raises:
            ConfigurationError: The call is about no location, and there is no `company_id`.
        """
        return self._account(context).key

    async def rejected(self, context: AuthContext, /) -> bool:
        """Renew the token that the platform has refused, unless somebody has done that already.

        Raises:
            TokenError: It cannot be renewed.
        """
        return await self._keeper(self._account(context)).has_better(_demand(context))

    async def drain(self) -> None:
        """Wait until no token is being renewed in the background, for 30 seconds at most; clients do it when closed."""
        with anyio.move_on_after(_DRAIN, shield=True):
            keepers = list(self._keepers.values())
            while keepers:
                for keeper in keepers:
                    await keeper.drain()
                # The renewal of a location's token may have begun that of its company's.
                keepers = [keeper for keeper in list(self._keepers.values()) if keeper.is_renewing]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._client_id!r}, '***')"

    def __reduce__(self) -> NoReturn:
        name = type(self).__name__
        raise TypeError(f"an {name} holds credentials and cannot be pickled or copied: make a new one where needed")

    def _account(self, context: AuthContext) -> Account:
        """Say whose token a call needs."""
        if not context.has_accounts:
            return Account(_SOLE, None)
        if context.location_id is not None and context.operation not in self._endpoints.company_operations:
            return Account(context.location_id, None)
        if self._company_id is None:
            lacks = "it is about no location: pass location_id= to the client or the call"
            if context.operation in self._endpoints.company_operations:
                lacks = "it needs the token of a company (agency): pass company_id= to OAuth2"
            raise ConfigurationError(f"{context.operation}: no token can be chosen, as {lacks}. Nothing was sent.")
        return Account(None, self._company_id)

    def _keeper(self, account: Account) -> TokenKeeper:
        with self._guard:
            keeper = self._keepers.pop(account.key, None) or TokenKeeper(account, self._terms)
            self._keepers[account.key] = keeper
            if len(self._keepers) > _MOST_KEEPERS:
                self._forget_one()
        return keeper

    def _forget_one(self) -> None:
        """Drop the keeper that has not been asked for longest: what it knew is in the store."""
        for key, keeper in islice(self._keepers.items(), _LOOKED_AT):
            if keeper.is_idle:
                del self._keepers[key]
                return

    async def _exchange(self, client: Caller, form: SecretFields, location_id: str | None) -> Token | Failure:
        grant = await self._ask(self._token, client, form)
        if isinstance(grant, Failure):
            return grant
        token = grant.token(self._endpoints, None)
        location = token.location_id or location_id or (None if has_accounts(client) else _SOLE)
        if location is None and token.company_id is None:
            return Failure(reason="the token endpoint names neither a location nor a company: pass location_id=")
        await self._keeper(Account(location, None if location else token.company_id)).receive(token)
        return token

    async def _renew(self, account: Account, old: Token | None, client: Caller) -> Token | Failure:
        """Ask for the token that comes after `old`."""
        if old is not None and old.refresh_token is not None:
            form = self._form("refresh_token", "Location" if account.location_id else "Company")
            form["refresh_token"] = old.refresh_token
            grant = await self._ask(self._token, client, form)
        elif account.location_id is not None and self._company_id is not None and self._location_token is not None:
            old = None
            names = self._endpoints
            form = SecretFields({names.company_field: self._company_id, names.location_field: account.location_id})
            grant = await self._ask(self._location_token, client, form)
        elif old is None:
            return Failure(reason="the token store has none", final=True)
        else:
            return Failure(reason="its token has expired or was refused, and no refresh token works", final=True)
        if isinstance(grant, Failure):
            return grant
        token = grant.token(self._endpoints, old)
        named = token.location_id if account.location_id else token.company_id
        if named is not None and named != account.key:
            return Failure(reason="the token endpoint gave a token for another account")
        return token

    async def _ask(self, endpoint: Endpoint, client: Caller, form: SecretFields) -> Grant | Failure:
        return await endpoint.ask(client, form, now=self._terms.clock(), seconds=self._terms.refresh_timeout)

    def _form(self, grant_type: str, user_type: UserType, **more: str | None) -> SecretFields:
        return SecretFields(
            client_id=self._client_id,
            client_secret=self._client_secret.reveal(),
            grant_type=grant_type,
            user_type=user_type,
            **more,
        )


def _demand(context: AuthContext) -> Demand:
    if context.client is None:
        raise ConfigurationError(
            f"{context.operation}: OAuth2 works only as the auth= of a client, which gets its tokens"
        )
    refused = context.headers.get("Authorization")
    refused = None if refused is None else refused.removeprefix(_SCHEME)
    return Demand(operation=context.operation, client=context.client, refused=refused)


def _exchange_error(failure: Failure, location_id: str | None) -> TokenError:
    reason = "the code has expired, or was exchanged before" if failure.is_spent else failure.reason
    advice = "Send the user through authorization_request() again" if failure.is_spent else failure.advice
    return TokenError(
        f"exchange: the code brought no token: {reason.rstrip('.')}. {advice}.",
        operation="exchange",
        location_id=location_id,
        reason=reason,
        status=failure.status,
        code=failure.code,
        request_id=failure.request_id,
        retry_after=failure.retry_after,
    )


def _checked_url(url: str) -> str:
    """Return a complete URL; that it is encrypted is checked when it is used, by what the client allows."""
    parsed = check_url(url, allow_insecure=True)
    if parsed.userinfo or "#" in url or "{" in url or "}" in url:
        raise ConfigurationError("token_url and authorize_url must have no user name, password, fragment or braces")
    return url


def _check_texts(**given: object) -> None:
    for name, value in given.items():
        if not isinstance(value, str) or not value.strip():
            raise ConfigurationError(f"{name} must be the text that the platform shows for the app")
