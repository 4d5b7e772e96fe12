"""A guard for tests: sockets that connect to this machine only."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def refuse_others(monkeypatch: pytest.MonkeyPatch) -> Generator[list[str]]:
    """Refuse what leads beyond this machine, and yield a list that the names of the refused grow in."""
    refused: list[str] = []

    def check(host: object) -> None:
        if not is_this_machine(host):
            refused.append(str(host))
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"only this machine may be reached in tests, not {host}")

    def connecting(connect: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(self: socket.socket, address: Any) -> Any:
            if self.family in {socket.AF_INET, socket.AF_INET6}:
                check(address[0])
            return connect(self, address)

        return guarded

    def looking_up(look_up: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(host: Any, *arguments: Any, **options: Any) -> Any:
            check(host)
            return look_up(host, *arguments, **options)

        return guarded

    with monkeypatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, connecting(getattr(socket.socket, name)))
        patch.setattr(socket, "getaddrinfo", looking_up(socket.getaddrinfo))
        yield refused


def is_this_machine(host: object) -> bool:
    """Say whether a host, as a socket or a look-up is given it, is this machine; nothing and the empty name are."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name is None or name in {"", "localhost"} or (isinstance(name, str) and name.endswith(".localhost")):
        return True
    try:
        address = ipaddress.ip_address(str(name).partition("%")[0])
    except ValueError:
        return name == socket.gethostname()
    return address.is_loopback or address.is_unspecified
