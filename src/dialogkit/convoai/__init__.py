"""ConvoAI: the client, and the models of what it sends and receives (`dialogkit.convoai.models`)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dialogkit.convoai._generated import models
    from dialogkit.convoai.client import ConvoAI, ConvoAIOptions
    from dialogkit.convoai.limits import OPERATION_LIMITS, PLANS, Plan

__all__ = ["OPERATION_LIMITS", "PLANS", "ConvoAI", "ConvoAIOptions", "Plan", "models"]

_HOMES = {
    "ConvoAI": "dialogkit.convoai.client",
    "ConvoAIOptions": "dialogkit.convoai.client",
    "OPERATION_LIMITS": "dialogkit.convoai.limits",
    "PLANS": "dialogkit.convoai.limits",
    "Plan": "dialogkit.convoai.limits",
}


def __getattr__(name: str) -> Any:
    # Lazily, so that importing the package costs nothing before it is used.
    if name == "models":
        return import_module("dialogkit.convoai._generated.models")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
