"""HoverBot: the client, and the models of what it sends and receives (`dialogkit.hoverbot.models`)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dialogkit.hoverbot._generated import models
    from dialogkit.hoverbot.client import HoverBot, HoverBotOptions
    from dialogkit.hoverbot.limits import LIMITS

__all__ = ["LIMITS", "HoverBot", "HoverBotOptions", "models"]

_HOMES = {
    "HoverBot": "dialogkit.hoverbot.client",
    "HoverBotOptions": "dialogkit.hoverbot.client",
    "LIMITS": "dialogkit.hoverbot.limits",
}


def __getattr__(name: str) -> Any:
    # Lazily, so that importing the package costs nothing before it is used.
    if name == "models":
        return import_module("dialogkit.hoverbot._generated.models")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
