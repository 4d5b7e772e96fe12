"""What HoopAI's sandbox remembers besides rows: locations, and who may have tokens for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dialogkit.testing.engine.state import State


@dataclass(frozen=True)
class Grant:
    """What a code or a refresh token can be exchanged for."""

    user_type: str
    """`Company` or `Location`."""
    location_id: str
    scopes: frozenset[str] | None = None
    """What the tokens allow; None for everything."""


class HoopAIState(State):
    """The state of a sandbox of HoopAI, whose accounts are locations.

    Args:
        account: The location that a request is about when nothing in it says so.
        clock: Epoch seconds.

    """

    def __init__(self, account: str, clock: Callable[[], float]) -> None:
        super().__init__(account, clock)
        self.locations = [account]
        self.company_id = "company_sandbox"
        self.client_id = "sandbox-client"
        self.client_secret = "sandbox-client-secret"  # noqa: S105 - it guards nothing but the sandbox
        self.codes: dict[str, Grant] = {}
        self.refresh_tokens: dict[str, Grant] = {}
