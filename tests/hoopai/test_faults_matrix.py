"""Every fault with every retry safety: what the caller sees, how often the platform is asked, how often it acts.

A row says it for calls that may be repeated (one safe, one idempotent) and for a message, which must never be sent
twice; each meets the fault once, and always.
"""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from typing import Any, Final, TypeAlias

import anyio
import pytest

from dialogkit import (
    AmbiguousOutcomeError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    DialogkitError,
    HoopAI,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseValidationError,
    RetryPolicy,
    ServerError,
    UnprocessableEntityError,
    response_info,
)
from dialogkit.testing import Sandbox
from dialogkit.testing.engine.registry import Call, Handler, Registry
from dialogkit.testing.faults import (
    Drift,
    Drop,
    Fault,
    HalfBody,
    HtmlPage,
    Latency,
    RateLimited,
    SlowBody,
    Status,
    WrongContentType,
)
from dialogkit.testing.hoopai.platform import PLATFORM as HOOPAI

Cell: TypeAlias = tuple[type[DialogkitError] | None, int, int]
"""What the caller sees (None: the result), how often the platform was asked, how often it acted."""

LONG: Final = 3600.0
RETRY: Final = RetryPolicy(base_delay=0, default_retry_after=0)
"""Three attempts, without pauses."""


@dataclass(frozen=True)
class Row:
    fault: Fault
    once: Cell
    always: Cell
    message_once: Cell
    message_always: Cell
    strict: bool = False

    def __str__(self) -> str:
        shown = re.sub(r"<function (\w+) at \w+>", r"\1", repr(self.fault))
        return f"strict {shown}" if self.strict else shown

    @property
    def asks_again(self) -> bool:
        return self.always[1] > 1

    def cell(self, operation: str, when: str) -> Cell:
        if operation == "send_message":
            return self.message_once if when == "once" else self.message_always
        return self.once if when == "once" else self.always


def alike(fault: Fault, sees: type[DialogkitError] | None, done: int, *, strict: bool = False) -> Row:
    """Make a row of a fault that no call is repeated after."""
    cell = (sees, 1, done)
    return Row(fault, cell, cell, cell, cell, strict=strict)


def listed(_: object) -> list[str]:
    return ["bot"]


def emptied(_: object) -> dict[str, str]:
    return {}


def mistyped(body: dict[str, Any]) -> dict[str, list[Any]]:
    return {name: [value] for name, value in body.items()}


Lost, Late, Unclear, Limited = APIConnectionError, APITimeoutError, AmbiguousOutcomeError, RateLimitError
# fmt: off
NETWORK: Final = [
    # ↓ the fault                       ↓ a call that may be repeated       ↓ a message
    #                                   once          always                once             always
    Row(Drop(),                         (None, 2, 1), (Lost, 3, 0),         (Unclear, 1, 0), (Unclear, 1, 0)),
    Row(Drop(after=True),               (None, 2, 2), (Lost, 3, 3),         (Unclear, 1, 1), (Unclear, 1, 1)),
    Row(Drop(reset=True),               (None, 2, 1), (Lost, 3, 0),         (Unclear, 1, 0), (Unclear, 1, 0)),
    Row(Drop(after=True, reset=True),   (None, 2, 2), (Lost, 3, 3),         (Unclear, 1, 1), (Unclear, 1, 1)),
    Row(HalfBody(),                     (None, 2, 2), (Lost, 3, 3),         (Unclear, 1, 1), (Unclear, 1, 1)),
    Row(Latency(LONG),                  (None, 2, 1), (Late, 3, 0),         (Unclear, 1, 0), (Unclear, 1, 0)),
    Row(Latency(LONG, after=True),      (None, 2, 2), (Late, 3, 3),         (Unclear, 1, 1), (Unclear, 1, 1)),
    Row(SlowBody(2 * LONG, chunks=2),   (None, 2, 2), (Late, 3, 3),         (Unclear, 1, 1), (Unclear, 1, 1)),
]
ANSWERS: Final = [
    *(
        row
        for status, error in ((408, APIStatusError), (500, ServerError), (502, ServerError), (503, ServerError),
                              (504, ServerError), (520, ServerError))
        for row in (
    Row(Status(status),                 (None, 2, 1), (error, 3, 0),        (error, 1, 0),   (error, 1, 0)),
    Row(Status(status, after=True),     (None, 2, 2), (error, 3, 3),        (error, 1, 1),   (error, 1, 1)),
        )
    ),
    Row(HtmlPage(502),                  (None, 2, 1), (ServerError, 3, 0),  (ServerError, 1, 0), (ServerError, 1, 0)),
    Row(HtmlPage(502, after=True),      (None, 2, 2), (ServerError, 3, 3),  (ServerError, 1, 1), (ServerError, 1, 1)),
    # A gateway says this, too, when the platform has done its work and is late to say so.
    Row(Status(503, retry_after=0),     (None, 2, 1), (ServerError, 3, 0),  (ServerError, 1, 0), (ServerError, 1, 0)),
    Row(Status(503, retry_after=0, after=True),
                                        (None, 2, 2), (ServerError, 3, 3),  (ServerError, 1, 1), (ServerError, 1, 1)),
    # The platform says that it has turned the call away, so that even a message may be sent again.
    Row(RateLimited(0),                 (None, 2, 1), (Limited, 3, 0),      (None, 2, 1),    (Limited, 3, 0)),
    Row(RateLimited(None),              (None, 2, 1), (Limited, 3, 0),      (None, 2, 1),    (Limited, 3, 0)),
    Row(RateLimited("soon"),            (None, 2, 1), (Limited, 3, 0),      (None, 2, 1),    (Limited, 3, 0)),
    # Nobody waits that long.
    alike(Status(503, retry_after=LONG), ServerError, 0),
    alike(RateLimited(LONG), RateLimitError, 0),
    # The next time would bring the same.
    alike(Status(400), BadRequestError, 0),
    alike(Status(401), AuthenticationError, 0),
    alike(Status(403), PermissionDeniedError, 0),
    alike(Status(404), NotFoundError, 0),
    alike(Status(409), ConflictError, 0),
    alike(Status(418), APIStatusError, 0),
    alike(Status(422), UnprocessableEntityError, 0),
    alike(Status(501), ServerError, 0),
    alike(Status(501, after=True), ServerError, 1),
    alike(HtmlPage(403), PermissionDeniedError, 0),
    alike(HtmlPage(200), ResponseValidationError, 0),
    alike(HtmlPage(200, after=True), ResponseValidationError, 1),
    alike(Drift(listed), ResponseValidationError, 1),
    alike(Drift(mistyped), ResponseValidationError, 1, strict=True),
    # What the client puts up with.
    alike(Drift(), None, 1),
    alike(Drift(emptied), None, 1),
    alike(Drift(mistyped), None, 1),
    alike(WrongContentType(), None, 1),
    alike(WrongContentType("text/html; charset=nonsense"), None, 1, strict=True),
    alike(Latency(0.01), None, 1),
    alike(Latency(0.01, after=True), None, 1),
    alike(SlowBody(0.05), None, 1, strict=True),
]
# fmt: on


async def get(hoop: HoopAI) -> object:
    return await hoop.bots.get("bot_1")


async def update(hoop: HoopAI) -> object:
    return await hoop.bots.update("bot_1", name="Renamed")


async def send(hoop: HoopAI) -> object:
    return await hoop.messages.send(type="SMS", contact_id="contact_new", message="Hello")


CALLS: Final[dict[str, Callable[[HoopAI], Awaitable[object]]]] = {
    "get_bot": get,  # safe
    "update_bot": update,  # idempotent
    "send_message": send,  # never after it was sent
}


class Platform:
    """A sandbox that counts what it does."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        handlers = Registry()
        for id_, handler in HOOPAI.handlers.items():
            handlers.handles(id_)(self._counted(id_, handler))
        self.sandbox = Sandbox(tier=None, platform=replace(HOOPAI, handlers=handlers))

    def _counted(self, id_: str, handler: Handler) -> Handler:
        def handle(call: Call) -> Any:
            self.done[id_] += 1
            return handler(call)

        return handle

    def reset(self) -> None:
        self.sandbox.reset()
        self.done.clear()

    def client(self, *, strict: bool = False, timeout: float = 10) -> HoopAI:
        sandbox = self.sandbox
        return HoopAI(
            sandbox.api_key,
            base_url=sandbox.url,
            location_id=sandbox.location_id,
            rate_limit=None,
            retry=RETRY,
            timeout=timeout,
            strict=strict,
        )

    def asked(self, operation: str) -> int:
        """Return how often an operation was called, when all that was sent has arrived."""
        self.sandbox.clear_faults()
        # What was sent before, on connections that were made before, is there before this.
        last = HTTPConnection(self.sandbox.url.removeprefix("http://"), timeout=10)
        last.request("GET", "/last")
        last.getresponse().read()
        last.close()
        return sum(each.operation_id == operation for each in self.sandbox.requests)

    @property
    def messages(self) -> int:
        state = self.sandbox.app.state
        return len(state.table("messages", "", "").find(body="Hello"))


@pytest.fixture(scope="module")
def _platform() -> Iterator[Platform]:
    platform = Platform()
    with platform.sandbox:
        yield platform


@pytest.fixture
def platform(_platform: Platform) -> Platform:
    _platform.reset()
    return _platform


def check(platform: Platform, backend: str, row: Row, operation: str, when: str, *, warm: bool = False) -> None:
    expected, asked, done = row.cell(operation, when)
    # Whoever waits in vain does not wait for long; whoever is answered has time enough on a busy machine.
    timeout = 10.0
    if row.always[0] is Late:
        timeout = 0.15 if expected in {Late, Unclear} else 0.3
    injection = platform.sandbox.inject(row.fault, on=operation, times=1 if when == "once" else None)

    async def run() -> object:
        async with platform.client(strict=row.strict, timeout=timeout) as hoop:
            if warm:
                await hoop.conversations.get("conversation_1")
            try:
                return await CALLS[operation](hoop)
            except DialogkitError as error:
                return error

    seen = anyio.run(run, backend=backend)
    assert (type(seen) if isinstance(seen, DialogkitError) else None) is expected, repr(seen)
    assert (platform.asked(operation), platform.done[operation]) == (asked, done)
    assert platform.messages == (done if operation == "send_message" else 0)
    assert injection.hits == (asked if when == "always" else 1)
    if isinstance(seen, APIConnectionError):
        assert (seen.attempts, seen.sent) == (asked, True)
    elif isinstance(seen, APIStatusError):
        assert seen.attempts == asked
    elif expected is None:
        assert response_info(seen).attempts == asked


@pytest.mark.parametrize("when", ["once", "always"])
@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("row", [*NETWORK, *ANSWERS], ids=str)
def test_under_asyncio(platform: Platform, row: Row, operation: str, when: str) -> None:
    check(platform, "asyncio", row, operation, when)


@pytest.mark.parametrize("when", ["once", "always"])
@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("row", [*NETWORK, *(row for row in ANSWERS if row.asks_again)], ids=str)
def test_under_trio(platform: Platform, row: Row, operation: str, when: str) -> None:
    check(platform, "trio", row, operation, when)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("when", ["once", "always"])
@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("row", [row for row in NETWORK if row.always[0] is Lost], ids=str)
def test_on_a_connection_that_was_used_before(
    platform: Platform, backend: str, row: Row, operation: str, when: str
) -> None:
    check(platform, backend, row, operation, when, warm=True)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("operation", CALLS)
def test_what_never_left_is_repeated_whatever_it_is(operation: str, backend: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    async def run() -> None:
        async with HoopAI("key", base_url=f"http://127.0.0.1:{port}", location_id="loc", retry=RETRY) as hoop:
            with pytest.raises(APIConnectionError) as caught:
                await CALLS[operation](hoop)
        assert type(caught.value) is APIConnectionError
        assert (caught.value.attempts, caught.value.sent) == (3, False)

    anyio.run(run, backend=backend)
