"""dialogkit beside its peers, on one loopback server, in one run.

make bench                                  everything, into benchmarks/results.{json,md,svg}; ten minutes
make bench B="--quick"                      a look at everything, on standard output; a minute
make bench B="--parts calls --only dialogkit,httpx-aiohttp,aiohttp --scenario page --concurrency 50"
make bench B="--parts memory --calls 1000000"

Progress goes to standard error, the tables to standard output. Whoever is not installed is left out, and that is said.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from benchmarks.peers import measure, render
from benchmarks.peers.contestants import CONTESTANTS, SCENARIOS

T = TypeVar("T")

FULL: Final = measure.Settings()
QUICK: Final = replace(
    FULL, rounds=1, passes=1, seconds=0.15, starts=1, permits=5_000, known=(1, 1000), items=50_000, calls=5_000
)


def several(of: Callable[[str], T], among: Collection[T] = ()) -> Callable[[str], tuple[T, ...]]:
    """Make a reader of a list with commas."""

    def read(text: str) -> tuple[T, ...]:
        values = tuple(of(each.strip()) for each in text.split(","))
        unknown = [str(each) for each in values if among and each not in among]
        if unknown:
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are {', '.join(map(str, among))}")
        return values

    return read


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--parts", type=several(str, measure.PARTS), default=tuple(measure.PARTS), help=", ".join(measure.PARTS))
    add("--only", type=several(str, CONTESTANTS), dest="only", help=f"contestants: {', '.join(CONTESTANTS)}")
    add("--scenario", type=several(str, SCENARIOS), dest="scenarios", help=", ".join(SCENARIOS))
    add("--concurrency", type=several(int), dest="concurrent", help="how many calls at once, such as 1,50,200")
    add("--rounds", type=int, help="how often everything is measured")
    add("--passes", type=int, help="how often each cell is measured in a round")
    add("--seconds", type=float, help="for how long each time")
    add("--starts", type=int, help="how often each start of an interpreter is repeated")
    add("--items", type=int, help="rows to iterate over; a million is the whole list")
    add("--calls", type=int, help="calls over which memory is watched; the default is a tenth of a million")
    add("--quick", action="store_true", help="less of everything")
    add("--write", type=Path, metavar="FOLDER", help="write results.json, results.md and results.svg there")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    options = vars(arguments(given))
    parts: tuple[str, ...] = options.pop("parts")
    folder: Path | None = options.pop("write")
    settings = QUICK if options.pop("quick") else FULL
    settings = replace(settings, **{name: value for name, value in options.items() if value is not None})
    results = measure.run(settings, parts)
    if folder is not None:
        results.save(folder / "results.json")
        render.write(results, folder)
    print(render.markdown(results))


if __name__ == "__main__":
    main()
