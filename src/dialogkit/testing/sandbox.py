"""`Sandbox`: a stateful stand-in for the platform, as real HTTP on loopback."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Literal

import anyio
from typing_extensions import Self, override

from dialogkit.testing import tables
from dialogkit.testing.app import SandboxApp, Settings
from dialogkit.testing.deliveries import Delivery, Persistence
from dialogkit.testing.errors import SandboxError
from dialogkit.testing.faults import Fault
from dialogkit.testing.handlers.webhook_events import message_events
from dialogkit.testing.injection import Injection
from dialogkit.testing.limits import Tier
from dialogkit.testing.log import LoggedRequest
from dialogkit.testing.platforms import Platform, PlatformName, platform_of
from dialogkit.testing.seeding import Seeding
from dialogkit.testing.server import ServerError, ServerThread
from dialogkit.testing.state import State
from dialogkit.testing.webhooks import Webhooks


class Sandbox(Seeding):
    """A stand-in for a platform, in a thread of its own: it serves asyncio, trio and synchronous code alike.

    It is driven by the OpenAPI document that the client is made from: it refuses what the document forbids, and
    remembers what it is told. Use it as a context manager, asynchronous or not::

        async with Sandbox() as sandbox:
            async with HoopAI(sandbox.api_key, base_url=sandbox.url, location_id=sandbox.location_id) as hoop:
                ...

        async with Sandbox(platform="convoai") as sandbox:
            async with ConvoAI(sandbox.api_key, base_url=sandbox.url) as convo:
                ...

    Args:
        host: Address to bind.
        port: Port to bind; 0 for any that is free, see `url`.
        tier: Whose rate limits hold, None for none. Of HoopAI: `standard` (60 a minute and 10 a second) or `agency`
            (twice that). Of HoverBot: `standard` (600 a minute, 1,200 at once). Of ConvoAI: `free`, `pro` or
            `enterprise`. The first of these unless given.
        api_key: The key that is accepted, besides tokens that HoopAI's `/oauth/token` issues. ConvoAI accepts
            `ck_test_sandbox`, which is shown, and `ck_live_sandbox`, each with limits of its own.
        location_id: The location that the key is for; HoopAI alone has locations.
        seed: Whether to start with a few rows that have fixed ids. HoopAI: `conversation_1` with `contact_1`, with
            `message_1`, the call `message_call` and the email `email_1`; `conversation_2`; `bot_1`; `agent_1`;
            `voice_agent_1` with `call_1`; `knowledge_base_1`. HoverBot: `conversation_1`, `source_1`. ConvoAI:
            `agent_1`, which is active and has `document_1`, and `agent_2`, a draft.
        upload_limit: Largest file that an upload may have, in bytes.
        validate_responses: Whether to check each answer against the document. One that does not conform is
            answered 500 instead, and leaving the sandbox raises `SandboxError`.
        clock: What time it is, in epoch seconds: it dates rows, and lets tokens and signed links expire.
        monotonic: The clock of the rate limits, in seconds.
        on_request: Called with each request when it is known what becomes of it, in the sandbox's thread.
        on_delivery: Called with each webhook delivery after each attempt, in the sandbox's thread.
        webhook_timeout: Seconds within which a webhook must be answered.
        webhook_backoff: Seconds before a webhook is delivered again; each further pause is twice as long.
        webhook_attempts: How often a webhook is delivered until it is accepted, at most. By default this takes no more
            than 46 seconds, which is less than the 5 minutes after which a verifier finds a delivery stale.
        platform: What to stand in for: `hoopai`, `hoverbot` or `convoai`.

    Raises:
        ValueError: There is no such platform, or it has no such tier.

    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tier: Tier | Literal["first"] | None = "first",
        api_key: str | None = None,
        location_id: str = "loc_sandbox",
        seed: bool = True,
        upload_limit: int = 5 * 1024 * 1024,
        validate_responses: bool = False,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        on_request: Callable[[LoggedRequest], None] | None = None,
        on_delivery: Callable[[Delivery], None] | None = None,
        webhook_timeout: float = 5.0,
        webhook_backoff: float = 0.5,
        webhook_attempts: int = 6,
        platform: Platform | PlatformName = "hoopai",
    ) -> None:
        platform = platform_of(platform)
        settings = Settings(
            platform=platform,
            tier=_known_tier(platform, tier),
            api_key=platform.keys[0] if api_key is None else api_key,
            location_id=location_id,
            seed=seed,
            upload_limit=upload_limit,
            validate_responses=validate_responses,
            clock=clock,
            monotonic=monotonic,
            persistence=Persistence(webhook_timeout, webhook_backoff, webhook_attempts),
        )
        self.api_key = settings.api_key
        self.location_id = location_id
        self.host = host
        self._app = SandboxApp(settings, on_request, on_delivery)
        super().__init__(self._state_of_hoopai, self._app.lock)
        self._server = _Server(self._app, host, port)

    def _state_of_hoopai(self) -> State:
        if not self.platform.locations:
            raise SandboxError(f"A sandbox of {self.platform.name} has only what its API can make: this is for HoopAI.")
        return self._app.state

    @property
    def platform(self) -> Platform:
        """What it stands in for."""
        return self._app.settings.platform

    @property
    def tier(self) -> Tier | None:
        """Whose rate limits hold."""
        return self._app.settings.tier

    @property
    def url(self) -> str:
        """The base URL to give to a client, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self._server.port}"

    @property
    def app(self) -> SandboxApp:
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

    def reset(self) -> None:
        """Forget everything: rows, tokens, what counts towards the limits, faults, webhooks, and `requests`.

        The port and the key that webhooks are signed with stay.
        """
        self._app.reset()

    @override
    def add_conversations(self, count: int, *, location_id: str | None = None, **values: Any) -> list[str]:
        with self._lock:
            ids = super().add_conversations(count, location_id=location_id, **values)
            self._announce_newest(len(ids))
        return ids

    @override
    def add_messages(
        self, conversation_id: str, count: int, *, channel: str = "SMS", direction: str = "inbound"
    ) -> list[str]:
        with self._lock:
            ids = super().add_messages(conversation_id, count, channel=channel, direction=direction)
            self._announce_newest(len(ids))
        return ids

    def _announce_newest(self, count: int) -> None:
        """Tell whoever is registered of the messages that were added last."""
        if count and self.webhooks.registrations:
            state = self._app.state
            self.webhooks.announce(message_events(state, *list(tables.messages(state))[-count:]))

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


def _known_tier(platform: Platform, tier: str | None) -> Tier | None:
    if tier is None:
        return None
    tiers = list(platform.tiers)
    if tier == "first":
        return tiers[0]
    for each in tiers:
        if each == tier:
            return each
    raise ValueError(f"{platform.name} has the tiers {', '.join(tiers)}, not {tier!r}.")


class _Server(ServerThread):
    """Serves the app, and delivers its webhooks in the same event loop."""

    def __init__(self, app: SandboxApp, host: str, port: int) -> None:
        super().__init__(app, host, port)
        self._webhooks = app.webhooks

    @override
    async def _serve(self, listener: socket.socket) -> None:
        async with self._webhooks.delivering():
            await super()._serve(listener)
