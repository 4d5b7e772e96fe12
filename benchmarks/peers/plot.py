"""Draws the plot: what a call costs against bare aiohttp, and how many there are in a second."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from benchmarks.peers.contestants import SCENARIOS
from benchmarks.peers.results import Results
from benchmarks.peers.targets import CPU, RATE, TIMES, ratio

NAMES: Final = {
    "dialogkit": "dialogkit",
    "httpx-aiohttp": "bare httpx over aiohttp",
    "httpx": "bare httpx, own pool",
    "openai": "openai over aiohttp",
    "gohighlevel": "gohighlevel-api-client",
    "aiohttp": "bare aiohttp",
}
COLOURS: Final = {
    "dialogkit": "#0f6cbd",
    "httpx-aiohttp": "#9aa5b1",
    "httpx": "#c3cad2",
    "openai": "#e08e45",
    "gohighlevel": "#b5546a",
    "aiohttp": "#5f6b7a",
}
INK: Final = "#24292f"
STYLE: Final = {
    "svg.hashsalt": "dialogkit",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": "#d0d7de",
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def plot(results: Results, path: Path) -> bool:
    """Draw it, and say whether that was possible: matplotlib is not everywhere."""
    if find_spec("matplotlib") is None or not results.of("calls", CPU):
        return False
    matplotlib: Any = import_module("matplotlib")
    matplotlib.use("svg")
    pyplot: Any = import_module("matplotlib.pyplot")
    with pyplot.rc_context(STYLE):
        # White in dark pages, too: grey letters that suit both suit neither.
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(10.5, 4.6), facecolor="white")
        scenarios = [(f"{name}@50", title) for name, (title, _) in SCENARIOS.items()]
        _bars(left, results, scenarios, "CPU per call against bare aiohttp, 50 at once", TIMES)
        rates = [(f"page@{concurrent}", f"{concurrent} at once") for concurrent in (1, 50, 200)]
        _bars(right, results, rates, "Pages of 20 conversations a second", "")
        handles, labels = right.get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncols=6, frameon=False, fontsize=8.5, handlelength=1.2)
        figure.tight_layout(rect=(0, 0.07, 1, 1), w_pad=3)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
    return True


def _bars(axes: Any, results: Results, cases: Sequence[tuple[str, str]], title: str, unit: str) -> None:
    """Draw a group of bars for each case, one for each contestant, with its value at the end."""
    there = {each.name for each in results.of("calls", CPU)}
    names = [name for name in NAMES if name in there and not (unit and name == "aiohttp")]
    height = 0.82 / max(len(names), 1)
    for place, name in enumerate(names):
        values = [_value(results, name, case, relative=bool(unit)) for case, _ in cases]
        at = [row + (place - (len(names) - 1) / 2) * height for row in range(len(cases))]
        axes.barh(at, [value or 0 for value in values], height * 0.92, color=COLOURS[name], label=NAMES[name])
        for y, value in zip(at, values, strict=True):
            text = " failed" if value is None else f" {value:.1f}{unit}" if unit else f" {value:,.0f}"
            weight = "bold" if name == "dialogkit" else "normal"
            axes.text(value or 0, y, text, va="center", fontsize=7.5, fontweight=weight)
    axes.set_title(title, pad=10)
    axes.set_yticks(range(len(cases)), [label for _, label in cases])
    axes.invert_yaxis()
    axes.margins(x=0.12, y=0.02)
    axes.xaxis.set_visible(False)  # each bar says its value
    axes.tick_params(length=0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def _value(results: Results, name: str, case: str, *, relative: bool) -> float | None:
    if not relative:
        figure = results.find("calls", name, case, RATE)
        return figure.best if figure is not None and figure.values else None
    outcome = ratio(results.find("calls", name, case, CPU), results.find("calls", "aiohttp", case, CPU))
    return None if outcome is None else outcome.best
