"""HoopAI: the client, and the models of what it sends and receives (`dialogkit.hoopai.models`)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dialogkit.hoopai._generated import models
    from dialogkit.hoopai.client import HoopAI, HoopAIOptions
    from dialogkit.hoopai.limits import TIERS, Tier
    from dialogkit.hoopai.oauth import OAuth2

__all__ = ["TIERS", "HoopAI", "HoopAIOptions", "OAuth2", "Tier", "models"]

_HOMES = {
    "HoopAI": "dialogkit.hoopai.client",
    "HoopAIOptions": "dialogkit.hoopai.client",
    "OAuth2": "dialogkit.hoopai.oauth",
    "TIERS": "dialogkit.hoopai.limits",
    "Tier": "dialogkit.hoopai.limits",
}


def __getattr__(name: str) -> Any:
    # Lazily, so that importing the package costs nothing before it is used.
    if name == "models":
        return import_module("dialogkit.hoopai._generated.models")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
