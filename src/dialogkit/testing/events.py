"""What a request has caused, besides its answer: events, which go to whoever is registered for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dialogkit.testing.document import Document, Json
from dialogkit.testing.schemas import Schemas


@dataclass(frozen=True)
class Event:
    """Something that happened."""

    name: str
    """As the document's `webhooks` section has it."""
    data: Json
    """Its own fields; the envelope is added when it is sent."""


@dataclass(frozen=True)
class Outcome:
    """What a handler returns when its operation has caused events."""

    answer: Any
    """What the handler would return otherwise."""
    events: Sequence[Event]


def check_event(document: Document, schemas: Schemas, name: str, payload: Json) -> str | None:
    """Return what is wrong with an event, as a sentence; None if it conforms, or if the document does not know it."""
    described = document.raw.get("webhooks", {}).get(name)
    if described is None:
        return None
    content = document.resolve(described["post"]["requestBody"])["content"]
    problems = schemas.problems(content["application/json"]["schema"], payload)
    texts = "; ".join(problem.text for problem in problems)
    return f"The event {name} does not conform to the document: {texts}." if problems else None
