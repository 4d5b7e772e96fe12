"""The log of what arrived, for tests to look at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LoggedRequest:
    """One request and what became of it. Neither query, headers nor body are kept: they may hold secrets."""

    method: str
    path: str
    """As it was sent, percent-encoded, without the query."""
    operation_id: str | None
    """The operation in the OpenAPI document; None for a path or method that it lacks, and for the sandbox's own
    links to files."""
    status: int
