"""What the platforms' clients are made of.

A platform's facade says what is particular about it, and binds the generated functions in namespaces:

    class ToyOptions(ClientOptions, total=False):
        location_id: str | None

    class Toy(BaseClient[ToyOptions]):
        _option_names = frozenset(ToyOptions.__optional_keys__)

        def __init__(self, api_key: str | None = None, **options: Unpack[ToyOptions]) -> None:
            super().__init__(Secret.of(api_key), options)

        def with_options(self, **options: Unpack[ToyOptions]) -> Self:
            return self._view(options)

        @classmethod
        def _platform(cls, options: ToyOptions) -> Platform:
            return Platform(
                name="Toy",
                base_url="https://api.toy.example",
                api_key_env="TOY_API_KEY",
                limits=(RateLimit(60, per=60), RateLimit(10, per=1)),
                defaults={"location_id": Default(keyword="location_id", env="TOY_LOCATION_ID",
                                                 value=options.get("location_id"))},
                account="location_id",
            )

        @cached_property
        def things(self) -> Things:
            return Things(self)

    class Things(Namespace):
        get = api.get_thing
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, NoReturn, TypeVar, cast
from weakref import WeakSet

from typing_extensions import Self, TypedDict

from dialogkit._core.auth.bearer import Auth, BearerAuth, DrainableAuth
from dialogkit._core.call import OMIT, Call, Caller, CallOptions, RetrySafety
from dialogkit._core.errors import ConfigurationError
from dialogkit._core.events import DriftHandler, RateLimitHook, RequestHook, ResponseHook, RetryHook
from dialogkit._core.files.downloads import Download
from dialogkit._core.http.transport import MAX_BYTES, AsyncClient, Transport
from dialogkit._core.http.urls import check_url
from dialogkit._core.limits.headers import Doubts
from dialogkit._core.limits.memory import MemoryRateLimiter
from dialogkit._core.limits.terms import RateLimit, RateLimiter
from dialogkit._core.observing.deprecation import Deprecations
from dialogkit._core.observing.drift import DriftLog
from dialogkit._core.observing.hooks import Hooks
from dialogkit._core.observing.observer import Observer
from dialogkit._core.observing.watch import Watch
from dialogkit._core.response import APIResponse
from dialogkit._core.sending.platform import Default, Platform
from dialogkit._core.sending.retry import ErrorStatuses, RetryPolicy, RetryQuota
from dialogkit._core.sending.settings import DEFAULT_TIMEOUT, Settings
from dialogkit._core.support.checks import nearest
from dialogkit._core.support.lazy import LazyModule
from dialogkit._core.support.secret import Secret

if TYPE_CHECKING:
    import httpx

    from dialogkit._core.http import pool
    from dialogkit._core.sending import raw, sender
else:
    # The door to all that only sending needs. It opens when a client is entered, or makes its first call.
    httpx = LazyModule("httpx")
    raw = LazyModule("dialogkit._core.sending.raw")
    sender = LazyModule("dialogkit._core.sending.sender")
    pool = LazyModule("dialogkit._core.http.pool")

__all__ = ["APIResponse", "BaseClient", "ClientOptions", "Default", "ErrorStatuses", "Namespace", "Platform", "Secret"]

T = TypeVar("T")
_HOOKS = frozenset({"on_request", "on_response", "on_retry", "on_rate_limit"})
_WATCHING = _HOOKS | {"observers"}
_RATE_LIMIT = "rate_limit takes a RateLimit, a sequence of them, a RateLimiter or None"


class ClientOptions(TypedDict, total=False):
    """Keywords that every platform's client takes."""

    auth: Auth | None
    """What authenticates requests, in place of `api_key`."""
    base_url: str | None
    """Where the platform is, its public address unless given."""
    timeout: float
    """Seconds that one attempt may take to connect, then for each piece of the request that is sent, then to wait for
    each piece of the answer; 60 unless given. An attempt as a whole ends after ten times as long, unless its answer is
    taken as a stream or written to a file."""
    deadline: float | None
    """Seconds that a whole call may take, with waits and repeated attempts; no limit unless given."""
    rate_limit: RateLimit | Sequence[RateLimit] | RateLimiter | None
    """Limits to keep below, or a limiter of your own; the platform's limits unless given, `None` for none."""
    retry: RetryPolicy | None
    """How calls are repeated; up to three attempts unless given, `None` never repeats."""
    on_request: RequestHook | None
    """Called before each attempt, which it may prevent by raising `StopCall`. Hooks may be async; when one fails in any
    other way, that is logged and the call goes on."""
    on_response: ResponseHook | None
    """Called after each answer."""
    on_retry: RetryHook | None
    """Called before each pause between two attempts."""
    on_rate_limit: RateLimitHook | None
    """Called when the limiter made a call wait, or the platform answered 429."""
    observers: Sequence[Observer]
    """Who else looks on at calls, beside hooks, the log and OpenTelemetry."""
    http_client: httpx.AsyncClient | AsyncClient | Transport | None
    """Sends the requests, in place of a connection pool of the client's own: an `httpx.AsyncClient`, an
    `httpx2.AsyncClient`, or a `dialogkit.transport.Transport`. It stays yours to close."""
    max_answer_bytes: int
    """How many bytes of an answer are read into memory, once decompressed; 64 MiB unless given. Files that are written
    to disk or taken as a stream have no such limit."""
    on_drift: DriftHandler | None
    """Told where an answer differs from the document; warnings of the logger `dialogkit` unless given."""
    strict: bool
    """Raise `ResponseValidationError` where an answer differs from the document, in place of reporting it."""
    allow_insecure: bool
    """Send the credential over plain http to other machines, too."""


OptionsT = TypeVar("OptionsT", bound=ClientOptions)


class BaseClient(Generic[OptionsT]):
    """A platform's client. It holds the connection pool and the limiter: make one, keep it, and close it.

    Args:
        api_key: The credential, unless `auth` is among the options or the platform's environment variable is set.
        options: The keywords that the user gave.

    Raises:
        ConfigurationError: There is no credential, or an option makes no sense.
    """

    _option_names: ClassVar[frozenset[str]] = frozenset(ClientOptions.__optional_keys__)
    """The keywords that the client takes; a facade with more of them says so here, too."""
    _options: OptionsT
    _settings: Settings
    _shared: _Shared

    def __init__(self, api_key: Secret | None, options: OptionsT) -> None:
        common: ClientOptions = options
        self._api_key = api_key
        self._shared = _Shared(connect=_connecting(common.get("http_client"), type(self).__name__))
        self._is_view = False
        self._configure(options)

    @property
    def rate_limiter(self) -> RateLimiter | None:
        """What lets the client's requests through, and that of its views; `None` if nothing holds them back.

        It tells how much is left (`snapshot()`), and can be given to another client as `rate_limit`.
        """
        return self._settings.limiter

    @property
    def has_accounts(self) -> bool:
        """Whether the platform has locations, or other accounts that a call is about."""
        return self._settings.platform.account is not None

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        json: Any = OMIT,
        content: bytes | str | AsyncIterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        retry: RetrySafety | None = None,
        authenticated: bool = True,
        options: CallOptions | Mapping[str, Any] | None = None,
    ) -> APIResponse:
        """Send a request that no method covers, with the client's credential, limits and retries.

        Args:
            method: The HTTP method.
            path: Begins with a slash and is appended to the base URL exactly as it is.
            query: Values that are `None` are left out, lists repeat their name.
            json: Sent as JSON; `None` is sent as null.
            content: Sent as it is, in place of `json`; give a `Content-Type` among the headers.
            headers: Further headers; they win over the client's own, except `Authorization`.
            retry: How safe it is to repeat, by its method unless given: GET, HEAD and OPTIONS are `safe`, PUT and
                DELETE `idempotent`, others `never-after-sent`.
            authenticated: Whether the client's credential is sent along.
            options: What this call does differently from its client; `{"timeout": 5}` will do, too.

        Raises:
            InvalidArgumentError: The path is no path, or an argument cannot be sent; nothing was sent.
            APIStatusError: The platform answered, and not with success.
            DialogkitError: Whatever else can go wrong.
        """
        operation = raw.operation_of(method, path, retry=retry, authenticated=authenticated)
        body = raw.body_of(json, content)
        return await self._sender.call(
            Call(operation, query=query or {}, headers=headers or {}, body=body, options=cast("CallOptions", options))
        )

    def download(self, url: str) -> Download:
        """Fetch a file from a URL that the platform has handed out, such as the link to a recording.

        Neither the client's credential nor its other headers are sent along, and its rate limits do not apply.

        Args:
            url: The complete URL.

        Raises:
            ConfigurationError: The URL is no URL, or not encrypted.
        """
        check_url(url, allow_insecure=self._settings.allow_insecure)
        return Download(partial(self._sender.fetch, url))

    def call(self, call: Call[T], /) -> Coroutine[Any, Any, T]:
        """Send `call` and return its result; generated functions use this."""
        return self._sender.call(call)

    async def aclose(self) -> None:
        """Close the connection pool, once no token is being renewed; the client and its views cannot be used any more.

        A view closes nothing, since the pool is its parent's, and an `http_client` stays open. Closing twice is fine.
        """
        if not self._is_view:
            await self._shared.aclose()

    async def __aenter__(self) -> Self:
        if self._connection.closed:
            raise ConfigurationError(f"This {type(self).__name__} is closed and cannot be entered: make a new one.")
        _ = self._sender  # loads what sending needs: a server does that when it starts, and not in its first request
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        if not hasattr(self, "_settings"):  # seen in the traceback of a constructor that failed
            return f"<{type(self).__name__}, not set up>"
        shown = {"base_url": self._settings.base_url}
        shown |= {each.keyword: each.value for each in self._settings.platform.defaults.values() if each.value}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def __reduce__(self) -> NoReturn:
        name = type(self).__name__
        raise TypeError(
            f"a {name} holds a credential and open connections and cannot be pickled or copied: make one where it is "
            f"needed, or use with_options() for a view"
        )

    @classmethod
    def _platform(cls, options: OptionsT) -> Platform:
        """Say what the platform is like under these options."""
        raise NotImplementedError(f"{cls.__name__} does not say which platform it is for")

    def _view(self, options: OptionsT) -> Self:
        """Return a client with some options replaced, over the same connections, limiter and credential.

        Facades offer it as `with_options`, with their keywords: type checkers do not let an override take more of them.
        """
        common: ClientOptions = options
        view = object.__new__(type(self))
        view._api_key = self._api_key if common.get("auth") is None else None
        given = common.get("http_client")
        view._shared = (
            self._shared if given is None else replace(self._shared, connect=_connecting(given, type(self).__name__))
        )
        view._is_view = True
        view._configure(cast("OptionsT", {**self._options, **options}), self._settings, options.keys())
        return view

    def _configure(self, options: OptionsT, before: Settings | None = None, changed: Collection[str] = ()) -> None:
        """Make the settings; what has not `changed` stays as it was `before`, so that a view costs next to nothing."""
        for unknown in options.keys() - self._option_names:
            hint = nearest(unknown, self._option_names)
            raise TypeError(f"{type(self).__name__} got an unexpected keyword argument {unknown!r}{hint}")
        self._options = options
        platform = _resolved(self._platform(options))
        common: ClientOptions = options
        limits = self._limits(common, platform)
        if before is None or "retry" in changed:
            retry = _checked_policy(common.get("retry", RetryPolicy()))
        else:
            retry = before.retry
        if retry.quota != self._shared.quota.capacity:
            self._shared = replace(self._shared, quota=RetryQuota(retry.quota))
        self._settings = Settings(
            platform=platform,
            base_url=common.get("base_url") or platform.base_url,
            auth=self._auth(common, platform) if before is None or "auth" in changed else before.auth,
            limiter=limits.limiter,
            limits=limits.general,
            operation_limits=limits.of_operations,
            retry=retry,
            quota=self._shared.quota,
            watch=before.watch if before is not None and _WATCHING.isdisjoint(changed) else _watch(platform, common),
            on_drift=common.get("on_drift") or self._shared.drift_log,
            deprecations=self._shared.deprecations,
            said=self._shared.said,
            doubts=self._shared.doubts,
            timeout=self._timeout(common),
            deadline=common.get("deadline"),
            max_answer_bytes=common.get("max_answer_bytes", MAX_BYTES),
            strict=common.get("strict", False),
            allow_insecure=common.get("allow_insecure", False),
        )

    @property
    def _connection(self) -> pool.Connection:
        return self._shared.connect()

    @cached_property
    def _sender(self) -> sender.Sender:
        return sender.Sender(self._settings, self._connection)

    def _timeout(self, options: ClientOptions) -> float:
        """Return the timeout that was given here, else to `http_client`, else the usual one."""
        if "timeout" in options:
            return options["timeout"]
        own = None if options.get("http_client") is None else self._shared.connect().own_timeout
        return DEFAULT_TIMEOUT if own is None else own

    def _auth(self, options: ClientOptions, platform: Platform) -> Auth:
        auth = options.get("auth")
        if auth is not None:
            if self._api_key is not None:
                raise ConfigurationError(f"{platform.name} takes api_key or auth, not both")
            if isinstance(auth, DrainableAuth):
                self._shared.auths.add(auth)
            return auth
        key = self._api_key or Secret.of(os.environ.get(platform.api_key_env) or None)
        if key is None:
            raise ConfigurationError(
                f"{platform.name} needs a credential: pass api_key= (or auth=), or set {platform.api_key_env}"
            )
        return BearerAuth(key)

    def _limits(self, options: ClientOptions, platform: Platform) -> _Limits:
        """Return what to keep below: the platform's limits, or in their place those that the user gave."""
        given: object = options.get("rate_limit", platform.limits)
        if callable(getattr(given, "acquire", None)):
            return _Limits.of_platform(platform, cast("RateLimiter", given))
        if "rate_limit" not in options:
            return _Limits.of_platform(platform, self._shared.limiter)
        limits = (given,) if isinstance(given, RateLimit) else () if given is None else given
        if not isinstance(limits, Sequence) or not all(
            isinstance(each, RateLimit) for each in cast("Sequence[object]", limits)
        ):
            raise ConfigurationError(_RATE_LIMIT)
        own = tuple(cast("Sequence[RateLimit]", limits))
        return _Limits(self._shared.limiter if own else None, own, MappingProxyType({}))


@dataclass(frozen=True, kw_only=True)
class _Shared:
    """What a client and its views have in common."""

    connect: Callable[[], pool.Connection]
    limiter: RateLimiter = field(default_factory=MemoryRateLimiter)
    quota: RetryQuota = field(default_factory=partial(RetryQuota, None))
    drift_log: DriftLog = field(default_factory=DriftLog)
    deprecations: Deprecations = field(default_factory=Deprecations)
    said: set[tuple[str, str, str]] = field(default_factory=set[tuple[str, str, str]])
    doubts: Doubts = field(default_factory=Doubts)
    auths: WeakSet[DrainableAuth] = field(default_factory=WeakSet[DrainableAuth])
    """What may be at work in the background."""

    async def aclose(self) -> None:
        """Close the connection pool, once nothing is at work any more."""
        try:
            for auth in list(self.auths):
                await auth.drain()
        finally:
            await self.connect().aclose()


class _Limits(NamedTuple):
    limiter: RateLimiter | None
    general: tuple[RateLimit, ...]
    of_operations: Mapping[str, tuple[RateLimit, ...]]

    @classmethod
    def of_platform(cls, platform: Platform, limiter: RateLimiter) -> _Limits:
        """Return the platform's own limits; none at all need no limiter."""
        limited = platform.limits or platform.operation_limits
        return cls(limiter if limited else None, platform.limits, platform.operation_limits)


class Namespace:
    """A group of a client's methods, each a generated function bound by naming it."""

    __slots__ = ("_client",)

    def __init__(self, client: Caller) -> None:
        self._client = client

    def call(self, call: Call[T], /) -> Coroutine[Any, Any, T]:
        """Send `call` through the client."""
        return self._client.call(call)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._client!r}>"


def _connecting(given: AsyncClient | Transport | None, owner: str) -> Callable[[], pool.Connection]:
    """Return what gives the connection of a client and its views, which is made when it is first asked for.

    What the user gave is looked at now.
    """
    connect = cache(lambda: pool.Connection(given, owner=owner))
    if given is not None:
        connect()
    return connect


def _resolved(platform: Platform) -> Platform:
    """Return `platform` with its defaults read from the environment where they were not given."""
    found = {
        name: replace(default, value=os.environ.get(default.env) or None)
        for name, default in platform.defaults.items()
        if not default.value
    }
    return replace(platform, defaults=MappingProxyType({**platform.defaults, **found})) if found else platform


def _watch(platform: Platform, options: ClientOptions) -> Watch:
    given = {name: hook for name, hook in options.items() if name in _HOOKS}
    return Watch(platform.name, Hooks(**cast("dict[str, Any]", given)), observers=options.get("observers", ()))


def _checked_policy(given: object) -> RetryPolicy:
    if given is None:
        return RetryPolicy(max_attempts=1)
    if not isinstance(given, RetryPolicy):
        raise ConfigurationError(f"retry takes a RetryPolicy or None, not {type(given).__name__}")
    return given
