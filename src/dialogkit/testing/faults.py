"""What a sandbox can be told to do wrong: `sandbox.inject(faults.Drop(), on="send_message", times=1)`.

    Latency           the answer comes late
    Drop              the connection is closed without an answer
    HalfBody          the connection is closed in the middle of the answer's body
    SlowBody          the answer's body trickles
    Status            an error status in place of the answer
    RateLimited       429
    HtmlPage          a page for browsers in place of the answer
    WrongContentType  the answer is labelled as something else than it is
    Drift             the answer's JSON differs from what the document promises

Where a fault has `after`, that decides whether the request has an effect: without it the request comes to nothing, with
it the platform does what it was asked for, and only its answer is lost. Under `RateLimited` a request never has an
effect; under the faults that merely spoil the answer it always has.

`Drop` and `HalfBody` need the sandbox's own server: called through `Sandbox.app`, they raise `SandboxError`.

A fault of your own is a subclass of `Fault`, which says where a request meets it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from http import HTTPStatus
from typing import Any, ClassVar, Protocol, TypeAlias

from typing_extensions import override

from dialogkit.testing.engine.document import is_array, is_object
from dialogkit.testing.engine.refusals import Refusal
from dialogkit.testing.engine.registry import Answer

__all__ = [
    "Drift",
    "Drop",
    "Exchange",
    "Fault",
    "HalfBody",
    "HtmlPage",
    "Latency",
    "RateLimited",
    "SlowBody",
    "Status",
    "WrongContentType",
]

RetryAfter: TypeAlias = "float | str | None"
"""Seconds, the header's text as it is (a date, for example), or None for no such header."""


class Exchange(Protocol):
    """One request on its way, as a fault may use it."""

    async def read(self) -> None:
        """Read the request to its end, so that the connection stays in step."""
        ...

    async def served(self) -> Answer:
        """Read the request, let the platform do what it asks for, and return the platform's answer."""
        ...

    def refused(self, refusal: Refusal, /) -> Answer:
        """Return what the platform answers to a request that it refuses."""
        ...

    async def wait(self, seconds: float) -> None:
        """Read the request, and keep the client waiting. When it goes away meanwhile, this does not return."""
        ...

    async def send(self, answer: Answer) -> None:
        """Send an answer whole."""
        ...

    async def begin(self, answer: Answer) -> None:
        """Send the head of an answer, which promises all of its body."""
        ...

    async def piece(self, content: bytes, *, more: bool = True) -> None:
        """Send a piece of the body; `more` says whether another follows."""
        ...

    async def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection, or reset it."""
        ...


class Fault:
    """What a request may meet; this one changes nothing. A subclass says what is done otherwise.

    Instances must not change: many requests may meet one at once.
    """

    cuts: ClassVar[bool] = False
    """Whether it closes the connection, which the sandbox's own server alone can do."""

    async def answer(self, exchange: Exchange) -> Answer | None:
        """Return what to answer; None for nothing at all."""
        return await exchange.served()

    async def deliver(self, answer: Answer | None, exchange: Exchange) -> None:
        """Bring the answer to the client."""
        if answer is not None:
            await exchange.send(answer)


@dataclass(frozen=True)
class Latency(Fault):
    """The answer comes late. When the client does not wait for it, it gets none.

    Args:
        seconds: How late.
        after: Handle the request first and wait then; else a client that gives up meanwhile has caused nothing.

    Raises:
        ValueError: `seconds` is no positive number.
    """

    seconds: float
    _: KW_ONLY
    after: bool = False

    def __post_init__(self) -> None:
        _check_seconds(self.seconds)

    @override
    async def answer(self, exchange: Exchange) -> Answer | None:
        if not self.after:
            await exchange.wait(self.seconds)
            return await exchange.served()
        answer = await exchange.served()
        await exchange.wait(self.seconds)
        return answer


@dataclass(frozen=True)
class Drop(Fault):
    """The connection is closed without an answer. A client that is still sending then sees a reset in any case.

    Args:
        after: Handle the request first; else the connection is closed before the request's body is read.
        reset: Reset the connection (RST) rather than close it (FIN).
    """

    _: KW_ONLY
    after: bool = False
    reset: bool = False
    cuts: ClassVar[bool] = True

    @override
    async def answer(self, exchange: Exchange) -> None:
        if self.after:
            await exchange.served()

    @override
    async def deliver(self, answer: Answer | None, exchange: Exchange) -> None:
        await exchange.hang_up(reset=self.reset)


@dataclass(frozen=True)
class HalfBody(Fault):
    """The answer promises its whole body, brings half of it, and the connection is closed.

    An answer without a body arrives whole, before the connection is closed.
    """

    cuts: ClassVar[bool] = True
    after: ClassVar[bool] = True

    @override
    async def deliver(self, answer: Answer | None, exchange: Exchange) -> None:
        if answer is not None and answer.content:
            await exchange.begin(answer)
            await exchange.piece(answer.content[: len(answer.content) // 2])
        else:
            await super().deliver(answer, exchange)
        await exchange.hang_up()


@dataclass(frozen=True)
class SlowBody(Fault):
    """The answer's body comes in pieces, with a pause before each.

    Args:
        seconds: How long the whole body takes.
        chunks: How many pieces there are, from 1 up; a short body has fewer.

    Raises:
        ValueError: `seconds` is no positive number, or `chunks` no positive whole one.
    """

    seconds: float
    chunks: int = 10
    after: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_seconds(self.seconds)
        if not _is_whole(self.chunks) or self.chunks < 1:
            raise ValueError(f"chunks must be a whole number from 1 up, not {self.chunks!r}.")

    @override
    async def deliver(self, answer: Answer | None, exchange: Exchange) -> None:
        if answer is None or not answer.content:
            return await super().deliver(answer, exchange)
        await exchange.begin(answer)
        content, count = answer.content, min(self.chunks, len(answer.content))
        for number in range(count):
            await exchange.wait(self.seconds / count)
            await exchange.piece(content[len(content) * number // count : len(content) * (number + 1) // count])
        return await exchange.piece(b"", more=False)


@dataclass(frozen=True)
class Status(Fault):
    """An error status in place of the answer, with a body as the platform's errors have it.

    Args:
        status: From 400 to 599.
        retry_after: Seconds for the header `Retry-After`, or its text as it is; None leaves it out.
        after: Handle the request first.

    Raises:
        ValueError: The status is no error, or `retry_after` can be no header.
    """

    status: int
    _: KW_ONLY
    retry_after: RetryAfter = None
    after: bool = False

    def __post_init__(self) -> None:
        if not _is_whole(self.status) or not 400 <= self.status <= 599:
            raise ValueError(f"status must be an error from 400 to 599, not {self.status!r}.")
        _check_retry_after(self.retry_after)

    @override
    async def answer(self, exchange: Exchange) -> Answer:
        await _taken(exchange, handled=self.after)
        return exchange.refused(_injected(self.status, self.retry_after))


@dataclass(frozen=True)
class RateLimited(Fault):
    """The request is turned away with 429, as though the limits were used up.

    Args:
        retry_after: Seconds for the header `Retry-After`, or its text as it is; None leaves it out.

    Raises:
        ValueError: `retry_after` can be no header.
    """

    retry_after: RetryAfter = 1
    status: ClassVar[int] = 429
    after: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_retry_after(self.retry_after)

    @override
    async def answer(self, exchange: Exchange) -> Answer:
        await _taken(exchange, handled=self.after)
        return exchange.refused(_injected(self.status, self.retry_after))


@dataclass(frozen=True)
class HtmlPage(Fault):
    """A page for browsers in place of the answer, as proxies and login walls send it.

    Args:
        status: 200, or an error from 400 to 599.
        after: Handle the request first.

    Raises:
        ValueError: The status is another one.
    """

    status: int = 200
    _: KW_ONLY
    after: bool = False

    def __post_init__(self) -> None:
        if not _is_whole(self.status) or not (self.status == 200 or 400 <= self.status <= 599):
            raise ValueError(f"status must be 200 or an error from 400 to 599, not {self.status!r}.")

    @override
    async def answer(self, exchange: Exchange) -> Answer:
        await _taken(exchange, handled=self.after)
        title = "Sign in" if self.status == 200 else f"{self.status} {_phrase(self.status)}"
        page = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
        return Answer(self.status, page.encode(), "text/html; charset=utf-8")


@dataclass(frozen=True)
class WrongContentType(Fault):
    """The answer is labelled as something else than it is; its body stays.

    Args:
        media_type: What the header `Content-Type` says.

    Raises:
        ValueError: It can be no header.
    """

    media_type: str = "text/plain"
    after: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_header("media_type", self.media_type)

    @override
    async def answer(self, exchange: Exchange) -> Answer:
        answer = await exchange.served()
        return replace(answer, media_type=self.media_type) if answer.content else answer


@dataclass(frozen=True)
class Drift(Fault):
    """The answer's JSON is changed after the sandbox has checked it. An answer that is not JSON stays as it is.

    Args:
        mutate: Gets the decoded body and returns what to send in place of it, in the sandbox's thread. Without it,
            every object gets a field that no document knows, and every number becomes a string.
    """

    mutate: Callable[[Any], Any] | None = None
    after: ClassVar[bool] = True

    @override
    async def answer(self, exchange: Exchange) -> Answer:
        answer = await exchange.served()
        if not answer.content or answer.media_type != "application/json":
            return answer
        body = json.loads(answer.content)
        changed = _drifted(body) if self.mutate is None else self.mutate(body)
        return Answer.json(answer.status, changed, answer.headers)


def _drifted(value: Any) -> Any:
    if is_object(value):
        return {**{name: _drifted(each) for name, each in value.items()}, "driftedField": "drifted"}
    if is_array(value):
        return [_drifted(each) for each in value]
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_seconds(value: float) -> None:
    if not _is_number(value) or not 0 < value < math.inf:
        raise ValueError(f"seconds must be a positive number, not {value!r}.")


def _check_retry_after(value: RetryAfter) -> None:
    if isinstance(value, str):
        _check_header("retry_after", value)
    elif value is not None and (not _is_number(value) or not 0 <= value < math.inf):
        raise ValueError(
            f"retry_after must be a number of seconds from 0 up, the header's text or None, not {value!r}."
        )


def _check_header(name: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip() or not (value.isascii() and value.isprintable()):
        raise ValueError(f"{name} must be printable ASCII text, not {value!r}.")


async def _taken(exchange: Exchange, *, handled: bool) -> None:
    """Take a request that is answered otherwise in any case."""
    await (exchange.served() if handled else exchange.read())


def _injected(status: int, retry_after: RetryAfter) -> Refusal:
    message = f"{_phrase(status)} (injected by the sandbox)"
    return Refusal(status, message, headers=_retry_after_header(retry_after))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _retry_after_header(value: RetryAfter) -> dict[str, str]:
    if value is None:
        return {}
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return {"Retry-After": str(value)}
