"""`Sandbox`: a stateful stand-in for the platform, as real HTTP on loopback."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final

import anyio
from typing_extensions import Self

from dialogkit.testing.app import SandboxApp, Settings
from dialogkit.testing.limits import Tier
from dialogkit.testing.log import LoggedRequest
from dialogkit.testing.platforms import HOOPAI, Platform
from dialogkit.testing.seeding import Seeding
from dialogkit.testing.server import ServerError, ServerThread

_LOG_LENGTH: Final = 10_000


class SandboxError(RuntimeError):
    """The sandbox could not start or stop, or was caught doing something that it must not do."""


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
        on_request: Called after each request, in the sandbox's thread.
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
        self._log: deque[LoggedRequest] = deque(maxlen=_LOG_LENGTH)
        self._on_request = on_request
        self._app = SandboxApp(settings, self._record)
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
        """What has arrived since the last `reset`, oldest first; the newest 10,000."""
        with self._app.lock:
            return tuple(self._log)

    def reset(self) -> None:
        """Forget everything: rows, tokens, what counts towards the limits, and `requests`. The port stays."""
        with self._app.lock:
            self._app.reset()
            self._log.clear()

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
        if self._app.settings.validate_responses and self._app.faults:
            raise SandboxError("The sandbox was wrong:\n" + "\n".join(self._app.faults))

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

    def _record(self, request: LoggedRequest) -> None:
        with self._app.lock:
            self._log.append(request)
        if self._on_request is not None:
            self._on_request(request)
