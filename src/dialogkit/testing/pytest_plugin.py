"""The pytest plugin: the fixture `dialogkit_sandbox`, for the tests of whoever uses dialogkit.

It is loaded by every run of pytest where dialogkit is installed, and so imports nothing before the fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pytest

from dialogkit.testing.platforms import NAMES, platform_named

if TYPE_CHECKING:
    from dialogkit.testing import Sandbox, Tier


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the sandbox."""
    group = parser.getgroup("dialogkit")
    group.addoption(
        "--dialogkit-tier",
        default=None,
        help="rate limits of dialogkit_sandbox; the ini option dialogkit_tier unless given",
    )
    group.addoption(
        "--dialogkit-loopback-only",
        action="store_true",
        help="refuse connections beyond this machine in every test, and fail the test that tried; see the fixture "
        "dialogkit_loopback_only",
    )
    parser.addini("dialogkit_tier", "rate limits of dialogkit_sandbox: a tier of its platform, or none", default="none")
    parser.addini("dialogkit_platform", f"whose sandbox it is: {' or '.join(NAMES)}", default=NAMES[0])
    parser.addini(
        "dialogkit_seed", "whether dialogkit_sandbox starts with rows that have fixed ids", type="bool", default=True
    )


@pytest.fixture(scope="session")
def _dialogkit_sandbox_server(  # pyright: ignore[reportUnusedFunction] - pytest finds it
    pytestconfig: pytest.Config,
) -> Iterator[Sandbox]:
    from dialogkit.testing import Sandbox  # noqa: PLC0415 - see above

    platform = str(pytestconfig.getini("dialogkit_platform"))
    if platform not in NAMES:
        raise pytest.UsageError(f"dialogkit_platform must be one of {', '.join(NAMES)}, not {platform}")
    tiers = [*platform_named(platform).tiers, "none"]
    tier: str = pytestconfig.getoption("--dialogkit-tier") or str(pytestconfig.getini("dialogkit_tier"))
    if tier not in tiers:
        raise pytest.UsageError(f"dialogkit_tier must be one of {', '.join(tiers)}, not {tier}")
    seed = bool(pytestconfig.getini("dialogkit_seed"))
    wanted = None if tier == "none" else cast("Tier", tier)
    with Sandbox(tier=wanted, seed=seed, platform=platform) as sandbox:
        yield cast("Sandbox", sandbox)  # which is the usual one


@pytest.fixture
def dialogkit_sandbox(_dialogkit_sandbox_server: Sandbox) -> Sandbox:
    """A sandbox, as new: one server for the whole run, and all that happened forgotten before each test.

    It is HoopAI's unless the ini option `dialogkit_platform` says otherwise. Rate limits are off unless
    `--dialogkit-tier` or the ini option `dialogkit_tier` says otherwise.
    """
    _dialogkit_sandbox_server.reset()
    return _dialogkit_sandbox_server


@pytest.fixture
def dialogkit_loopback_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this test connect to this machine only: what it does not mock does not go out.

    A connection to anywhere else, and the look-up of its name, is refused as if nobody listened there, and the test
    fails when it ends, whatever it made of the refusal. The option `--dialogkit-loopback-only` does it for all tests.
    It covers what Python's sockets connect, whichever library holds them.
    """
    from dialogkit.testing.loopback import refuse_others  # noqa: PLC0415 - see above

    with refuse_others(monkeypatch) as refused:
        yield
    if refused:
        pytest.fail(
            f"This test tried to reach {', '.join(dict.fromkeys(refused))}: mock the call, or use dialogkit_sandbox. "
            "--dialogkit-loopback-only lets it connect to this machine only.",
            pytrace=False,
        )


@pytest.fixture(autouse=True)
def _dialogkit_loopback_only(request: pytest.FixtureRequest) -> None:  # pyright: ignore[reportUnusedFunction] - as above
    if request.config.getoption("--dialogkit-loopback-only"):
        request.getfixturevalue("dialogkit_loopback_only")
