"""A Redis of one's own, on a Unix socket, without persistence.

    with RedisServer.started() as server:
        client = server.client()

Needs the program `redis-server`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from typing_extensions import Self

from tests.support import programs


class RedisServer:
    """A server that can be stopped and started again."""

    def __init__(self, program: str, folder: Path) -> None:
        self._folder = folder
        self._program = program
        self.socket = str(folder / "socket")
        self.start()

    @classmethod
    @contextlib.contextmanager
    def started(cls) -> Generator[Self, None, None]:
        """Start one, and end it when the block ends."""
        program = programs.find("redis-server", package="redis-server")
        # A short path, as the name of a socket may not be long.
        with tempfile.TemporaryDirectory(prefix="dk-redis-") as folder:
            server = cls(program, Path(folder))
            try:
                yield server
            finally:
                server.stop()

    def start(self) -> None:
        """Return when it accepts connections."""
        options = {"port": "0", "unixsocket": self.socket, "save": "", "appendonly": "no", "dir": str(self._folder)}
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen([self._program, *arguments], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        said = ""
        for line in self._process.stdout:
            said += line
            if "ready to accept connections" in line.lower():
                return
        pytest.fail(f"redis-server does not start:\n{said}")

    def stop(self) -> None:
        """End it, and all that it knows."""
        if self._process.poll() is None:
            self.go_on()
            self._process.terminate()
            self._process.communicate()

    def freeze(self) -> None:
        """Make it silent."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Undo `freeze`."""
        self._process.send_signal(signal.SIGCONT)

    def client(self) -> Redis:
        """Return a new client, which is the caller's to close."""
        return Redis(unix_socket_path=self.socket)


async def until(condition: Callable[[], bool]) -> None:
    """Let other tasks run until `condition` holds."""
    while not condition():  # noqa: ASYNC110 - what it is about knows nothing of events
        await asyncio.sleep(0)


@contextlib.contextmanager
def at_most(seconds: int) -> Generator[None, None, None]:
    """Fail when the block has not ended by then; for tests that would hang if what they test were wrong."""

    def ring(number: int, frame: object) -> None:
        pytest.fail(f"this hangs: it has not ended after {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
