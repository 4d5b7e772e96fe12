"""What has happened, besides the answer to a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """Something that happened."""

    name: str
    """As the document's `webhooks` section has it."""
    data: dict[str, Any]
    """Its own fields; the envelope is added when it is sent."""
