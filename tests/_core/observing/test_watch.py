"""Hooks: what they are told, and that they break nothing."""

from __future__ import annotations

import asyncio
import logging
import pickle
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator
from dataclasses import FrozenInstanceError, asdict
from typing import Any

import anyio
import pytest
import trio

from dialogkit._core.errors import APITimeoutError, ConfigurationError
from dialogkit._core.events import Drift, RateLimitEvent, RequestEvent, ResponseEvent, RetryEvent
from dialogkit._core.http.transport import Answer, Request
from dialogkit._core.observing.drift import DriftLog
from dialogkit._core.observing.hooks import Hooks
from dialogkit._core.observing.watch import Attempt, Watch
from dialogkit._core.support.callbacks import Guarded
from tests._core.toy import GET_THING, KEY
from tests.support.messages import answer_of, request_of

URL = "https://toy.example/api/things/t1?secretQuery=of-the-user"
WHERE: dict[str, Any] = {
    "platform": "Toy",
    "operation": "get_thing",
    "method": "GET",
    "path": "/things/{thing_id}",
    "location_id": "loc_1",
    "attempt": 2,
}
NO_ANSWER = APITimeoutError("get_thing: too slow", operation="get_thing", sent=True, attempts=2)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def request() -> Request:
    return request_of("GET", URL, headers={"Authorization": f"Bearer {KEY}"}, content=b"what the user wrote")


async def begin(watch: Watch) -> Attempt | None:
    return await watch.sending(GET_THING, request(), attempt=2, location_id="loc_1")


async def all_that_can_happen(watch: Watch, response: Answer | None = None) -> None:
    attempt = await begin(watch)
    if attempt is not None:
        await attempt.answered(response or answer_of(200, content=b"what they answered"), "req_1")
        attempt.body(b"what they answered")
    await watch.retrying(GET_THING, attempt=2, location_id="loc_1", error=NO_ANSWER, delay=1.5)
    await watch.held_back(GET_THING, attempt=2, location_id="loc_1", reason="waited", seconds=0.5)
    await watch.held_back(GET_THING, attempt=2, location_id="loc_1", reason="refused", seconds=None)


def hooks_of(hook: Callable[[Any], object]) -> Hooks:
    return Hooks(on_request=hook, on_response=hook, on_retry=hook, on_rate_limit=hook)


def told(response: Answer | None = None) -> list[Any]:
    """What hooks are told."""
    events: list[Any] = []
    asyncio.run(all_that_can_happen(Watch("Toy", hooks_of(events.append)), response))
    return events


def test_hooks_are_told_what_happens() -> None:
    sent, answered, repeated, waited, refused = told(answer_of(200, headers={"X-Plan": "gold"}))
    assert sent == RequestEvent(**WHERE)
    assert asdict(answered) == {
        **WHERE, "status": 200, "request_id": "req_1", "headers": {"x-plan": "gold"}, "elapsed": answered.elapsed
    }  # fmt: skip
    assert repeated == RetryEvent(**WHERE, error=NO_ANSWER, delay=1.5)
    assert waited == RateLimitEvent(**WHERE, reason="waited", seconds=0.5)
    assert refused == RateLimitEvent(**WHERE, reason="refused", seconds=None)


def test_each_hook_is_told_its_own() -> None:
    calls: list[str] = []
    hooks = Hooks(
        on_request=lambda event: calls.append(f"request {type(event).__name__}"),
        on_response=lambda event: calls.append(f"response {event.status}"),
        on_retry=lambda event: calls.append(f"retry in {event.delay}"),
        on_rate_limit=lambda event: calls.append(event.reason),
    )
    asyncio.run(all_that_can_happen(Watch("Toy", hooks)))
    assert calls == ["request RequestEvent", "response 200", "retry in 1.5", "waited", "refused"]


def test_events_carry_no_credential_query_body_or_cookie() -> None:
    echo = answer_of(
        200,
        headers={"X-Echo": f"you sent Bearer {KEY}", "X-Key": KEY, "Set-Cookie": "session=1", "X-Plan": "gold"},
        content=b"what they answered",
    )
    events = told(echo)
    assert events[1].headers == {"x-echo": "you sent ***", "x-key": "***", "x-plan": "gold", "content-length": "18"}
    shown = repr([asdict(event) for event in events]) + repr(events) + str(pickle.dumps(events))
    for private in (KEY, "of-the-user", "what the user wrote", "what they answered", "session=1"):
        assert private not in shown


def test_an_echoed_credential_is_no_request_id() -> None:
    events: list[ResponseEvent] = []

    async def main() -> None:
        attempt = await begin(Watch("Toy", Hooks(on_response=events.append)))
        assert attempt is not None
        await attempt.answered(answer_of(200), KEY)

    asyncio.run(main())
    assert events[0].request_id == "***"


def test_what_the_platform_calls_a_request_forges_no_line() -> None:
    events: list[ResponseEvent] = []

    async def main() -> None:
        attempt = await begin(Watch("Toy", Hooks(on_response=events.append)))
        assert attempt is not None
        await attempt.answered(answer_of(200), "req\n2027-01-01 CRITICAL forged\x9b2J\u202e")

    asyncio.run(main())
    assert events[0].request_id == "req\\n2027-01-01 CRITICAL forged\\x9b2J\\u202e"


def test_a_drift_forges_no_line(caplog: pytest.LogCaptureFixture) -> None:
    DriftLog()(Drift(operation="get_thing", location="a\nb[3]", message="c\x1b[2J\u202e"))
    (line,) = caplog.messages
    assert "at a\\nb[]: c\\x1b[2J\\u202e. It was read" in line
    assert line.isprintable()


def test_events_can_be_pickled_and_not_changed() -> None:
    events = told()
    assert [type(event) for event in pickle.loads(pickle.dumps(events))] == [type(event) for event in events]
    assert pickle.loads(pickle.dumps(events[:2])) == events[:2]
    with pytest.raises(FrozenInstanceError):
        events[0].attempt = 3


def test_a_header_that_came_twice_is_told_whole() -> None:
    response = answer_of(200, headers=[("Link", "<a>"), ("link", "<b>")])
    assert told(response)[1].headers == {"link": "<a>, <b>"}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_asynchronous_hooks_are_awaited(backend: str) -> None:
    events: list[Any] = []

    async def hook(event: object) -> None:
        await anyio.lowlevel.checkpoint()
        events.append(event)

    anyio.run(all_that_can_happen, Watch("Toy", hooks_of(hook)), backend=backend)
    assert [type(event).__name__ for event in events] == [
        "RequestEvent",
        "ResponseEvent",
        "RetryEvent",
        "RateLimitEvent",
        "RateLimitEvent",
    ]


async def test_hooks_run_in_the_call_s_own_task() -> None:
    tasks: set[object] = set()

    async def hook(event: object) -> None:
        tasks.add(asyncio.current_task())

    await all_that_can_happen(Watch("Toy", hooks_of(hook)))
    assert tasks == {asyncio.current_task()}


async def test_whatever_can_be_awaited_is() -> None:
    class Note(Awaitable[None]):
        done = False

        def __await__(self) -> Generator[Any, None, None]:
            yield from asyncio.sleep(0).__await__()
            self.done = True

    note = Note()
    await Guarded("a hook", lambda: note).run()
    assert note.done


@pytest.mark.parametrize("late", [False, True], ids=["when called", "when awaited"])
async def test_a_failing_hook_breaks_nothing_and_is_logged_once(caplog: pytest.LogCaptureFixture, late: bool) -> None:
    calls: list[object] = []

    async def fail_late(event: object) -> None:
        calls.append(event)
        await asyncio.sleep(0)
        raise LookupError("the hook's own fault")

    def fail(event: object) -> None:
        calls.append(event)
        raise LookupError("the hook's own fault")

    watch = Watch("Toy", hooks_of(fail_late if late else fail))
    for _ in range(3):
        await all_that_can_happen(watch)
    assert len(calls) == 15
    names = ("on_request", "on_response", "on_retry", "on_rate_limit")
    lines = [f"{name} failed; the call goes on without it" for name in names]
    assert [record.getMessage() for record in caplog.records] == lines
    assert all(record.name == "dialogkit" and record.levelno == logging.ERROR for record in caplog.records)
    assert "the hook's own fault" in caplog.text


@pytest.mark.parametrize("moment", ["on_request", "on_response", "on_retry", "on_rate_limit"])
async def test_cancellation_passes_through_a_hook(caplog: pytest.LogCaptureFixture, moment: str) -> None:
    waiting = asyncio.Event()

    async def hook(event: object) -> None:
        waiting.set()
        await anyio.sleep_forever()

    hooks: dict[str, Any] = {moment: hook}
    call = asyncio.create_task(all_that_can_happen(Watch("Toy", Hooks(**hooks))))
    await waiting.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not caplog.records


def test_cancellation_passes_through_a_hook_under_trio(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        with trio.CancelScope() as scope:

            async def hook(event: object) -> None:
                scope.cancel()
                await trio.sleep_forever()

            await all_that_can_happen(Watch("Toy", hooks_of(hook)))
        assert scope.cancelled_caught

    trio.run(main)
    assert not caplog.records


async def test_a_hook_s_time_is_not_the_platform_s() -> None:
    clock = Clock()
    elapsed: list[float] = []

    def slow(event: RequestEvent) -> None:
        clock.now += 10

    watch = Watch("Toy", Hooks(on_request=slow, on_response=lambda event: elapsed.append(event.elapsed)), clock=clock)
    attempt = await begin(watch)
    assert attempt is not None
    clock.now += 0.25
    await attempt.answered(answer_of(503), None)
    assert elapsed == [0.25]


@pytest.mark.parametrize("hooks", [Hooks(), Hooks(on_retry=print, on_rate_limit=print)])
async def test_an_attempt_is_not_followed_when_nobody_looks_on(hooks: Hooks, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dialogkit")
    assert await begin(Watch("Toy", hooks)) is None


@pytest.mark.parametrize("hooks", [Hooks(on_request=lambda event: None), Hooks(on_response=lambda event: None)])
async def test_an_attempt_is_followed_for_a_hook(hooks: Hooks) -> None:
    assert await begin(Watch("Toy", hooks)) is not None


@pytest.mark.parametrize("logger", ["dialogkit", "dialogkit.http", "dialogkit.bodies"])
async def test_an_attempt_is_followed_for_the_log(logger: str, caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch("Toy", Hooks())
    assert await begin(watch) is None
    caplog.set_level(logging.DEBUG, logger)  # the level may change at any time
    assert await begin(watch) is not None


@pytest.mark.parametrize("name", ["on_request", "on_response", "on_retry", "on_rate_limit"])
def test_a_hook_has_to_be_callable(name: str) -> None:
    hooks: dict[str, Any] = {name: "print"}
    with pytest.raises(ConfigurationError, match=f"^{name} takes a function or another callable, not str$"):
        Hooks(**hooks)


def test_opentelemetry_is_not_imported_for_its_own_sake() -> None:
    code = (
        "import asyncio, sys\n"
        "from tests._core.observing.test_watch import Hooks, Watch, all_that_can_happen\n"
        "asyncio.run(all_that_can_happen(Watch('Toy', Hooks())))\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
