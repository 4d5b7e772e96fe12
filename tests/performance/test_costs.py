"""What a call costs, in machine instructions: times are too noisy for a test.

Counts depend on the machine's libraries, so they are compared with one another. The unit is the cost of a bare call:
aiohttp, and pydantic for twenty rows. `UPDATE_COSTS=1 pytest tests/performance/test_costs.py` records what calls cost
now on the Python that runs it; a Python that was not recorded is compared with the newest.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import callgrind
from tests.support.servers import Server

RECORDED = Path(__file__).with_name("costs.json")
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
UPDATE = "UPDATE_COSTS=1 pytest tests/performance/test_costs.py"
TOLERATED = 1.2
"""How much more than recorded a call may cost."""
LEVEL = 1.15
"""How much more a call may cost when there is ten times as much going on, or more."""


@dataclass(frozen=True)
class Cost:
    instructions: float
    """For one call."""
    dump: Path

    @property
    def advice(self) -> str:
        return f"What it executes: callgrind_annotate --auto=no {self.dump}"


@pytest.fixture(scope="module")
def costs(platform: Server, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Cost]:
    counted = callgrind.count("tests.performance.calls", platform.url, folder=tmp_path_factory.mktemp("costs"))
    ran = [json.loads(line) for line in counted.output.splitlines()]
    # Every other section is what the program does in between.
    return {
        each["name"]: Cost(section.instructions / each["calls"], section.dump)
        for each, section in zip(ran, counted.sections[1:-1:2], strict=True)
    }


def recorded() -> dict[str, dict[str, float]]:
    """Return the costs of each kind of call in bare calls, by version of Python."""
    known: dict[str, dict[str, float]] = json.loads(RECORDED.read_text())
    return known


def age(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def test_calls_cost_what_was_recorded(costs: Mapping[str, Cost]) -> None:
    bare = costs["bare"].instructions
    now = {name: round(costs[name].instructions / bare, 3) for name in ("search", "get", "view", "send", "refused")}
    known = recorded()
    if os.environ.get("UPDATE_COSTS"):
        known[VERSION] = now
        RECORDED.write_text(json.dumps({each: known[each] for each in sorted(known, key=age)}, indent=2) + "\n")
    version = VERSION if VERSION in known else max(known, key=age)
    before = known[version]
    assert now.keys() == before.keys(), f"{RECORDED.name} is out of date: {UPDATE}"
    grown = [
        f"{name} costs {now[name]:.2f} bare calls; recorded with Python {version} were {before[name]:.2f}: "
        f"{now[name] / before[name] - 1:+.0%}. {costs[name].advice}"
        for name in now
        if now[name] > before[name] * TOLERATED
    ]
    assert not grown, "\n".join([*grown, f"Make it cheaper again; or, if it is worth that, record it: {UPDATE}"])


@pytest.mark.parametrize(("kind", "times"), [("lacking", 1.3), ("mistyped", 2.5)])
def test_a_page_that_differs_in_every_row_costs_little_more_than_a_whole_one(
    kind: str, times: float, costs: Mapping[str, Cost]
) -> None:
    ratio = costs[f"20 {kind}"].instructions / costs["20 whole"].instructions
    assert ratio < times, f"a {kind} page costs {ratio:.2f} whole ones. {costs[f'20 {kind}'].advice}"


@pytest.mark.parametrize(
    ("few", "many"),
    [
        ("20 at once", "200 at once"),
        ("50 in line", "500 in line"),
        ("get", "5000 locations"),
        ("20 lacking", "2000 lacking"),
        ("20 mistyped", "2000 mistyped"),
    ],
)
def test_a_call_costs_the_same_however_much_goes_on(few: str, many: str, costs: Mapping[str, Cost]) -> None:
    growth = costs[many].instructions / costs[few].instructions
    assert growth < LEVEL, (
        f"A call of {many!r} costs {costs[many].instructions:,.0f} instructions, one of {few!r} "
        f"{costs[few].instructions:,.0f}: {growth - 1:+.0%}. {costs[many].advice}"
    )
