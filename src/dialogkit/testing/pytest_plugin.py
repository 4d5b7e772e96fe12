"""The pytest plugin: the fixture `dialogkit_sandbox`, for the tests of whoever uses dialogkit.

It is loaded by every run of pytest where dialogkit is installed, and so imports nothing before the fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from dialogkit.testing import Sandbox, Tier

_TIERS: Final[Mapping[str, Tier | None]] = {"standard": "standard", "agency": "agency", "none": None}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the sandbox."""
    group = parser.getgroup("dialogkit")
    group.addoption(
        "--dialogkit-tier",
        choices=tuple(_TIERS),
        default=None,
        help="rate limits of dialogkit_sandbox; the ini option dialogkit_tier unless given",
    )
    parser.addini("dialogkit_tier", "rate limits of dialogkit_sandbox: standard, agency or none", default="none")
    parser.addini(
        "dialogkit_seed", "whether dialogkit_sandbox starts with rows that have fixed ids", type="bool", default=True
    )


@pytest.fixture(scope="session")
def _dialogkit_sandbox_server(  # pyright: ignore[reportUnusedFunction] - pytest finds it
    pytestconfig: pytest.Config,
) -> Iterator[Sandbox]:
    from dialogkit.testing import Sandbox  # noqa: PLC0415 - see above

    tier: str = pytestconfig.getoption("--dialogkit-tier") or str(pytestconfig.getini("dialogkit_tier"))
    if tier not in _TIERS:
        raise pytest.UsageError(f"dialogkit_tier must be one of {', '.join(_TIERS)}, not {tier}")
    seed = bool(pytestconfig.getini("dialogkit_seed"))
    with Sandbox(tier=_TIERS[tier], seed=seed) as sandbox:
        yield sandbox


@pytest.fixture
def dialogkit_sandbox(_dialogkit_sandbox_server: Sandbox) -> Sandbox:
    """A sandbox of HoopAI, as new: one server for the whole run, its state and its faults forgotten before each test.

    Rate limits are off unless `--dialogkit-tier` or the ini option `dialogkit_tier` says otherwise.
    """
    _dialogkit_sandbox_server.reset()
    return _dialogkit_sandbox_server
