"""`Sandbox`: a stateful stand-in for the platform, as real HTTP on loopback."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType

import anyio
from typing_extensions import Self

from dialogkit.testing.app import SandboxApp, Settings
from dialogkit.testing.errors import SandboxError
from dialogkit.testing.faults import Fault
from dialogkit.testing.injection import Injection
from dialogkit.testing.limits import Tier
from dialogkit.testing.log import LoggedRequest
from dialogkit.testing.platforms import HOOPAI, Platform
from dialogkit.testing.seeding import Seeding
from dialogkit.testing.server import ServerError, ServerThread


class Sandbox(Seeding):
    """A stand-in for HoopAI that runs in a thread of its own, and so serves asyncio, trio and synchronous code alike.

    It is driven by the OpenAPI document that the client is made from: it refuses what the document forbids, and
    remembers what it is told. Use it as a context manager, asynchronous or not::

        async with Sandbox() as sandbox:
            async with HoopAI(sandbox.api_key, base_url=sandbox.url, location_id=sandbox.location_id) as hoop:
                ...

    Args:
        host: Address to bind.
        port: Port to bind; 0 for any that is free, see `url`.
        tier: Whose rate limits hold: `standard` (60 a minute and 10 a second) or `agency` (twice that); None for none.
        api_key: The key that is accepted, besides tokens that `/oauth/token` issues.
        location_id: The location that the key is for.
        seed: Whether to start with a few rows that have fixed ids: `conversation_1` with `contact_1`, with
            `message_1`, the call `message_call` and the email `email_1`; `conversation_2`; `bot_1`; `agent_1`;
            `voice_agent_1` with `call_1`; `knowledge_base_1`.
        upload_limit: Largest file that an upload may have, in bytes.
        validate_responses: Whether to check each answer against the document. One that does not conform is
            answered 500 instead, and leaving the sandbox raises `SandboxError`.
        clock: What time it is, in epoch seconds: it dates rows, and lets tokens and signed links expire.
        monotonic: The clock of the rate limits, in seconds.
        on_request: Called with each request when it is known what becomes of it, in the sandbox's thread.
        platform: What to stand in for.

    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tier: Tier | None = "standard",
        api_key: str = "sandbox-key",
        location_id: str = "loc_sandbox",
        seed: bool = True,
        upload_limit: int = 5 * 1024 * 1024,
        validate_responses: bool = False,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        on_request: Callable[[LoggedRequest], None] | None = None,
        platform: Platform = HOOPAI,
    ) -> None:
        settings = Settings(
            platform=platform,
            windows=None if tier is None else platform.tiers[tier],
            api_key=api_key,
            location_id=location_id,
            seed=seed,
            upload_limit=upload_limit,
            validate_responses=validate_responses,
            clock=clock,
            monotonic=monotonic,
        )
        self.api_key = api_key
        self.location_id = location_id
        self.host = host
        self._app = SandboxApp(settings, on_request)
        super().__init__(lambda: self._app.state, self._app.lock)
        self._server = ServerThread(self._app, host, port)

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

    def reset(self) -> None:
        """Forget everything: rows, tokens, what counts towards the limits, faults, and `requests`. The port stays."""
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
