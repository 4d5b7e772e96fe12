"""Makes `results.md` and `results.svg` from `results.json`.

python -m benchmarks.peers.render benchmarks
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.peers.contestants import CONTESTANTS, SCENARIOS
from benchmarks.peers.plot import plot
from benchmarks.peers.results import Figure, Results
from benchmarks.peers.targets import CPU, RATE, TARGETS, TIMES, ratio

BARE: Final = ("httpx-aiohttp", "aiohttp")
"""Whom the others are compared with."""

HEAD: Final = """\
# dialogkit beside its peers

Made by `make bench`; do not edit. Everybody calls the same server on loopback, in turn, in one run: only the ratios
count, since the figures depend on the machine. The best measurement is given, then the median in brackets.

![CPU per call and calls a second, by contestant](results.svg)
"""
RULES: Final = """\
- One server in a process of its own answers everybody with the same bytes, under the headers that HoopAI sends.
- In each round every contestant has a new process, and makes a new client for each scenario. They alternate scenario by
  scenario; who begins changes from round to round. There are {rounds} rounds, in each of which every cell is measured
  {passes} times for {seconds} s, after a warm-up. CPU is that of the contestant's whole process, per call.
- dialogkit has its limiter (two windows, so wide that nothing waits) and its retries on. openai calls by
  `client.get(path, cast_to=…)` and `client.post(…)` over `DefaultAioHttpClient`, with its own base of models.
  gohighlevel-api-client is async, over httpx's pool; it returns plain dictionaries and validates nothing. The bare ones
  end in `model_validate_json` with dialogkit's models, and have no retries, no limiter and no typed errors beyond
  `raise_for_status()`.
- Those over aiohttp may have 1,000 connections; httpx's own pool has its default hundred.
- Every answer is checked: 20 rows and the id of the last, the id of the object, the status of the error. The SDKs read
  the error's body, too; the bare ones do not.
- Imports and first calls are measured {starts} times, in alternating processes. What the interpreter itself takes is
  subtracted, and bytecode is there. httpx imports its command line where click and rich are installed; here they are
  {cli}. dialogkit imports aiohttp with its first call. The first call of a bare contestant decodes into
  models of its own, such as whoever uses none of dialogkit would write.
"""


def markdown(results: Results) -> str:
    """Return the page."""
    about = dict(results.about)
    rules = RULES.format(**results.how, cli=about.pop("click and rich"))
    sections = [
        HEAD,
        *_targets(results),
        *_ratios(results),
        *_calls(results),
        *_failures(results),
        *_limiters(results),
        *_starts(results),
        *_growth(results),
        *_memory(results),
        f"## How it is measured\n\n{rules}",
        *_versions(about, results.skipped),
    ]
    return "\n".join(sections)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose first column is text, and the others numbers."""
    ruler = ["---:" if place and name != "verdict" else "---" for place, name in enumerate(head)]
    lines = [head, ruler, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def number(value: float) -> str:
    """Return three digits that matter, or all that are before the point."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cell(figure: Figure | None) -> str:
    """Return the best and the median of a figure."""
    if figure is None:
        return "-"
    if figure.failed:
        return "failed"
    return pair(figure.best, figure.median)


def pair(best: float, median: float, unit: str = "") -> str:
    """Return the best and the median, where they differ."""
    text, other = number(best), number(median)
    return f"{text}{unit}" if text == other else f"{text}{unit} ({other})"


def _times(above: Figure | None, below: Figure | None) -> str:
    outcome = ratio(above, below)
    if outcome is None:
        return "failed" if above is not None and above.failed else "-"
    return pair(outcome.best, outcome.median, f" {TIMES}")


def _targets(results: Results) -> Iterator[str]:
    rows: list[Sequence[str]] = []
    for target in TARGETS:
        bound = f"{'≥' if target.at_least else '≤'} {target.limit:,g} {target.unit}"
        outcome = target.measure(results)
        if outcome is None:
            rows.append((target.what, bound, "not measured", ""))
        else:
            measured = pair(outcome.best, outcome.median, f" {target.unit}")
            rows.append((target.what, bound, measured, target.verdict(outcome)))
    yield f"## Targets\n\n{table(('measure', 'target', 'measured', 'verdict'), rows)}"


def _present(results: Results) -> list[str]:
    there = {each.name for each in results.of("calls", CPU)}
    return [name for name in CONTESTANTS if name in there]


def _grids(results: Results, names: Sequence[str], show: Callable[[str, str], str]) -> Iterator[str]:
    """Yield a table for each concurrency: a row for each contestant, a column for each scenario."""
    cases = dict.fromkeys(tuple(each.case.split("@")) for each in results.of("calls", CPU))
    scenarios = list(dict.fromkeys(scenario for scenario, _ in cases))
    head = ["", *(SCENARIOS[each][0] for each in scenarios)]
    for concurrent in dict.fromkeys(concurrent for _, concurrent in cases):
        rows = [
            [CONTESTANTS[name].title, *(show(name, f"{scenario}@{concurrent}") for scenario in scenarios)]
            for name in names
        ]
        yield f"{concurrent} at once:\n\n{table(head, rows)}"


def _ratios(results: Results) -> Iterator[str]:
    """Yield what everybody costs in terms of the bare ones, and how much faster dialogkit is than each."""

    def cost(name: str, case: str) -> str:
        return _times(results.find("calls", name, case, CPU), results.find("calls", other, case, CPU))

    def speed(name: str, case: str) -> str:
        return _times(results.find("calls", "dialogkit", case, RATE), results.find("calls", name, case, RATE))

    names = _present(results)
    for other in (each for each in BARE if each in names and len(names) > 1):
        yield f"## CPU per call, as a multiple of {CONTESTANTS[other].title}\n"
        yield from _grids(results, [name for name in names if name != other], cost)
    if "dialogkit" in names and len(names) > 1:
        yield "## dialogkit's calls/s, as a multiple of theirs\n"
        yield from _grids(results, [name for name in names if name != "dialogkit"], speed)


def _calls(results: Results) -> Iterator[str]:
    names = _present(results)
    for measure, title in ((CPU, "CPU per call in µs"), (RATE, "Calls/s")):
        if names:
            yield f"## {title}\n"
            yield from _grids(results, names, lambda name, case: cell(results.find("calls", name, case, measure)))  # noqa: B023


def _failures(results: Results) -> Iterator[str]:
    failed = dict.fromkeys((each.name, each.case, each.failed) for each in results.figures if each.failed)
    if failed:
        lines = [f"- {_title(name)}, {_case(case)}: {why}\n" for name, case, why in failed]
        yield f"## What failed, and why\n\n{''.join(lines)}"


def _title(name: str) -> str:
    return CONTESTANTS[name].title if name in CONTESTANTS else name


def _case(case: str) -> str:
    scenario, _, concurrent = case.partition("@")
    return f"{SCENARIOS[scenario][0]}, {concurrent} at once" if scenario in SCENARIOS else case


def _limiters(results: Results) -> Iterator[str]:
    ours = results.find("limiters", "dialogkit", "permit", CPU)
    figures = results.of("limiters", CPU)
    if figures:
        rows = [(each.name.replace("_", "-"), cell(each), _times(ours, each)) for each in figures]
        head = ("uncontended permit under two windows", "CPU in µs", "dialogkit against it")
        key = results.find("limiters", "dialogkit", "key", "bytes")
        note = f"\nA key of dialogkit's limiter that was just used takes {cell(key)} bytes; an idle one is dropped.\n"
        yield f"## Limiters\n\n{table(head, rows)}{note if key and key.values else ''}"


def _starts(results: Results) -> Iterator[str]:
    imports = results.of("imports", "ms")
    if imports:
        least = results.find("imports", "import httpx, pydantic", "", "ms")
        rows = [(f"`{each.name}`", cell(each), _times(each, least)) for each in imports]
        yield f"## Importing\n\n{table(('', 'CPU in ms', 'against `import httpx, pydantic`'), rows)}"
    ours = results.find("first", "dialogkit", "", "CPU ms")
    first = results.of("first", "CPU ms")
    if first:
        lines = [
            (_title(each.name), cell(each), cell(results.find("first", each.name, "", "wall ms")), _times(ours, each))
            for each in first
        ]
        head = ("from the interpreter to a first page of 20", "CPU in ms", "wall in ms", "dialogkit's CPU against it")
        yield f"## First call\n\n{table(head, lines)}"


def _growth(results: Results) -> Iterator[str]:
    figures = results.of("growth", CPU)
    if figures:
        yield "## Growth: CPU per call in µs, and against the least\n"
    for ending, note in (("at once", "Pages of 20."), ("location", "Pages of one row, 50 at once, one client.")):
        cells = [each for each in figures if ending in each.case]
        if not cells:
            continue
        cases = list(dict.fromkeys(each.case for each in cells))
        rows: list[Sequence[str]] = []
        for name in dict.fromkeys(each.name for each in cells):
            own = [each for each in cells if each.name == name]
            rows.append([_title(name), *(f"{cell(each)}, {_against_least(each, own)}" for each in own)])
        yield f"{note}\n\n{table(['', *cases], rows)}"


def _against_least(figure: Figure, among: Sequence[Figure]) -> str:
    there = [each for each in among if each.values]
    if not figure.values:
        return "-"
    best = figure.best / min(each.best for each in there)
    return pair(best, figure.median / min(each.median for each in there), f" {TIMES}")


def _memory(results: Results) -> Iterator[str]:
    figures = results.of("memory", "MiB")
    if figures:
        rows = [
            (
                f"{int(each.case):,} {each.name}",
                *(number(each.values[at]) if each.values else "failed" for at in (0, -1)),
            )
            for each in figures
        ]
        head = ("resident memory in MiB", "after a tenth", "at the end")
        yield f"## Memory\n\n{table(head, rows)}"


def _versions(about: dict[str, str], skipped: dict[str, str]) -> Iterator[str]:
    rows = "".join(f"| {name} | {value} |\n" for name, value in about.items())
    missing = "".join(f"\nLeft out: {name}, since {why}.\n" for name, why in skipped.items())
    yield f"## What with\n\n| | |\n|---|---|\n{rows}{missing}"


def write(results: Results, folder: Path) -> None:
    """Write the page and the plot."""
    (folder / "results.md").write_text(markdown(results))
    plot(results, folder / "results.svg")


if __name__ == "__main__":
    where = Path(sys.argv[1])
    write(Results.load(where / "results.json"), where)
