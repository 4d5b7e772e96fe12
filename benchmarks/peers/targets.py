"""What dialogkit has promised, and whether a run bears it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from benchmarks.peers.results import Figure, Results

CPU, RATE = "µs", "calls/s"
TIMES: Final = "×"  # noqa: RUF001 - the sign that is meant
FLAT: Final = 1.05
"""Memory is flat if it grows by no more than this after the first tenth."""
GROWTH: Final = 1.3


@dataclass(frozen=True)
class Outcome:
    """What became of a target: by the best measurement of each, and by the median."""

    best: float
    median: float


@dataclass(frozen=True)
class Target:
    """One promise."""

    what: str
    limit: float
    measure: Callable[[Results], Outcome | None]
    at_least: bool = False
    unit: str = TIMES

    def verdict(self, outcome: Outcome) -> str:
        """Say in words whether it is met."""
        best, median = self._met(outcome.best), self._met(outcome.median)
        if best == median:
            return "met" if best else "**not met**"
        return "met by the best, not by the median" if best else "**not met** by the best"

    def _met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit


def ratio(above: Figure | None, below: Figure | None) -> Outcome | None:
    """Return how many times as much one figure is as another, if both have values."""
    if above is None or below is None or not above.values or not below.values:
        return None
    return Outcome(above.best / below.best, above.median / below.median)


def _cpu_against(other: str, concurrent: int) -> Callable[[Results], Outcome | None]:
    case = f"page@{concurrent}"
    return lambda results: ratio(results.find("calls", "dialogkit", case, CPU), results.find("calls", other, case, CPU))


def _rate_against(other: str, concurrent: int) -> Callable[[Results], Outcome | None]:
    case = f"page@{concurrent}"
    return lambda results: ratio(
        results.find("calls", "dialogkit", case, RATE), results.find("calls", other, case, RATE)
    )


def _plain(part: str, case: str, measure: str) -> Callable[[Results], Outcome | None]:
    def measured(results: Results) -> Outcome | None:
        figure = results.find(part, "dialogkit", case, measure)
        return Outcome(figure.best, figure.median) if figure and figure.values else None

    return measured


def _starting(results: Results) -> Outcome | None:
    return ratio(
        results.find("imports", "import dialogkit, HoopAI(…)", "", "ms"),
        results.find("imports", "import httpx, pydantic", "", "ms"),
    )


def _growth(what: str) -> Callable[[Results], Outcome | None]:
    def measured(results: Results) -> Outcome | None:
        cells = [each for each in results.of("growth", CPU) if each.name == "dialogkit" and what in each.case]
        if len(cells) < 2 or not all(each.values for each in cells):
            return None
        bests, medians = [each.best for each in cells], [each.median for each in cells]
        return Outcome(max(bests) / min(bests), max(medians) / min(medians))

    return measured


def _memory(what: str) -> Callable[[Results], Outcome | None]:
    def measured(results: Results) -> Outcome | None:
        for each in results.of("memory", "MiB"):
            if each.name == what and each.values:
                return Outcome(each.values[-1] / each.values[0], each.values[-1] / each.values[0])
        return None

    return measured


TARGETS: Final = (
    Target(
        "CPU per call, page of 20, 50 at once, against bare httpx over aiohttp", 1.25, _cpu_against("httpx-aiohttp", 50)
    ),
    Target(
        "calls/s, page of 20, 50 at once, against openai over aiohttp", 3.5, _rate_against("openai", 50), at_least=True
    ),
    Target(
        "calls/s, page of 20, 50 at once, against gohighlevel-api-client",
        4,
        _rate_against("gohighlevel", 50),
        at_least=True,
    ),
    Target(
        "calls/s, page of 20, 200 at once, against gohighlevel-api-client",
        10,
        _rate_against("gohighlevel", 200),
        at_least=True,
    ),
    Target("`import dialogkit` and making a client, against `import httpx, pydantic`", 1.3, _starting),
    Target("a permit under two windows, CPU", 5, _plain("limiters", "permit", CPU), unit="µs"),
    Target("memory of a limiter's key that was just used", 1024, _plain("limiters", "key", "bytes"), unit="bytes"),
    Target("CPU per call with 1 to 10,000 locations, most against least", GROWTH, _growth("location")),
    Target("CPU per call with 1 to 1,000 at once, most against least", GROWTH, _growth("at once")),
    Target("memory when all rows are iterated over, against that after a tenth", FLAT, _memory("rows")),
    Target("memory after all calls, against that after a tenth", FLAT, _memory("calls")),
)
