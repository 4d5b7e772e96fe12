"""An ASGI app on a loopback port, in a thread and an event loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable, Generator
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from dialogkit.testing.serving.wire import STATE

_PATIENCE: Final = 10.0
"""Seconds that starting or stopping may take before it counts as a failure."""


class ServerError(RuntimeError):
    """The server could not be started or stopped."""


class _Protocol(H11Protocol):
    """A connection that its requests can find in the ASGI scope, so as to close it: see `wire.Connection`."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, STATE: self}, _loop)
        self._held = False
        self._stopping = False

    def hang_up(self, *, reset: bool = False) -> None:
        if not reset:
            self.transport.close()
            return
        # With nothing to linger for, the operating system resets the connection rather than closing it in good order.
        linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()

    @contextlib.contextmanager
    def held(self) -> Generator[None]:
        self._held = True
        if self._stopping:
            self.transport.abort()
        try:
            yield
        finally:
            self._held = False

    def shutdown(self) -> None:
        self._stopping = True
        super().shutdown()
        if self._held:
            self.transport.abort()


class _Uvicorn(uvicorn.Server):
    """Stops at once when told to, rather than at its next look at a flag, and says when it has started."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._on_started()

    async def main_loop(self) -> None:
        while not self._stop.is_set():
            await self.on_tick(counter=0)  # sets the Date header
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stop.wait(), timeout=1)

    def stop(self) -> None:
        """Make the server stop; to be called from another thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)


class ServerThread:
    """Serves an app until it is stopped.

    Args:
        app: What to serve.
        host: Address to bind.
        port: Port to bind; 0 for any that is free.

    """

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._app = app
        self._wanted = (host, port)
        self._server: _Uvicorn | None = None
        self._thread: threading.Thread | None = None
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self.port = port

    def start(self) -> None:
        """Bind the port, and return once requests are answered.

        Raises:
            ServerError: The port is taken, the address is not this machine's, or the server failed to start.

        """
        host, port = self._wanted
        try:
            listener = _listen(host, port)
        except OSError as error:
            raise ServerError(f"The sandbox cannot listen on {host}:{port}: {error.strerror or error}.") from error
        self.port = listener.getsockname()[1]
        self._started.clear()
        self._failure = None
        self._thread = threading.Thread(target=self._run, args=(listener,), name="dialogkit-sandbox", daemon=True)
        self._thread.start()
        if not self._started.wait(_PATIENCE) or self._failure is not None:
            raise ServerError(f"The sandbox did not start on {host}:{self.port}.") from self._failure

    def stop(self) -> None:
        """Stop serving, and return once the port is free. Stopping what is not running does nothing.

        Raises:
            ServerError: The server did not stop, or failed while it ran.

        """
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._server is not None:
            self._server.stop()
        thread.join(_PATIENCE)
        if thread.is_alive():
            raise ServerError(f"The sandbox on port {self.port} did not stop.")
        if self._failure is not None:
            raise ServerError(f"The sandbox on port {self.port} failed.") from self._failure

    def _run(self, listener: socket.socket) -> None:
        try:
            asyncio.run(self._serve(listener))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._failure = error
        finally:
            listener.close()
            self._started.set()

    async def _serve(self, listener: socket.socket) -> None:
        options: dict[str, Any] = {"lifespan": "off", "ws": "none", "http": _Protocol, "loop": "asyncio"}
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            log_level="warning",
            timeout_keep_alive=60,
            timeout_graceful_shutdown=2,
            **options,
        )
        self._server = _Uvicorn(config, self._started.set)
        await self._server.serve([listener])


def _listen(host: str, port: int) -> socket.socket:
    """Bind a listening socket, with its protocol spelled out.

    asyncio sets TCP_NODELAY on no other, and each answer on a connection that is kept alive would wait 40 ms for an
    acknowledgement.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except BaseException:
        listener.close()
        raise
    return listener
