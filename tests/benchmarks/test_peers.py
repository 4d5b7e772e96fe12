from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from benchmarks.peers import __main__ as command
from benchmarks.peers import contestants, measure, render, targets, twins, worker
from benchmarks.peers.contestants import CONTESTANTS, SCENARIOS
from benchmarks.peers.results import Figure, Results
from benchmarks.peers.targets import TIMES
from dialogkit.hoopai import models

TINY = measure.Settings(
    only=("dialogkit", "aiohttp", "absent"),
    scenarios=("page", "error"),
    concurrent=(2,),
    rounds=1,
    passes=2,
    seconds=0.01,
    starts=1,
    permits=50,
    keys=10,
    known=(1, 3),
    at_once=(1, 4),
    items=1_000,
    calls=100,
)


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who is nowhere installed."""
    entry = contestants.Entry("Nobody", ("there_is_no_such_module",), contestants.Dialogkit)
    monkeypatch.setitem(CONTESTANTS, "absent", entry)


@pytest.mark.usefixtures("absent")
def test_a_run_measures_and_its_page_shows_what_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = measure.run(TINY, ("calls", "limiters", "first", "growth", "memory"))
    results.save(tmp_path / "results.json")
    page = render.markdown(Results.load(tmp_path / "results.json"))

    assert not [each for each in results.figures if each.failed]
    for name in ("dialogkit", "aiohttp"):
        for case in ("page@2", "error@2"):
            cost = results.find("calls", name, case, targets.CPU)
            assert cost is not None
            assert len(cost.values) == TINY.passes
            assert min(cost.values) > 0
            assert render.cell(cost) in page
    for case in ("1 at once", "4 at once", "1 location", "3 locations"):
        assert results.find("growth", "dialogkit", case, targets.CPU) is not None
    assert [len(each.values) for each in results.of("memory", "MiB")] == [worker.TENTHS] * 2
    assert "| 1,000 rows |" in page
    assert "there_is_no_such_module is not installed" in page
    assert "skipped: absent" in capsys.readouterr().err


async def test_everybody_who_is_here_does_every_scenario() -> None:
    here = [name for name, entry in CONTESTANTS.items() if not entry.missing()]
    assert {"dialogkit", "aiohttp", "httpx", "httpx-aiohttp"} <= set(here)
    with measure.serving() as url:
        for name in here:
            client = CONTESTANTS[name].open(url)
            for scenario, (_, expected) in SCENARIOS.items():
                assert await getattr(client, scenario)() == expected, f"{name}, {scenario}"
            await client.aclose()


async def test_an_answer_that_is_not_the_right_one_is_no_call() -> None:
    async def call() -> object:
        return 19, "conversation_1"

    with pytest.raises(ValueError, match=r"should have been \(20, .*, not \(19, "):
        await worker.run_for(call, SCENARIOS["page"][1], concurrent=3, seconds=0)


def test_a_failure_is_shown_with_its_reason() -> None:
    with socket.socket() as bound:  # and nobody listens
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        job = {"job": "calls", "url": url, "scenario": "page", "concurrent": 1, "seconds": 0}
        answer = worker.do({**job, "name": "aiohttp"})
    results = measured({"dialogkit": [1.0]})
    cells = measure.Cells(results, "calls")
    cells.put("aiohttp", "page@50", {"cpu": 1.0, "rate": 1.0}, cpu=targets.CPU, rate=targets.RATE)
    cells.put("aiohttp", "page@50", answer, cpu=targets.CPU, rate=targets.RATE)
    assert cells.has_failed("aiohttp", "page@50")
    cells.close()
    page = render.markdown(results)
    assert "| bare aiohttp | failed |" in page
    assert "- bare aiohttp, page of 20 conversations, 50 at once: ClientConnectorError: Cannot connect" in page


def test_a_process_that_ends_is_a_failure_and_followed_by_another() -> None:
    with measure.Worker() as process:
        process._process.kill()
        assert "failed" in process.do("permits", name="dialogkit", count=1)
        assert process.do("permits", name="dialogkit", count=1)["cpu"] > 0


def measured(costs: dict[str, list[float]], measure: str = targets.CPU) -> Results:
    results = Results({"click and rich": "not installed"}, {"rounds": 3, "passes": 1, "seconds": 1, "starts": 1})
    for name, values in costs.items():
        results.add("calls", name, "page@50", measure, values)
    return results


@pytest.mark.parametrize(
    ("ours", "words"),
    [
        ([120.0, 124.0, 130.0], f"1.20 {TIMES} (1.24) | met |"),
        ([120.0, 126.0, 130.0], f"1.20 {TIMES} (1.26) | met by the best, not by the median |"),
        ([126.0, 127.0, 128.0], f"1.26 {TIMES} (1.27) | **not met** |"),
    ],
)
def test_targets_are_judged_by_the_best_and_the_median(ours: list[float], words: str) -> None:
    page = render.markdown(measured({"dialogkit": ours, "httpx-aiohttp": [100.0, 100.0, 110.0]}))
    assert f"| ≤ 1.25 {TIMES} | {words}" in page


def test_of_rates_the_highest_is_best_and_targets_are_at_least() -> None:
    results = measured({"dialogkit": [3500.0, 100.0], "openai": [900.0, 1000.0]}, targets.RATE)
    page = render.markdown(results)
    assert f"| ≥ 3.5 {TIMES} | 3.50 {TIMES} (1.89) | met by the best, not by the median |" in page
    assert Figure("calls", "openai", "page@50", targets.RATE, [900.0, 1000.0]).best == 1000


def test_what_was_not_measured_is_not_judged() -> None:
    page = render.markdown(measured({"dialogkit": [1.0]}))
    assert "| ≤ 5 µs | not measured |  |" in page


def test_an_unknown_contestant_ends_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--only", "dialogkit,somebody"])
    assert "no somebody; there are dialogkit, openai" in capsys.readouterr().err


@pytest.mark.parametrize("name", twins.Twins._fields)
def test_twins_have_the_fields_of_the_generated_models(name: str) -> None:
    def fields(model: Any) -> dict[str, tuple[object, bool]]:
        return {key: (each.alias, each.is_required()) for key, each in model.model_fields.items()}

    assert fields(getattr(twins.twins(BaseModel), name)) == fields(getattr(models, name))
