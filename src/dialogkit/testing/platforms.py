"""What makes the sandbox one platform rather than another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from dialogkit.testing import seeds
from dialogkit.testing.document import Json
from dialogkit.testing.errors import Refusal, hoopai_body
from dialogkit.testing.handlers import HANDLERS
from dialogkit.testing.limits import TIERS, Tier, Window
from dialogkit.testing.registry import Registry
from dialogkit.testing.state import State


@dataclass(frozen=True)
class Platform:
    """A platform that the sandbox can stand in for."""

    name: str
    document: str
    """File name of its OpenAPI document."""
    handlers: Registry
    tiers: Mapping[Tier, tuple[Window, ...]]
    own_limits: Mapping[str, tuple[Window, ...]]
    """Operations that are counted by limits of their own, in place of the tier's."""
    required_headers: tuple[str, ...]
    """Headers that every call must carry, except to operations that need no credential."""
    error_body: Callable[[Refusal, str], Json]
    """Builds the body of a refusal from it and the trace id."""
    seed: Callable[[State], None]
    """Puts a few rows with fixed ids into a new state."""


HOOPAI: Final = Platform(
    name="HoopAI",
    document="hoopai.yaml",
    handlers=HANDLERS,
    tiers=TIERS,
    own_limits={"get_access_token": (Window(5, 60),)},
    required_headers=("Version",),
    error_body=hoopai_body,
    seed=seeds.fill,
)
