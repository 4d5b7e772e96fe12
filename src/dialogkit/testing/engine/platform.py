"""What makes the sandbox one platform rather than another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol

from dialogkit.testing.engine.document import Json, Match, Operation
from dialogkit.testing.engine.limits import HeaderStyle, Window, retry_after
from dialogkit.testing.engine.refusals import Refusal
from dialogkit.testing.engine.registry import Call, Registry, S
from dialogkit.testing.hooks.deliveries import Persistence
from dialogkit.testing.hooks.signer import Signatures


def _nothing() -> Mapping[Any, Any]:
    return {}


def _a_minute() -> Persistence:
    return Persistence(timeout=5.0, backoff=0.5, attempts=6)


def _nobody(_: Arrival, __: object) -> str | None:
    return None


def _as_it_is(call: Any) -> Any:
    return call


def _unchanged(body: Any, _: str) -> Any:
    return body


def _any_will_do(_: Mapping[str, str]) -> None:
    """Take a call with whatever headers it has."""


class Envelope(Protocol):
    """Makes what is sent of an event. What `data` has wins."""

    def __call__(self, event: str, data: Mapping[str, Any], *, id_: str, now: float, account: str) -> Json:
        """Return the payload of `event`, delivered as `id_` at `now` (epoch seconds)."""
        ...


@dataclass(frozen=True)
class Arrival:
    """A request of which no more is known than what it is for: its arguments are not validated yet."""

    match: Match
    operation: Operation
    query: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Platform(Generic[S]):
    """A platform that the sandbox can stand in for."""

    name: str
    """As users write it; its client has the same name."""
    document: str
    """File name of its OpenAPI document."""
    handlers: Registry
    keys: tuple[str, ...]
    """What is accepted as an API key; the first is the one that a sandbox shows."""
    tiers: Mapping[str, tuple[Window, ...]]
    """Rate limits. The first tier is the one that is taken unless another is asked for."""
    own_limits: Mapping[str, tuple[Window, ...]] = field(default_factory=_nothing)
    """Operations that are counted by limits of their own, in place of the tier's."""
    further_limits: Mapping[str, Mapping[str, tuple[Window, ...]]] = field(default_factory=_nothing)
    """Operations that are counted by limits of their own besides the tier's, by tier."""
    daily: int | None = None
    """Requests a day, in every tier; None for any number."""
    limit_headers: HeaderStyle = retry_after
    counted_with: Callable[[Arrival, S], str | None] = _nobody
    """Says which account of its credential a request is counted with, where each has limits of its own."""
    limits_strangers: bool = False
    """Whether answers to nobody known tell of the limits, too."""
    check_headers: Callable[[Mapping[str, str]], None] = _any_will_do
    """Refuses a call for its headers, except to operations that need no credential."""
    refuses_strangers: bool = False
    """Whether it refuses query parameters and properties of JSON that its document does not know."""
    prepare: Callable[[Call[S]], Any] = _as_it_is
    """Makes what handlers get of a valid request, or refuses it."""
    finish: Callable[[Any, str], Any] = _unchanged
    """Makes what goes out of a handler's JSON and the trace id."""
    error_body: Callable[[Refusal, str], Json]
    """Builds the body of a refusal from it and the trace id."""
    nonsense: int = 422
    """The status of a request that can be read but makes no sense."""
    new_state: Callable[[str, Callable[[], float]], S]
    """Makes a state of an account and a clock."""
    seed: Callable[[S], None]
    """Puts a few rows with fixed ids into a new state."""
    further_seeds: Mapping[str, Callable[[S], None]] = field(default_factory=_nothing)
    """Further rows, by the name that a sandbox is told."""
    envelope: Envelope
    signatures: Signatures
    """How its webhooks are signed."""
    client_options: Mapping[str, str] = field(default_factory=_nothing)
    """The arguments that its client should get besides key and URL: which attribute of the sandbox each takes."""
    persistence: Persistence = field(default_factory=_a_minute)
    """How its webhooks are repeated."""
    lenient: Mapping[str, Any] = field(default_factory=_nothing)
    """What is otherwise in a sandbox that is kinder than the platform: values of the fields above."""
    environment: frozenset[str] = frozenset()
    """Which of these the client reads from the environment, too."""
