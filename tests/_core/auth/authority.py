"""A platform with OAuth 2.0: it rotates refresh tokens, and knows whose token a call comes with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import anyio
import anyio.lowlevel
import httpx
from typing_extensions import Unpack

from dialogkit import MemoryTokenStore, Omit, Token
from dialogkit._core.auth import oauth
from dialogkit._core.auth.endpoint import OAuthEndpoints
from dialogkit._core.call import OMIT, Operation
from tests._core.toy import AT_ONCE, Toy, ToyOptions

TOKEN_OPERATION: Operation[Any] = Operation(
    id="get_token", method="POST", path="/oauth/token", retry="never-after-sent", authenticated=False
)
LOCATION_TOKEN_OPERATION: Operation[Any] = Operation(
    id="get_location_token",
    method="POST",
    path="/oauth/locationToken",
    retry="never-after-sent",
    from_client={"location_id": "body"},
    required_from_client=frozenset({"location_id"}),
)
CLIENT_SECRET = "client-secret-0123456789"
LIFE = 86_399
ORDINARY = "ordinary"
Behaviour = str | httpx.Response | Callable[[httpx.Request], httpx.Response]


class ToyOAuth2(oauth.OAuth2):
    """OAuth 2.0 as the toy platform does it. Only the clock that it is given goes on."""

    _steady = staticmethod(lambda: 0.0)

    _endpoints: ClassVar[OAuthEndpoints] = OAuthEndpoints(
        authorize_url="https://toy.example/authorize",
        token=TOKEN_OPERATION,
        location_token=LOCATION_TOKEN_OPERATION,
        company_operations=frozenset({"get_location_token"}),
    )


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Authority:
    """Answers the requests of a client."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.valid: dict[str, tuple[str, float]] = {}
        self.grants: dict[str, str] = {}
        self.forms: list[dict[str, str]] = []
        self.served: list[tuple[str, str]] = []  # the location that a call named, and whose token it had
        self.refused = 0
        self.behaviours: list[Behaviour] = []  # of the next requests to the token endpoint
        self.more: dict[str, Any] = {}  # what the token endpoint answers besides
        self.asked = anyio.Event()
        self.gate: anyio.Event | None = None  # holds the token endpoint back
        self.number = 0

    def issue(self, account: str, *, life: float = LIFE, refreshable: bool = True) -> Token:
        """Return a token as if it had been granted earlier."""
        self.number += 1
        access, refresh = f"access-{account}-{self.number}-secret", f"refresh-{account}-{self.number}-secret"
        self.valid[access] = (account, self.clock.now + life)
        if refreshable:
            self.grants[refresh] = account
        company = account.startswith("company")
        return Token(
            access,
            refresh if refreshable else None,
            self.clock.now + life,
            location_id=None if company else account,
            company_id="company_1",
        )

    def revoke(self, token: Token) -> None:
        """Make an access token worth nothing."""
        del self.valid[token.access_token]

    async def was_asked(self) -> None:
        """Wait until the token endpoint has been asked."""
        with anyio.fail_after(10):
            await self.asked.wait()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()  # as a network does
        if request.url.path.endswith("/token") or request.url.path.endswith("/locationToken"):
            return await self._token(request)
        account = self._account(request)
        if account is None:
            self.refused += 1
            return httpx.Response(401, json={"message": "Invalid token"})
        self.served.append((request.url.params.get("locationId", ""), account))
        return httpx.Response(200, json={"things": []})

    def _account(self, request: httpx.Request) -> str | None:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        account, until = self.valid.get(bearer, ("", 0.0))
        return account if until > self.clock.now else None

    async def _token(self, request: httpx.Request) -> httpx.Response:
        form = dict(parse_qsl(request.content.decode()))
        self.forms.append(form)
        self.asked.set()
        behaviour = self.behaviours.pop(0) if self.behaviours else ORDINARY
        if isinstance(behaviour, httpx.Response):
            return behaviour
        if not isinstance(behaviour, str):
            return behaviour(request)
        answer = self._granted(request, form)
        if self.gate is not None:
            await self.gate.wait()
        return answer

    def _granted(self, request: httpx.Request, form: Mapping[str, str]) -> httpx.Response:
        if request.url.path.endswith("/locationToken"):
            if self._account(request) != form["companyId"]:
                return httpx.Response(401, json={"message": "Invalid token"})
            return self._answer(self.issue(form["locationId"], refreshable=False))
        if form["client_secret"] != CLIENT_SECRET:
            return httpx.Response(401, json={"error": "invalid_client"})
        account = self.grants.pop(form.get("refresh_token") or form.get("code", ""), None)
        if account is None:
            return httpx.Response(400, json={"error": "invalid_grant", "error_description": f"{form} is spent"})
        return self._answer(self.issue(account))

    def _answer(self, token: Token) -> httpx.Response:
        named = {"locationId": token.location_id, "companyId": token.company_id, "refresh_token": token.refresh_token}
        body = {"access_token": token.access_token, "token_type": "Bearer", "expires_in": LIFE, **named, **self.more}
        return httpx.Response(200, json={name: value for name, value in body.items() if value is not None})

    @property
    def refreshes(self) -> int:
        """How often a refresh token came."""
        return sum(form.get("grant_type") == "refresh_token" for form in self.forms)


class WatchedStore(MemoryTokenStore):
    """Remembers what was put, and fails when it is told to."""

    def __init__(self, tokens: Mapping[str, Token] | None = None) -> None:
        super().__init__(tokens)
        self.puts: list[tuple[str, Token]] = []
        self.failing: set[str] = set()
        self.before_put: Callable[[], Awaitable[object]] | None = None

    async def get(self, key: str, /) -> Token | None:
        await anyio.lowlevel.checkpoint()
        if "get" in self.failing:
            raise OSError("the store is out")
        return await super().get(key)

    async def put(self, key: str, token: Token, /, *, expected: Token | Omit | None = OMIT) -> bool:
        await anyio.lowlevel.checkpoint()
        if self.before_put is not None:
            await self.before_put()
        if "put" in self.failing:
            raise OSError("the store is out")
        self.puts.append((key, token))
        return await super().put(key, token, expected=expected)

    def steal(self, key: str, token: Token) -> None:
        """Put a token as another process would."""
        self._tokens[key] = token


def auth_of(authority: Authority, store: MemoryTokenStore, **options: Any) -> ToyOAuth2:
    return ToyOAuth2("client-1", CLIENT_SECRET, store=store, clock=authority.clock, **options)


def client_of(authority: Authority, own: oauth.OAuth2, /, **options: Unpack[ToyOptions]) -> Toy:
    transport = httpx.AsyncClient(transport=httpx.MockTransport(authority))
    given: ToyOptions = {
        "auth": own,
        "location_id": "loc_1",
        "retry": AT_ONCE,
        "rate_limit": None,
        "http_client": transport,
    }
    given.update(options)
    return Toy(**given)


async def call(client: Toy, times: int = 1, **arguments: Any) -> None:
    """Call so many times at once."""

    async def once() -> None:
        await client.things.list(**arguments)

    async with anyio.create_task_group() as group:
        for _ in range(times):
            group.start_soon(once)
