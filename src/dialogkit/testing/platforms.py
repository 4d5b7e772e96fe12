"""What makes the sandbox one platform rather than another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol, TypeAlias

from dialogkit.testing import limits, seeds
from dialogkit.testing.document import Json
from dialogkit.testing.errors import Refusal, convoai_body, hoopai_body, hoverbot_body
from dialogkit.testing.handlers import HANDLERS, convoai, hoverbot, webhook_events
from dialogkit.testing.limits import HeaderStyle, Tier, Window
from dialogkit.testing.registry import Registry
from dialogkit.testing.state import State

PlatformName: TypeAlias = Literal["hoopai", "hoverbot", "convoai"]
"""The platforms that the sandbox can stand in for."""


def _nothing() -> Mapping[Any, Any]:
    return {}


class Envelope(Protocol):
    """Makes what is sent of an event. What `data` has wins."""

    def __call__(self, event: str, data: Mapping[str, Any], *, id_: str, now: float, location_id: str) -> Json:
        """Return the payload of `event`, delivered as `id_` at `now` (epoch seconds)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Platform:
    """A platform that the sandbox can stand in for."""

    name: str
    """As users write it; its client has the same name."""
    document: str
    """File name of its OpenAPI document."""
    handlers: Registry
    keys: tuple[str, ...]
    """What is accepted as an API key; the first is the one that a sandbox shows."""
    tiers: Mapping[Tier, tuple[Window, ...]]
    """Rate limits. The first tier is the one that is taken unless another is asked for."""
    own_limits: Mapping[str, tuple[Window, ...]] = field(default_factory=_nothing)
    """Operations that are counted by limits of their own, in place of the tier's."""
    further_limits: Mapping[Tier, Mapping[str, tuple[Window, ...]]] = field(default_factory=_nothing)
    """Operations that are counted by limits of their own, besides the tier's."""
    limit_headers: HeaderStyle
    required_headers: tuple[str, ...] = ()
    """Headers that every call must carry, except to operations that need no credential."""
    error_body: Callable[[Refusal, str], Json]
    """Builds the body of a refusal from it and the trace id."""
    nonsense: int = 422
    """The status of a request that can be read but makes no sense."""
    seed: Callable[[State], None]
    """Puts a few rows with fixed ids into a new state."""
    envelope: Envelope
    locations: bool = False
    """Whether its clients name a location."""


HOOPAI: Final = Platform(
    name="HoopAI",
    document="hoopai.yaml",
    handlers=HANDLERS,
    keys=("sandbox-key",),
    tiers=limits.TIERS,
    own_limits={"get_access_token": (Window(5, 60),)},
    limit_headers=limits.hoopai_headers,
    required_headers=("Version",),
    error_body=hoopai_body,
    seed=seeds.fill,
    envelope=webhook_events.envelope,
    locations=True,
)
HOVERBOT: Final = Platform(
    name="HoverBot",
    document="hoverbot.yaml",
    handlers=hoverbot.HANDLERS,
    keys=("sandbox-key",),
    tiers=limits.HOVERBOT_TIERS,
    limit_headers=limits.no_headers,
    error_body=hoverbot_body,
    seed=hoverbot.fill,
    envelope=hoverbot.envelope,
)
CONVOAI: Final = Platform(
    name="ConvoAI",
    document="convoai.yaml",
    handlers=convoai.HANDLERS,
    keys=("ck_test_sandbox", "ck_live_sandbox"),
    tiers=limits.CONVOAI_PLANS,
    further_limits=limits.CONVOAI_QUOTAS,
    limit_headers=limits.convoai_headers,
    error_body=convoai_body,
    nonsense=400,
    seed=convoai.fill,
    envelope=convoai.envelope,
)
PLATFORMS: Final[Mapping[str, Platform]] = MappingProxyType(
    {platform.name.lower(): platform for platform in (HOOPAI, HOVERBOT, CONVOAI)}
)


def platform_of(named: Platform | str) -> Platform:
    """Return the platform that a name means; one that is a platform already, as it is.

    Raises:
        ValueError: There is none of this name.

    """
    if isinstance(named, Platform):
        return named
    if named not in PLATFORMS:
        raise ValueError(f"The sandbox stands in for {', '.join(PLATFORMS)}, not for {named!r}.")
    return PLATFORMS[named]
