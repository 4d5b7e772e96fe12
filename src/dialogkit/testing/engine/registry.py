"""How a handler gets at a request, and how the app finds the handler of an operation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic

from typing_extensions import TypeVar

from dialogkit.testing.engine.document import Json, Operation
from dialogkit.testing.engine.state import Credential, Row, State
from dialogkit.testing.hooks.events import Event
from dialogkit.testing.hooks.webhooks import Webhooks

S = TypeVar("S", bound=State, default=State)


@dataclass(frozen=True)
class Answer:
    """What goes back. A handler returns one only when it answers with something else than JSON."""

    status: int
    content: bytes = b""
    media_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def json(cls, status: int, value: Any, headers: Mapping[str, str] | None = None) -> Answer:
        """Make an answer with a JSON body."""
        content = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        return cls(status, content, "application/json", headers or {})

    @classmethod
    def file(cls, content: bytes, media_type: str, name: str) -> Answer:
        """Make an answer that is a file to save."""
        return cls(200, content, media_type, {"Content-Disposition": f'attachment; filename="{name}"'})


@dataclass(frozen=True)
class Outcome:
    """What a handler returns when its operation has caused events."""

    answer: Any
    """What the handler would return otherwise."""
    events: Sequence[Event]


@dataclass(frozen=True)
class UploadedFile:
    """One file part of a multipart body."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class Call(Generic[S]):
    """One valid request, as a handler sees it."""

    operation: Operation
    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Json
    files: Sequence[UploadedFile]
    credential: Credential
    state: S
    base_url: str
    """Where the sandbox was called, for links to it."""
    trace_id: str
    upload_limit: int
    tier: str | None
    """Whose rate limits hold; None for none."""
    webhooks: Webhooks
    lenient: bool = False
    """Whether the sandbox is kinder than the platform."""


Handler = Callable[[Any], Any]
"""Gets what the platform makes of a `Call`, and returns the JSON body of the declared success status, None for an empty
one, an `Answer`, or any of these in an `Outcome`."""


class Registry(Mapping[str, Handler]):
    """The handlers of one platform by operation id."""

    def __init__(self, *parts: Registry) -> None:
        self._handlers: dict[str, Handler] = {}
        for part in parts:
            self._handlers.update(part)

    def handles(self, operation_id: str) -> Callable[[Handler], Handler]:
        """Register the decorated function for an operation."""

        def register(handler: Handler) -> Handler:
            if operation_id in self._handlers:
                raise ValueError(f"two handlers for {operation_id}")
            self._handlers[operation_id] = handler
            return handler

        return register

    def __getitem__(self, operation_id: str) -> Handler:
        return self._handlers[operation_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._handlers)

    def __len__(self) -> int:
        return len(self._handlers)


def pick(row: Row, *names: str) -> Row:
    """Return the named values of a row, without those it lacks."""
    return {name: row[name] for name in names if name in row}
