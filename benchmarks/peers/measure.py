"""Runs everything in turn, rounds outermost, so that a change of the machine hits all alike."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from typing import Any, Final

from typing_extensions import Self

from benchmarks.peers import starts
from benchmarks.peers.contestants import CONTESTANTS, SCENARIOS
from benchmarks.peers.limiters import KEYS, LIMITERS, PERMITS
from benchmarks.peers.results import Results, about

KNOWN: Final = (1, 100, 10_000)
AT_ONCE: Final = (1, 10, 100, 1000)
GROWING: Final = ("dialogkit", "aiohttp")
"""Whose growth is measured; bare aiohttp shows what the event loop grows by."""
PATIENCE: Final = 900.0
"""Seconds after which a job is given up."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How much is measured."""

    only: Sequence[str] = tuple(CONTESTANTS)
    scenarios: Sequence[str] = tuple(SCENARIOS)
    concurrent: Sequence[int] = (1, 50, 200)
    rounds: int = 3
    passes: int = 3
    """How often each cell is measured in a round. Several short ones, since what disturbs them comes in bursts."""
    seconds: float = 0.25
    """For each measurement, after a warm-up of a quarter of it."""
    starts: int = 7
    """How often each start of an interpreter is repeated."""
    permits: int = PERMITS
    keys: int = KEYS
    known: Sequence[int] = KNOWN
    at_once: Sequence[int] = AT_ONCE
    items: int = 1_000_000
    calls: int = 100_000


class Worker:
    """A process that does jobs; see `worker`. One that a job has killed is followed by another."""

    def __init__(self) -> None:
        self._process = self._started()

    @staticmethod
    def _started() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "benchmarks.peers.worker"]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def do(self, job: str, **arguments: Any) -> dict[str, Any]:
        """Do a job, and return what it gives, or why it failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        alarm = threading.Timer(PATIENCE, self._process.kill)
        alarm.start()
        try:
            self._process.stdin.write(json.dumps({"job": job, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            alarm.cancel()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        self.__exit__()
        self._process = self._started()
        return {"failed": "its process ended, or had to be ended"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()


@contextmanager
def serving() -> Generator[str]:
    """Start the server in a process of its own, and give its address."""
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.peers.server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
    finally:
        server.communicate()


class Cells:
    """The values of cells as rounds bring them, and which have failed."""

    def __init__(self, results: Results, part: str) -> None:
        self._results = results
        self._part = part
        self._values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        self._failed: dict[tuple[str, str], str] = {}

    def has_failed(self, name: str, case: str) -> bool:
        return (name, case) in self._failed

    def put(self, name: str, case: str, answer: dict[str, Any], **measures: str) -> None:
        """Take what a job gave; `measures` says what its values are."""
        say(f"{self._part}: {case}: {name}: {answer}")
        if "failed" in answer:
            self._failed[name, case] = answer["failed"]
        for key, measure in measures.items():
            self._values[name, case, measure] += [answer[key]] if key in answer else []

    def close(self) -> None:
        """Make figures of them. One failure is enough for a cell to have failed."""
        for (name, case, measure), values in self._values.items():
            failed = self._failed.get((name, case), "")
            self._results.add(self._part, name, case, measure, [] if failed else values, failed=failed)


def say(text: str) -> None:
    """Tell of the progress."""
    print(text, file=sys.stderr, flush=True)


def contestants(settings: Settings, results: Results) -> list[str]:
    """Return who is there, and note who is not."""
    there: list[str] = []
    for name in settings.only:
        missing = CONTESTANTS[name].missing()
        if missing:
            results.skipped[name] = f"{missing} is not installed"
            say(f"skipped: {name}, since {missing} is not installed")
        else:
            there.append(name)
    return there


def calls(settings: Settings, results: Results, url: str) -> None:
    """Everybody's calls. Each contestant has a process of its own in each round; within it, they alternate by cell."""
    names = contestants(settings, results)
    cells = Cells(results, "calls")
    for turn in range(settings.rounds):
        order = deque(names)
        order.rotate(-turn)
        with ExitStack() as stack:
            workers = {name: stack.enter_context(Worker()) for name in order}
            for scenario, concurrent in product(settings.scenarios, settings.concurrent):
                case = f"{scenario}@{concurrent}"
                job = {"url": url, "scenario": scenario, "concurrent": concurrent, "seconds": settings.seconds}
                for name in [*order] * settings.passes:
                    if not cells.has_failed(name, case):
                        cells.put(name, case, workers[name].do("calls", name=name, **job), cpu="µs", rate="calls/s")
    cells.close()


def limiters(settings: Settings, results: Results, _: str) -> None:
    """A permit of each limiter, and what a key takes."""
    cells = Cells(results, "limiters")
    for name in [each for each in LIMITERS if find_spec(each) is None]:
        results.skipped[name] = f"{name} is not installed"
        say(f"skipped: {name}, which is not installed")
    with Worker() as worker:
        for _turn in range(settings.rounds):
            for name in LIMITERS:
                if name not in results.skipped:
                    cells.put(name, "permit", worker.do("permits", name=name, count=settings.permits), cpu="µs")
        cells.put("dialogkit", "key", worker.do("key", count=settings.keys), bytes="bytes")
    cells.close()


def growth(settings: Settings, results: Results, url: str) -> None:
    """What calls cost when there are many of them at once, and many locations."""
    names = [name for name in GROWING if name in settings.only]
    cells = Cells(results, "growth")
    seconds = 3 * settings.seconds  # a thousand calls at once take their time
    for _ in range(settings.rounds):
        with ExitStack() as stack:
            workers = {name: stack.enter_context(Worker()) for name in names}
            for concurrent in settings.at_once:
                job = {"url": url, "scenario": "page", "concurrent": concurrent, "seconds": seconds}
                for name in [*workers] * settings.passes:
                    cells.put(name, f"{concurrent:,} at once", workers[name].do("calls", name=name, **job), cpu="µs")
            for known in settings.known if "dialogkit" in names else ():
                answer = workers["dialogkit"].do("locations", url=url, known=known, concurrent=50, seconds=seconds)
                cells.put("dialogkit", f"{known:,} location{'s' if known > 1 else ''}", answer, cpu="µs")
    cells.close()


def memory(settings: Settings, results: Results, url: str) -> None:
    """Whether memory stays as it is over many rows, and over many calls."""
    for job, count, what in (
        ("memory_of_items", settings.items, "rows"),
        ("memory_of_calls", settings.calls, "calls"),
    ):
        with Worker() as worker:
            answer = worker.do(job, url=url, count=count)
        say(f"memory: {count} {what}: {answer}")
        results.add("memory", what, str(count), "MiB", answer.get("memory", []), failed=answer.get("failed", ""))


def imports(settings: Settings, results: Results, _: str) -> None:
    """What it costs to import something, and to make a client."""
    for name, values in starts.imports(settings.starts).items():
        results.add("imports", name, "", "ms", values)
        say(f"imports: {name}: {values}")


def first(settings: Settings, results: Results, url: str) -> None:
    """What it takes from the start of an interpreter until one call is answered."""
    names = [name for name in settings.only if not CONTESTANTS[name].missing()]
    for name, values in starts.first_calls(names, url, settings.starts).items():
        for measure, column in zip(("CPU ms", "wall ms"), zip(*values, strict=True), strict=True):
            results.add("first", name, "", measure, column)
        say(f"first: {name}: {values}")


PARTS: Final = {each.__name__: each for each in (calls, limiters, imports, first, growth, memory)}


def run(settings: Settings, parts: Sequence[str] = tuple(PARTS)) -> Results:
    """Measure some parts."""
    how = {name: getattr(settings, name) for name in ("rounds", "passes", "seconds", "starts")}
    results = Results(about(), how)
    with serving() as url:
        for part in parts:
            PARTS[part](settings, results, url)
    return results
