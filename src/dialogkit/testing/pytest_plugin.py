"""The pytest plugin: the fixture `dialogkit_sandbox`, for the tests of whoever uses dialogkit.

It is loaded by every run of pytest where dialogkit is installed, and so imports nothing before the fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from dialogkit.testing import Sandbox, Tier
    from dialogkit.testing.platforms import PlatformName

_PLATFORMS: Final[Mapping[str, PlatformName]] = {"hoopai": "hoopai", "hoverbot": "hoverbot", "convoai": "convoai"}
_TIERS: Final[Mapping[str, Mapping[str, Tier | None]]] = {
    "hoopai": {"standard": "standard", "agency": "agency", "none": None},
    "hoverbot": {"standard": "standard", "none": None},
    "convoai": {"free": "free", "pro": "pro", "enterprise": "enterprise", "none": None},
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the sandbox."""
    group = parser.getgroup("dialogkit")
    group.addoption(
        "--dialogkit-tier",
        choices=sorted({tier for tiers in _TIERS.values() for tier in tiers}),
        default=None,
        help="rate limits of dialogkit_sandbox; the ini option dialogkit_tier unless given",
    )
    parser.addini("dialogkit_tier", "rate limits of dialogkit_sandbox: a tier of its platform, or none", default="none")
    parser.addini("dialogkit_platform", "whose sandbox it is: hoopai, hoverbot or convoai", default="hoopai")
    parser.addini(
        "dialogkit_seed", "whether dialogkit_sandbox starts with rows that have fixed ids", type="bool", default=True
    )


@pytest.fixture(scope="session")
def _dialogkit_sandbox_server(  # pyright: ignore[reportUnusedFunction] - pytest finds it
    pytestconfig: pytest.Config,
) -> Iterator[Sandbox]:
    from dialogkit.testing import Sandbox  # noqa: PLC0415 - see above

    platform = str(pytestconfig.getini("dialogkit_platform"))
    if platform not in _PLATFORMS:
        raise pytest.UsageError(f"dialogkit_platform must be one of {', '.join(_PLATFORMS)}, not {platform}")
    tiers = _TIERS[platform]
    tier: str = pytestconfig.getoption("--dialogkit-tier") or str(pytestconfig.getini("dialogkit_tier"))
    if tier not in tiers:
        raise pytest.UsageError(f"dialogkit_tier must be one of {', '.join(tiers)}, not {tier}")
    seed = bool(pytestconfig.getini("dialogkit_seed"))
    with Sandbox(tier=tiers[tier], seed=seed, platform=_PLATFORMS[platform]) as sandbox:
        yield sandbox


@pytest.fixture
def dialogkit_sandbox(_dialogkit_sandbox_server: Sandbox) -> Sandbox:
    """A sandbox, as new: one server for the whole run, and all that happened forgotten before each test.

    It is HoopAI's unless the ini option `dialogkit_platform` says otherwise. Rate limits are off unless
    `--dialogkit-tier` or the ini option `dialogkit_tier` says otherwise.
    """
    _dialogkit_sandbox_server.reset()
    return _dialogkit_sandbox_server
