"""One matrix for all engines, on raw sockets: what a server writes comes out alike over each of them."""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
import zlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from socket import SO_LINGER, SOL_SOCKET
from typing import NamedTuple

import anyio
import pytest

from dialogkit._core.http.failure import AnswerTooLarge, TransportFailure
from tests.support.engines import backend_of, connected, every_engine
from tests.support.messages import PATIENCE, request_of
from tests.support.servers import Behaviour, Exchange, Server, raw, reset, then_stall

# Under trio httpx leaves its own generators to the garbage collector when an answer is left early.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

HELLO = b"hello" * 1000
OK = b"HTTP/1.1 200 OK\r\n"
GZIPPED = gzip.compress(HELLO)
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
BYTE_BY_BYTE = [GZIPPED[n : n + 1] for n in range(len(GZIPPED))]
DEFLATED = zlib.compress(HELLO)


def bare_deflate(data: bytes) -> bytes:
    squeezer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return squeezer.compress(data) + squeezer.flush()


def sized(body: bytes, *headers: bytes, status: bytes = OK) -> bytes:
    lines = (b"Content-Length: %d" % len(body), *headers)
    return status + b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(*chunks: bytes, headers: bytes = b"", end: bytes = b"0\r\n\r\n") -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return OK + headers + b"Transfer-Encoding: chunked\r\n\r\n" + body + end


class Outcome(NamedTuple):
    status: int
    body: bytes
    failure: TransportFailure | None


def outcome(
    engine: str, behaviour: Behaviour, *, method: str = "POST", timeout: float = PATIENCE, limit: int = 2**26
) -> Outcome:
    """Send one request to a server that behaves so, and return what comes of it."""

    async def main() -> Outcome:
        status = 0
        with Server(behaviour) as server:
            async with connected(engine) as connection:
                try:
                    answer = await connection.send(request_of(method, server.url), timeout=timeout)
                    status = answer.status
                    return Outcome(status, await connection.read(answer, limit), None)
                except TransportFailure as failure:
                    return Outcome(status, b"", failure)

    return anyio.run(main, backend=backend_of(engine))


def streamed(engine: str, behaviour: Behaviour, *, timeout: float = PATIENCE) -> tuple[list[int], str]:
    """Take an answer as a stream, and return the sizes of its pieces and how it ended."""

    async def main() -> tuple[list[int], str]:
        sizes: list[int] = []
        with Server(behaviour) as server:
            async with connected(engine) as connection:
                answer = await connection.send(request_of("GET", server.url), timeout=timeout)
                try:
                    async for piece in answer.chunks():
                        sizes.append(len(piece))  # noqa: PERF401 - a failure leaves what came before
                except TransportFailure as failure:
                    await connection.discard(answer)
                    return sizes, failure.reason
        return sizes, ""

    return anyio.run(main, backend=backend_of(engine))


WHOLE = {
    "length": (sized(HELLO), 200, HELLO),
    "chunks": (chunked(HELLO, b"!"), 200, HELLO + b"!"),
    "chunks with trailers": (chunked(HELLO, end=b"0\r\nX-Sum: 1\r\n\r\n"), 200, HELLO),
    "until the end": (OK + b"\r\n" + HELLO, 200, HELLO),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\n" + HELLO, 200, HELLO),
    "no reason": (sized(HELLO, status=b"HTTP/1.1 200\r\n"), 200, HELLO),
    "after interim answers": (INTERIM + sized(HELLO), 200, HELLO),
    "204 with a body": (b"HTTP/1.1 204 No Content\r\n\r\n{}", 204, b""),
    "204 with length and body": (sized(b"{}", status=b"HTTP/1.1 204 No Content\r\n"), 204, b""),
    "204 after 103": (b"HTTP/1.1 103 Hints\r\n\r\n" + sized(b"{}", status=b"HTTP/1.1 204 No\r\n"), 204, b""),
    "304 with a body": (b"HTTP/1.1 304 Not Modified\r\n\r\n{}", 304, b""),
    "two equal lengths": (sized(HELLO, b"Content-Length: 5000"), 200, HELLO),
    "two equal lengths in one": (OK + b"Content-Length: 5000, 5000\r\n\r\n" + HELLO, 200, HELLO),
    "folded header": (sized(HELLO, b"X-A: a\r\n  b"), 200, HELLO),
    "LF only": (OK.replace(b"\r", b"") + b"Content-Length: 5000\n\n" + HELLO, 200, HELLO),
    "a byte too much": (sized(HELLO) + b"!", 200, HELLO),
    "another answer behind it": (sized(HELLO) + sized(b"foreign"), 200, HELLO),
    "a byte behind the chunks": (chunked(HELLO) + b"!", 200, HELLO),
    "length and chunks": (chunked(HELLO, headers=b"Content-Length: 3\r\n"), 200, HELLO),
    "long header": (sized(HELLO, b"X-Long: " + b"a" * 60_000), 200, HELLO),
    "200 headers": (sized(HELLO, *(b"X-%d: a" % n for n in range(200))), 200, HELLO),
    "Latin-1 header": (sized(HELLO, b"X-Name: caf\xe9"), 200, HELLO),
    "control character in a header": (sized(HELLO, b"X-A: a\x01b"), 200, HELLO),
    "gzip": (sized(GZIPPED, b"Content-Encoding: gzip"), 200, HELLO),
    "x-gzip": (sized(GZIPPED, b"Content-Encoding: X-GZIP"), 200, HELLO),
    "gzip in chunks": (chunked(*BYTE_BY_BYTE, headers=b"Content-Encoding: gzip\r\n"), 200, HELLO),
    "gzip of two members": (sized(GZIPPED + gzip.compress(b"!"), b"Content-Encoding: gzip"), 200, HELLO + b"!"),
    "gzip with padding": (sized(GZIPPED + bytes(9), b"Content-Encoding: gzip"), 200, HELLO),
    "deflate": (sized(DEFLATED, b"Content-Encoding: deflate"), 200, HELLO),
    "bare deflate": (sized(bare_deflate(HELLO), b"Content-Encoding: deflate"), 200, HELLO),
    "identity": (sized(HELLO, b"Content-Encoding: identity"), 200, HELLO),
    "gzip of nothing": (sized(b"", b"Content-Encoding: gzip"), 200, b""),
    "compressed refusal": (sized(GZIPPED, b"Content-Encoding: gzip", status=b"HTTP/1.1 422 No\r\n"), 422, HELLO),
}  # fmt: skip


@every_engine
@pytest.mark.parametrize(("data", "status", "body"), WHOLE.values(), ids=WHOLE)
def test_what_is_whole_is_an_answer(engine: str, data: bytes, status: int, body: bytes) -> None:
    found = outcome(engine, raw(data))
    assert (found.failure, found.status, found.body) == (None, status, body)


BROKEN = {
    "gzip without its trailer": sized(GZIPPED[:-4], b"Content-Encoding: gzip"),
    "gzip cut off": sized(GZIPPED[:-20], b"Content-Encoding: gzip"),
    "gzip with a wrong sum": sized(GZIPPED[:-8] + bytes(8), b"Content-Encoding: gzip"),
    "second member cut off": sized(GZIPPED + GZIPPED[:-4], b"Content-Encoding: gzip"),
    "gzip and more": sized(GZIPPED + b"more", b"Content-Encoding: gzip"),
    "no gzip": sized(HELLO, b"Content-Encoding: gzip"),
    "deflate cut off": sized(DEFLATED[:-4], b"Content-Encoding: deflate"),
    "deflate of one byte": sized(DEFLATED[:1], b"Content-Encoding: deflate"),
    "two layers": sized(gzip.compress(GZIPPED), b"Content-Encoding: gzip, gzip"),
    "two layers in two headers": sized(gzip.compress(GZIPPED), b"Content-Encoding: gzip", b"Content-Encoding: gzip"),
    "brotli": sized(HELLO, b"Content-Encoding: br"),
    "an encoding nobody knows": sized(HELLO, b"Content-Encoding: \xe9" + b"x" * 3000),
    "short": sized(HELLO)[:-1],
    "chunks that stop half way": chunked(HELLO, end=b""),
    "a chunk that stops half way": chunked(end=b"1388\r\nhello"),
    "two lengths that differ": sized(HELLO, b"Content-Length: 5"),
    "no length": OK + b"Content-Length: +5000\r\n\r\n" + HELLO,
    "half a head": OK + b"Content-Le",
    "no HTTP": b"220 mail.example.com ESMTP\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + sized(HELLO),
    "a header without a colon": sized(HELLO, b"nonsense"),
    "endless header": OK + b"X: " + b"a" * 200_000,
    "endless headers": OK + b"".join(b"X-%d: aaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" % n for n in range(9000)),
}


@every_engine
@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_what_is_not_whole_is_a_failure(engine: str, data: bytes) -> None:
    failure = outcome(engine, raw(data)).failure
    assert failure is not None
    assert (failure.sent, failure.timed_out) == (True, False)
    assert len(failure.reason) < 200


async def half_then_reset(exchange: Exchange) -> bool:
    """Begin an answer without a length, and reset the connection once that is released."""
    await exchange.write(OK + b"\r\n" + HELLO)
    await exchange.server.released.wait()
    socket = exchange.writer.get_extra_info("socket")
    socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    return await reset(exchange)


@every_engine
def test_an_answer_without_length_that_is_reset_is_a_failure(engine: str) -> None:
    async def take(chunks: AsyncGenerator[bytes, None], server: Server) -> int:
        size = 0
        async with aclosing(chunks):
            async for chunk in chunks:
                size += len(chunk)
                server.release()
        return size

    async def main() -> None:
        with Server(half_then_reset) as server:
            async with connected(engine) as connection:
                answer = await connection.send(request_of("GET", server.url), timeout=PATIENCE)
                with pytest.raises(TransportFailure) as caught:
                    await take(answer.chunks(), server)
                await connection.discard(answer)
        assert (caught.value.sent, caught.value.timed_out) == (True, False)

    anyio.run(main, backend=backend_of(engine))


# Nothing waits for ever.


@every_engine
@pytest.mark.parametrize("interim", [b"100 Continue", b"102 Processing", b"103 Early Hints\r\nLink: a"])
def test_silence_after_an_interim_answer_is_a_timeout(engine: str, interim: bytes) -> None:
    failure = outcome(engine, then_stall(b"HTTP/1.1 " + interim + b"\r\n\r\n"), timeout=0.1).failure
    assert failure is not None
    assert (failure.sent, failure.timed_out) == (True, True)


DRIPS = {
    "status": (b"HTTP/1.1 200 ", b"O"),
    "headers": (OK, b"X: a\r\n"),
    "interim": (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    "body": (OK + b"Content-Length: 1000000\r\n\r\n", b" "),
    "until the end": (OK + b"\r\n", b" "),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
}


def dripping(start: bytes, drop: bytes) -> Behaviour:
    async def behave(exchange: Exchange) -> bool:
        await exchange.write(start)
        while True:
            await exchange.write(drop)
            await anyio.sleep(0.01)

    return behave


@every_engine
@pytest.mark.parametrize(("start", "drop"), DRIPS.values(), ids=DRIPS)
def test_an_attempt_ends_though_pieces_keep_coming(engine: str, start: bytes, drop: bytes) -> None:
    failure = outcome(engine, dripping(start, drop), timeout=0.1).failure
    assert failure is not None
    assert (failure.sent, failure.timed_out) == (True, True)


@every_engine
def test_a_stream_to_a_caller_may_take_longer(engine: str) -> None:
    async def main() -> None:
        with Server(dripping(OK + b"\r\n", b" ")) as server:
            async with connected(engine) as connection:
                answer = await connection.send(request_of("GET", server.url), timeout=0.1)
                until = anyio.current_time() + 1.5
                chunks = answer.chunks()
                while anyio.current_time() < until:
                    await anext(chunks)
                await chunks.aclose()
                await connection.discard(answer)

    anyio.run(main, backend=backend_of(engine))


# Nothing read is unbounded.


def bomb(mebibytes: int) -> bytes:
    squeezer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([*(squeezer.compress(bytes(2**20)) for _ in range(mebibytes)), squeezer.flush()])


BOMB = bomb(8)
LARGE = {
    "length": sized(bytes(1_000_001)),
    "chunks": chunked(bytes(600_000), bytes(600_000)),
    "until the end": OK + b"\r\n" + bytes(1_000_001),
    "gzip": sized(BOMB, b"Content-Encoding: gzip"),
}


@every_engine
@pytest.mark.parametrize("data", LARGE.values(), ids=LARGE)
def test_an_answer_beyond_the_limit_is_a_failure(engine: str, data: bytes) -> None:
    failure = outcome(engine, raw(data), limit=1_000_000).failure
    assert isinstance(failure, AnswerTooLarge)
    assert (failure.sent, failure.limit) == (True, 1_000_000)


@every_engine
@pytest.mark.parametrize("size", [999_999, 1_000_000])
def test_an_answer_within_the_limit_is_whole(engine: str, size: int) -> None:
    for data in (sized(bytes(size)), OK + b"\r\n" + bytes(size)):
        found = outcome(engine, raw(data), limit=1_000_000)
        assert (found.failure, len(found.body)) == (None, size)


@every_engine
@pytest.mark.parametrize("encoding", [b"identity", b"gzip"])
def test_of_a_refusal_the_first_mebibyte_is_read(engine: str, encoding: bytes) -> None:
    status = b"HTTP/1.1 500 Internal Server Error\r\n"
    data = sized(BOMB if encoding == b"gzip" else bytes(2**21), b"Content-Encoding: " + encoding, status=status)
    found = outcome(engine, raw(data))
    assert (found.failure, found.status, len(found.body)) == (None, 500, 2**20)


@every_engine
def test_pieces_of_a_stream_are_bounded(engine: str) -> None:
    sizes, end = streamed(engine, raw(sized(BOMB, b"Content-Encoding: gzip")))
    assert (sum(sizes), max(sizes), end) == (8 * 2**20, 2**20, "")


# `python -X dev` makes aiohttp's parser strict.


MODES_PROGRAM = """
import sys
from tests._core.http import test_answers_alike as alike
for name in sys.argv[1:]:
    data, status, body = alike.WHOLE[name]
    found = alike.outcome("aiohttp", alike.raw(data))
    print(name if (found.failure, found.status, found.body) == (None, status, body) else f"{name}: {found}")
"""


@pytest.mark.parametrize("flags", [[], ["-X", "dev"]], ids=["plain", "dev"])
def test_an_answer_is_the_same_in_development_mode(flags: Sequence[str]) -> None:
    names = list(WHOLE)
    command = [sys.executable, *flags, "-W", "ignore", "-c", MODES_PROGRAM, *names]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == names
