"""`Sandbox`: a stateful stand-in for the platform, as real HTTP on loopback."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from enum import Enum
from types import TracebackType
from typing import Any, Final, Generic, Literal, TypedDict, overload

import anyio
from typing_extensions import Self, TypeVar, Unpack, override

from dialogkit.testing.engine.platform import Platform
from dialogkit.testing.engine.state import State
from dialogkit.testing.errors import SandboxError
from dialogkit.testing.faults import Fault
from dialogkit.testing.hooks.deliveries import Delivery
from dialogkit.testing.hooks.webhooks import Webhooks
from dialogkit.testing.hoopai.conveniences import Conveniences
from dialogkit.testing.hoopai.state import HoopAIState
from dialogkit.testing.platforms import OtherName, PlatformName, Tier, platform_named
from dialogkit.testing.serving.app import SandboxApp, Settings
from dialogkit.testing.serving.injection import Injection
from dialogkit.testing.serving.log import LoggedRequest
from dialogkit.testing.serving.server import ServerError, ServerThread

S = TypeVar("S", bound=State, default=HoopAIState)


class _Default(Enum):
    """What the platform gives unless one asks for something else."""

    SMALLEST = "the platform's smallest tier"

    @override
    def __repr__(self) -> str:
        return f"<{self.value}>"

    __str__ = __repr__


SMALLEST: Final = _Default.SMALLEST


class _Options(TypedDict, total=False):
    """What all sandboxes take."""

    host: str
    port: int
    tier: Tier | None
    api_key: str | None
    seed: bool | Literal["live"]
    upload_limit: int
    validate_responses: bool
    lenient: bool
    hosts: Collection[str]
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    on_request: Callable[[LoggedRequest], None] | None
    on_delivery: Callable[[Delivery], None] | None
    webhook_timeout: float | None
    webhook_backoff: float | None
    webhook_attempts: int | None


class Sandbox(Conveniences, Generic[S]):
    """A stand-in for a platform, in a thread of its own: it serves asyncio, trio and synchronous code alike.

    It is driven by the OpenAPI document that the client is made from: it refuses what the document forbids, and
    remembers what it is told. Where the live platform was observed to be stricter than its documentation, or to answer
    in another shape, it does as the platform does, unless it is `lenient`. Use it as a context manager, asynchronous
    or not::

        async with Sandbox() as sandbox:
            async with HoopAI(sandbox.api_key, base_url=sandbox.url, location_id=sandbox.location_id) as hoop:
                ...

        async with Sandbox(platform="convoai") as sandbox:
            async with ConvoAI(sandbox.api_key, base_url=sandbox.url) as convo:
                ...

    A sandbox of HoopAI, which is what `Sandbox` alone means in an annotation, has conveniences that others lack, such
    as `add_conversations` and `location_id`; write `Sandbox[Any]` for one of another platform.

    Args:
        host: Address to bind.
        port: Port to bind; 0 for any that is free, see `url`.
        tier: Whose rate limits hold, None for none. Of HoopAI: `standard` (60 a minute and 10 a second), `agency`
            (twice that) or `marketplace` (100 in 10 seconds and 200,000 a day). Of HoverBot: `standard` (600 a minute,
            1,200 at once). Of ConvoAI: `free`, `pro` or `enterprise`. The platform's smallest unless given.
        api_key: The key that is accepted, besides tokens that HoopAI's `/oauth/token` issues. ConvoAI accepts
            `ck_test_sandbox`, which is shown, and `ck_live_sandbox`, each with limits of its own.
        location_id: The location that the key is for; HoopAI alone has locations.
        seed: Whether to start with a few rows that have fixed ids. HoopAI: `conversation_1` with `contact_1`, with
            `message_1`, the call `message_call` and the email `email_1`; `conversation_2`; `bot_1`; `agent_1`;
            `voice_agent_1` with `call_1`; `knowledge_base_1`. HoverBot: `conversation_1`, `source_1`. ConvoAI:
            `agent_1`, which is active and has `document_1`, and `agent_2`, a draft. With `"live"`, HoopAI has
            `conversation_live` besides, whose answers lack and distort fields as live ones were seen to: a client
            should survive them.
        upload_limit: Largest file that an upload may have, in bytes.
        validate_responses: Whether to check each answer against the document. One that does not conform is
            answered 500 instead, and leaving the sandbox raises `SandboxError`.
        lenient: Whether HoopAI's sandbox is kinder than the platform: it takes any `Version`, parameters and properties
            that nobody knows, and `locationId` in a search for agents; each 429 has `Retry-After`; and answers are
            shaped as documented, not as observed.
        hosts: Names that requests may call it by, besides names without a dot and numeric addresses: others are refused
            with 421, since a page in a browser could reach it under a name of its own.
        clock: What time it is, in epoch seconds: it dates rows, and lets tokens and signed links expire.
        monotonic: The clock of the rate limits, in seconds.
        on_request: Called with each request when it is known what becomes of it, in the sandbox's thread.
        on_delivery: Called with each webhook delivery after each attempt, in the sandbox's thread.
        webhook_timeout: Seconds within which a webhook must be answered, 5 unless given.
        webhook_backoff: Seconds before a webhook is delivered again; each further pause is twice as long. Unless given,
            as the platform does it: HoopAI repeats after 2 minutes, up to 12 times within three days, and after 10
            minutes each time it is told 429; HoverBot after 80 seconds, up to 11 times within a day; of ConvoAI nothing
            is known, it is half a second. `advance` lets the time pass.
        webhook_attempts: How often a webhook is delivered until it is accepted, at most. Unless given, as the platform
            does it, or 6 times with a `webhook_backoff`.
        platform: What to stand in for: `hoopai`, `hoverbot` or `convoai`.

    Raises:
        ValueError: There is no such platform, or it has no such tier.

    """

    @overload
    def __init__(
        self: Sandbox[HoopAIState],
        *,
        platform: Literal["hoopai"] = ...,
        location_id: str = ...,
        **options: Unpack[_Options],
    ) -> None: ...

    @overload
    def __init__(self: Sandbox[State], *, platform: OtherName, **options: Unpack[_Options]) -> None: ...

    @overload
    def __init__(self, *, platform: Platform[S], location_id: str = ..., **options: Unpack[_Options]) -> None: ...

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tier: Tier | _Default | None = SMALLEST,
        api_key: str | None = None,
        location_id: str = "loc_sandbox",
        seed: bool | Literal["live"] = True,
        upload_limit: int = 5 * 1024 * 1024,
        validate_responses: bool = False,
        lenient: bool = False,
        hosts: Collection[str] = (),
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        on_request: Callable[[LoggedRequest], None] | None = None,
        on_delivery: Callable[[Delivery], None] | None = None,
        webhook_timeout: float | None = None,
        webhook_backoff: float | None = None,
        webhook_attempts: int | None = None,
        platform: Platform[Any] | PlatformName = "hoopai",
    ) -> None:
        stood_in_for: Platform[S] = platform if isinstance(platform, Platform) else platform_named(platform)
        if lenient:
            stood_in_for = replace(stood_in_for, **stood_in_for.lenient)
        self._clock, self._monotonic = _Shifted(clock), _Shifted(monotonic)
        settings = Settings(
            platform=stood_in_for,
            tier=_known_tier(stood_in_for, tier),
            api_key=stood_in_for.keys[0] if api_key is None else api_key,
            account=location_id,
            seed=seed,
            lenient=lenient,
            hosts=frozenset({host, *hosts}),
            upload_limit=upload_limit,
            validate_responses=validate_responses,
            clock=self._clock,
            monotonic=self._monotonic,
            persistence=stood_in_for.persistence.but(
                timeout=webhook_timeout, backoff=webhook_backoff, attempts=webhook_attempts
            ),
        )
        self.api_key = settings.api_key
        self.host = host
        self._app = SandboxApp(settings, on_request, on_delivery)
        self._server = _Server(self._app, host, port)

    @property
    def platform(self) -> Platform[S]:
        """What it stands in for."""
        return self._app.settings.platform

    @property
    def tier(self) -> str | None:
        """Whose rate limits hold."""
        return self._app.settings.tier

    @property
    def url(self) -> str:
        """The base URL to give to a client, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self._server.port}{self._app.prefix}"

    @property
    def app(self) -> SandboxApp[S]:
        """The sandbox as an ASGI app, for whoever brings a server or a transport of their own."""
        return self._app

    @property
    def requests(self) -> Sequence[LoggedRequest]:
        """What has arrived since the last `reset`, oldest first; the newest 10,000.

        A request is there from the moment it arrives, and its `status` once that is known.
        """
        return tuple(self._app.log)

    @property
    def webhooks(self) -> Webhooks:
        """Who is told of events.

        Register your app's endpoint, and it gets them signed, over HTTP::

            hook = sandbox.webhooks.register("http://127.0.0.1:8000/webhooks/hoopai")
            sandbox.webhooks.emit("ConversationEscalated", {"conversationId": "conversation_1"})
            sandbox.webhooks.wait()

        These happen by themselves at HoopAI: `InboundMessage` and `OutboundMessage` when messages are added by a call
        or by `add_messages` and `add_conversations`, unless they are scheduled; `ConversationUnreadUpdate`;
        `BotStatusChanged`; `KnowledgeBaseUpdated` when a bot's knowledge grows or shrinks. At HoverBot:
        `conversation.created`; `message.responded`; `lead.qualified` when a user tells an email address;
        `escalation.created`. At ConvoAI, `conversation.created` with the first message to a contact in 24 hours; what
        its API registers is told, too, if it is on this machine.
        """
        return self._app.webhooks

    @property
    def deliveries(self) -> Sequence[Delivery]:
        """What was delivered to webhooks since the last `reset`, oldest first; the newest 10,000."""
        return self._app.webhooks.deliveries

    def advance(self, seconds: float) -> None:
        """Let time pass: tokens expire, links lapse, limits clear, and webhooks that wait are delivered again.

        It does not wait for these deliveries; `webhooks.wait(repeats=False)` does::

            sandbox.advance(3 * 24 * 3600)  # whatever a platform repeats, it has repeated by then
            sandbox.webhooks.wait(repeats=False)

        Args:
            seconds: How much, on top of what the clocks say by themselves.

        Raises:
            ValueError: `seconds` is negative, or no number.

        """
        if not 0 <= seconds < math.inf:
            raise ValueError(f"seconds must be a number from 0 up, not {seconds!r}.")
        for clock in (self._clock, self._monotonic):
            clock.ahead += seconds
        self.webhooks.advance(seconds)

    def reset(self) -> None:
        """Forget everything: rows, tokens, what counts towards the limits, faults, webhooks, `requests`, and `advance`.

        The port and the key that webhooks are signed with stay.
        """
        for clock in (self._clock, self._monotonic):
            clock.ahead = 0.0
        self._app.reset()

    def inject(
        self, fault: Fault, *, on: str, times: int | None = None, rate: float | None = None, seed: int | None = None
    ) -> Injection:
        """Let requests meet a fault, until `times` are up or it is removed.

        Two examples::

            sandbox.inject(faults.Status(503, retry_after=1), on="list_bots", times=2)
            with sandbox.inject(faults.Latency(0.2), on="*", rate=0.05, seed=1):
                ...

        Of several faults that a request could meet, it meets the one that was set first; so two faults with `times=1`
        each come one after the other.

        Args:
            fault: One of `dialogkit.testing.faults`.
            on: Which requests: those of one operation, by its id (`send_message`) or its route
                (`POST /conversations/messages`), or all (`*`), links to files and unknown paths included.
            times: How many of them at most; None for no end.
            rate: Which share of them, from 0 to 1, drawn at random; None for each.
            seed: Lets the same requests in the same order draw the same.

        Returns:
            What counts the hits, and removes the fault: by `remove()`, or at the end of a `with`.

        Raises:
            TypeError: `fault` is none.
            ValueError: There is no such operation or route, `times` or `rate` is out of range, or `seed` comes without
                `rate`.

        """
        return self._app.injections.add(fault, on, times=times, rate=rate, seed=seed)

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._app.injections.clear()

    def start(self) -> None:
        """Start to answer requests.

        Raises:
            SandboxError: The port is taken, or the server failed to start.

        """
        try:
            self._server.start()
        except ServerError as error:
            raise SandboxError(str(error)) from error

    def stop(self) -> None:
        """Stop, and free the port.

        Raises:
            SandboxError: It did not stop, or with `validate_responses` an answer did not conform.

        """
        try:
            self._server.stop()
        except ServerError as error:
            raise SandboxError(str(error)) from error
        if self._app.settings.validate_responses and self._app.failures:
            raise SandboxError("The sandbox was wrong:\n" + "\n".join(self._app.failures))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        self.start()  # takes some 10 ms; in a thread, a cancellation could come between starting and being entered
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.stop)


def _known_tier(platform: Platform[Any], tier: str | _Default | None) -> str | None:
    tiers = list(platform.tiers)
    if isinstance(tier, _Default):
        return tiers[0]
    if tier is not None and tier not in tiers:
        raise ValueError(f"{platform.name} has the tiers {', '.join(tiers)}, not {tier!r}.")
    return tier


class _Shifted:
    """A clock that can be put ahead."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.ahead = 0.0

    def __call__(self) -> float:
        return self._clock() + self.ahead


class _Server(ServerThread):
    """Serves the app, and delivers its webhooks in the same event loop."""

    def __init__(self, app: SandboxApp[Any], host: str, port: int) -> None:
        super().__init__(app, host, port)
        self._webhooks = app.webhooks

    @override
    async def _serve(self, listener: socket.socket) -> None:
        async with self._webhooks.delivering():
            await super()._serve(listener)
