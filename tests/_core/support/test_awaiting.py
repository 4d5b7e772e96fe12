"""What is awaited once is a coroutine for every event loop, and still may never begin."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

import anyio
import anyio._backends._asyncio as asyncio_backend
import pytest

from dialogkit._core.support.awaiting import AwaitedOnce, refuses

needs_a_newer_anyio = pytest.mark.skipif(
    getattr(asyncio_backend, "iscoroutine", None) is inspect.iscoroutine,
    reason="This anyio takes what `async def` has made, and no other coroutine, for its task groups under asyncio.",
)


class Answer(AwaitedOnce[str]):
    """Answers after a moment; it knows what happened to it."""

    def __init__(self, wait: float = 0) -> None:
        super().__init__()
        self.wait = wait
        self.seen: list[str] = []

    def _begin(self) -> Coroutine[Any, Any, str]:
        return self._work()

    def _again(self) -> str:
        return "ask again"

    def __repr__(self) -> str:
        return "<Answer>"

    async def _work(self) -> str:
        self.seen.append("begun")
        try:
            await anyio.sleep(self.wait)
        except BaseException as exc:
            self.seen.append(type(exc).__name__)
            raise
        self.seen.append("done")
        return "answer"


async def plain(answer: Answer) -> str:
    return await answer


async def in_a_task(answer: Answer) -> str:
    return await asyncio.create_task(answer)


async def gathered(answer: Answer) -> str:
    return (await asyncio.gather(answer))[0]


async def in_time(answer: Answer) -> str:
    return await asyncio.wait_for(answer, 60)


async def ensured(answer: Answer) -> str:
    return await asyncio.ensure_future(answer)


@pytest.mark.parametrize("way", [plain, in_a_task, gathered, in_time, ensured])
def test_asyncio_takes_it_as_a_coroutine(way: Callable[[Answer], Awaitable[str]]) -> None:
    async def run() -> str:
        return await way(answer)

    answer = Answer()
    assert asyncio.run(run(), debug=True) == "answer"
    assert answer.seen == ["begun", "done"]
    assert asyncio.run(Answer()) == "answer"  # even as the main thing that runs


@pytest.mark.parametrize("backend", [pytest.param("asyncio", marks=needs_a_newer_anyio), "trio"])
def test_a_task_group_of_any_loop_starts_it(backend: str) -> None:
    answers: list[Answer] = []

    def ask() -> Answer:
        answers.append(Answer())
        return answers[-1]

    async def run() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            group.start_soon(ask)

    anyio.run(run, backend=backend)
    assert [answer.seen for answer in answers] == [["begun", "done"]] * 2


@pytest.mark.parametrize("backend", [pytest.param("asyncio", marks=needs_a_newer_anyio), "trio"])
def test_it_can_be_cancelled(backend: str) -> None:
    answer = Answer(wait=3_600)

    async def run() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: answer)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    anyio.run(run, backend=backend)
    assert answer.seen == ["begun", {"asyncio": "CancelledError", "trio": "Cancelled"}[backend]]


async def test_a_task_that_is_cancelled_before_it_begins_begins_nothing() -> None:
    answer = Answer()
    task = asyncio.create_task(answer)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert answer.seen == []


async def test_a_second_await_says_what_is_right() -> None:
    answer = Answer()
    await answer
    with pytest.raises(RuntimeError, match="<Answer> was awaited already: ask again"):
        await answer
    with pytest.raises(RuntimeError, match="<Answer> was awaited already"):
        await asyncio.create_task(answer)


def test_closing_ends_it_whether_it_has_begun_or_not() -> None:
    fresh, begun = Answer(), Answer(wait=3_600)
    fresh.close()
    assert fresh.seen == []
    with pytest.raises(RuntimeError):
        fresh.send(None)

    async def run() -> None:
        begun.send(None)
        begun.close()

    asyncio.run(run())
    assert begun.seen == ["begun", "GeneratorExit"]


def test_all_forms_of_throwing_are_understood() -> None:
    forms: list[Any] = [(KeyError("x"),), (KeyError,), (KeyError, KeyError("x")), (KeyError, KeyError("x"), None)]
    for arguments in forms:
        with pytest.raises(KeyError):
            Answer().throw(*arguments)


def test_a_wrong_use_is_refused_with_advice() -> None:
    class Thing:
        __iter__ = refuses("do not")

    with pytest.raises(TypeError, match="do not"):
        iter(cast("Any", Thing()))
