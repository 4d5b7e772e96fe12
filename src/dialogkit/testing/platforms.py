"""The platforms that the sandbox can stand in for: to add one, write its file or folder, and name it here.

Importing this imports none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast, get_args

if TYPE_CHECKING:
    from dialogkit.testing.engine.platform import Platform

OtherName: TypeAlias = Literal["hoverbot", "convoai"]
"""The platforms that have nothing but what their API can make."""
PlatformName: TypeAlias = Literal["hoopai"] | OtherName
"""All of them."""
Tier: TypeAlias = Literal["standard", "agency", "marketplace", "free", "pro", "enterprise"]
"""Whose published limits hold: HoopAI's (`standard`, `agency`, `marketplace`), what HoverBot gives everybody
(`standard`), or ConvoAI's plans (`free`, `pro`, `enterprise`)."""

_HOME: Final[dict[PlatformName, str]] = {
    "hoopai": "dialogkit.testing.hoopai.platform",
    "hoverbot": "dialogkit.testing.hoverbot",
    "convoai": "dialogkit.testing.convoai",
}
NAMES: Final = tuple(_HOME)
TIERS: Final[tuple[Tier, ...]] = get_args(Tier)


def platform_named(name: str) -> Platform[Any]:
    """Return a platform by its name.

    Raises:
        ValueError: There is none of this name.

    """
    if name not in NAMES:
        raise ValueError(f"The sandbox stands in for {', '.join(NAMES)}, not for {name!r}.")
    return cast("Platform[Any]", import_module(_HOME[name]).PLATFORM)
