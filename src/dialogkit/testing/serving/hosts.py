"""Which names the sandbox answers to.

A page in a browser could otherwise reach it from anywhere: its owner lets a name of theirs lead to 127.0.0.1 (DNS
rebinding), and the browser takes the sandbox for theirs. Nobody owns a numeric address or a name without a dot, such as
`localhost` or that of a container.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from dialogkit.testing.engine.refusals import Refusal


def check_host(header: str | None, further: Collection[str]) -> None:
    """Refuse with 421 a request whose header `Host` names somebody else.

    Args:
        header: As it was sent, with or without a port; None if there was none, which no browser does.
        further: Names that are taken besides this machine's.

    """
    if header is None or _is_ours(header, further):
        return
    message = (
        f"The sandbox is not {header}: it answers to names without a dot and numeric addresses only, so that no page "
        "in a browser can reach it under a name of its own. Sandbox(hosts=[...]) names further ones."
    )
    raise Refusal(421, message)


def _is_ours(header: str, further: Collection[str]) -> bool:
    try:
        host = urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return False
    return "." not in host or host.endswith(".localhost") or host in further or _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
