"""What was measured, as plain figures; tables and the plot are made from these alone."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

PACKAGES: Final = (
    *("dialogkit", "openai", "gohighlevel-api-client", "httpx", "httpx-aiohttp", "httpx2", "aiohttp"),
    *("pydantic", "aiolimiter", "pyrate-limiter"),
)


@dataclass(frozen=True)
class Figure:
    """One thing that was measured, several times."""

    part: str
    name: str
    """Who."""
    case: str
    """Under which circumstances."""
    measure: str
    values: list[float]
    failed: str = ""
    """Why there are no values."""

    @property
    def best(self) -> float:
        """The best one: others on the machine can only make it worse."""
        return max(self.values) if self.measure == "calls/s" else min(self.values)

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass
class Results:
    """All of it, and what it was measured with."""

    about: dict[str, str] = field(default_factory=dict[str, str])
    how: dict[str, float] = field(default_factory=dict[str, float])
    """How often, and for how long."""
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    figures: list[Figure] = field(default_factory=list[Figure])

    def add(self, part: str, name: str, case: str, measure: str, values: Iterable[float], *, failed: str = "") -> None:
        self.figures.append(Figure(part, name, case, measure, [round(each, 3) for each in values], failed))

    def find(self, part: str, name: str, case: str, measure: str) -> Figure | None:
        """Return a figure, if it was measured, or tried."""
        wanted = (part, name, case, measure)
        return next((each for each in self.figures if (each.part, each.name, each.case, each.measure) == wanted), None)

    def of(self, part: str, measure: str) -> Sequence[Figure]:
        """Return all figures of a part."""
        return [each for each in self.figures if (each.part, each.measure) == (part, measure)]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        stored: dict[str, Any] = json.loads(path.read_text())
        return cls(stored["about"], stored["how"], stored["skipped"], [Figure(**each) for each in stored["figures"]])


def about() -> dict[str, str]:
    """Say what is measured with; nothing that tells one machine from another of its kind."""
    facts = {
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }
    facts |= {name: _version(name) for name in PACKAGES}
    cli = all(find_spec(each) is not None for each in ("click", "rich"))
    facts["click and rich"] = "installed" if cli else "not installed"
    return facts


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
