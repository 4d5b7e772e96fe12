"""Files on their way from a platform: an open answer, and the ways to take it.

data = await namespace.recording("msg_1")                             # all of it, in memory
path = await namespace.recording("msg_1").to_file("call.wav")         # to disk, piece by piece
async with namespace.recording("msg_1").stream() as stream:           # as it comes
    async for chunk in stream: ...
"""

from __future__ import annotations

import mimetypes
import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Concatenate, ParamSpec, cast

from typing_extensions import Self

from dialogkit._core.call import Progress, name_of
from dialogkit._core.errors import AnswerTooLargeError, APIConnectionError, APITimeoutError, InvalidArgumentError
from dialogkit._core.files.filenames import suggested_filename
from dialogkit._core.http.failure import TransportFailure
from dialogkit._core.http.transport import MAX_BYTES, Answer
from dialogkit._core.response import ResponseInfo
from dialogkit._core.support.awaiting import AwaitedOnce, refuses
from dialogkit._core.support.callbacks import Guarded
from dialogkit._core.support.lazy import LazyModule
from dialogkit._core.support.methods import Method, derive

if TYPE_CHECKING:
    import anyio
    from anyio import to_thread

    from dialogkit._core.http import pool
else:
    anyio = LazyModule("anyio")
    to_thread = LazyModule("anyio.to_thread")
    pool = LazyModule("dialogkit._core.http.pool")

P = ParamSpec("P")

_CLOSING = 5  # seconds that a peer may take to say goodbye when an answer is left early
_NOTE = (
    "Await the result for all bytes, `await` its `.to_file(path)` to write them to disk piece by piece, or enter\n"
    "`async with` its `.stream()` to take them as they come. Only then the request is sent."
)
_USE = (
    "a download is fetched when it is awaited: `await ...` gives the bytes, `await ....to_file(path)` writes them to "
    "disk, and `async with ....stream() as stream` gives them as they come"
)


class ByteStream(AsyncIterator[bytes]):
    """An answer that is still coming in: iterate over it for its bytes, in pieces of any size.

    Enter it with `async with`, or call `aclose()`, so that its connection is given back; that happens by itself once
    the last byte has come. An answer that breaks off raises `APIConnectionError`.
    """

    __slots__ = (
        "_answer",
        "_chunks",
        "_closed",
        "_complete",
        "_connection",
        "_count",
        "_limit",
        "_operation",
        "_report",
        "_response_info",
    )

    def __init__(
        self,
        answer: Answer,
        connection: pool.Connection,
        info: ResponseInfo,
        on_progress: Progress | None = None,
        *,
        operation: str = "download",
        limit: int = MAX_BYTES,
    ) -> None:
        self._limit = limit
        self._answer = answer
        self._connection = connection  # held, so that the pool lives as long as the answer
        self._response_info = info
        self._operation = operation
        self._chunks = answer.chunks()
        self._count = 0
        self._complete = False
        self._closed = False
        self.watch(on_progress)

    @property
    def content_type(self) -> str | None:
        """The media type that the answer declares, such as `audio/x-wav`."""
        value: str | None = self._answer.headers.get("content-type")
        return value

    @property
    def filename(self) -> str | None:
        """The file name that the answer suggests: a base name without any directory, safe to use."""
        return suggested_filename(self._answer.headers.get("content-disposition"))

    @property
    def size(self) -> int | None:
        """Bytes in total; `None` when the answer does not say, or is compressed on the way."""
        length = self._answer.headers.get("content-length", "")
        encoded = self._answer.headers.get("content-encoding", "identity") != "identity"
        return int(length) if length.isascii() and length.isdigit() and not encoded else None

    @property
    def info(self) -> ResponseInfo:
        """Status, headers, request id, attempts, and the time until the answer began."""
        return self._response_info

    def watch(self, on_progress: Progress | None) -> None:
        """Call `on_progress` as bytes come in, in place of what was called before.

        Args:
            on_progress: Takes the bytes so far, and the total if it is known.
        """
        self._report = None if on_progress is None else Guarded("on_progress", on_progress)

    async def __anext__(self) -> bytes:
        if self._complete:
            raise StopAsyncIteration
        if self._closed:
            raise RuntimeError(f"{self._operation}: this stream is closed; nothing can be read from it any more")
        try:
            chunk = await self._next()
        except BaseException:
            await self.aclose()
            raise
        if chunk:
            return chunk
        self._complete = True
        await self.aclose()
        raise StopAsyncIteration

    async def read(self) -> bytes:
        """Return all bytes that are still to come, and close the stream.

        Raises:
            AnswerTooLargeError: There are more than the client's `max_answer_bytes`.
        """
        whole = bytearray()
        async for chunk in self:
            whole += chunk
            if len(whole) > self._limit:
                await self.aclose()
                raise AnswerTooLargeError(
                    f"{self._operation}: the answer has more than {self._limit:,} bytes. Write it to a file with "
                    "to_file(), take it as a stream(), or raise max_answer_bytes.",
                    operation=self._operation,
                    limit=self._limit,
                )
        return bytes(whole)

    async def aclose(self) -> None:
        """Give the connection back, or drop it when bytes are still to come."""
        if self._closed:
            return
        self._closed = True
        with anyio.move_on_after(_CLOSING, shield=True):
            await self._chunks.aclose()
            await self._answer.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<ByteStream of {self._operation}: {self._count} of {self.size or 'unknown'} bytes>"

    async def _next(self) -> bytes:
        """Return the next piece, and `b""` at the end."""
        broken: TransportFailure | None = None
        chunk = b""
        try:
            chunk = await anext(self._chunks, b"")
        except TransportFailure as exc:
            broken = exc
        if broken is not None:  # raised here, so that the engine's frames do not come along
            raise self._broken(broken.reason, timed_out=broken.timed_out)
        self._count += len(chunk)
        if not chunk and self.size is not None and self._count != self.size:
            raise self._broken("the connection ended early")
        if chunk and self._report is not None:
            self._report(self._count, self.size)
        return chunk

    def _broken(self, reason: str, *, timed_out: bool = False) -> APIConnectionError:
        size = "" if self.size is None else f" of {self.size}"
        error = APITimeoutError if timed_out else APIConnectionError
        return error(
            f"{self._operation}: the answer broke off after {self._count}{size} bytes: {reason}. "
            "Begin the download again.",
            operation=self._operation,
            sent=True,
            attempts=self._response_info.attempts,
        )


class Download(AwaitedOnce[bytes]):
    """A file that is about to be fetched: await it (once) for its bytes, or say where they should go.

    Nothing is sent before that, and each way sends a request of its own. It is a coroutine for asyncio:
    `asyncio.create_task(...)` takes it as it is.
    """

    __slots__ = ("_open", "operation")

    def __init__(self, open_stream: Callable[[], Awaitable[ByteStream]], *, operation: str = "download") -> None:
        super().__init__()
        self._open = open_stream
        self.operation = operation

    @asynccontextmanager
    async def stream(self) -> AsyncGenerator[ByteStream, None]:
        """Open the answer, to take its bytes as they come: `async with download.stream() as stream`."""
        async with await self._open() as stream:
            yield stream

    async def to_file(self, path: str | os.PathLike[str], *, on_progress: Progress | None = None) -> Path:
        """Write the bytes to a file, piece by piece, and return its path.

        The file appears when it is complete: until then the bytes are in a temporary file beside it, which is removed
        when anything fails. A file that was there before is replaced, or kept when anything fails.

        Args:
            path: The file, or a directory that exists; the answer's own file name is used there.
            on_progress: Called with the bytes so far, and the total if it is known.

        Raises:
            InvalidArgumentError: The directory does not exist; nothing was sent.
            APIConnectionError: No answer came, or it broke off.
            OSError: The file cannot be written.
        """
        target = Path(path)
        into_directory = _is_directory(target, self.operation)
        async with self.stream() as stream:
            if on_progress is not None:
                stream.watch(on_progress)
            if into_directory:
                target /= stream.filename or _fallback_name(stream.content_type)
            await _save(stream, target)
        return target

    if not TYPE_CHECKING:  # a type checker refuses these uses by itself
        __iter__ = __aiter__ = refuses(_USE)
        __enter__ = __exit__ = __aenter__ = __aexit__ = refuses(_USE)

    def __repr__(self) -> str:
        return f"<Download of {self.operation}>"

    def _begin(self) -> Coroutine[Any, Any, bytes]:
        return self._read()

    def _again(self) -> str:
        return "keep the bytes that it gave, or call the method again for another request"

    async def _read(self) -> bytes:
        async with self.stream() as stream:
            return await stream.read()


def downloadable(fn: Callable[Concatenate[Any, P], Awaitable[ByteStream]]) -> Method[P, Download]:
    """Make a method that returns a `Download`.

    Args:
        fn: The generated function that opens the answer.
    """

    def start(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Download:
        return Download(partial(cast("Any", fn), client, *args, **kwargs), operation=name_of(fn))

    return cast("Method[P, Download]", derive(fn, start, returns=Download, note=_NOTE))


def _is_directory(target: Path, operation: str) -> bool:
    if target.is_dir():
        return True
    if not target.parent.is_dir():
        raise InvalidArgumentError(
            f"{operation}: the directory '{target.parent}' does not exist. Nothing was sent; create it first.",
            operation=operation,
            argument="path",
        )
    return False


def _fallback_name(content_type: str | None) -> str:
    kind = (content_type or "").partition(";")[0].strip()
    return f"download{mimetypes.guess_extension(kind) or ''}"


async def _save(stream: ByteStream, target: Path) -> None:
    part = target.with_name(f".dialogkit-{secrets.token_hex(8)}.part")
    file = _create(part)
    try:
        with file:
            async for chunk in stream:
                await to_thread.run_sync(file.write, chunk)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _create(path: Path) -> BinaryIO:
    # Buffered: its lock makes closing wait for a write in another thread, when this task is cancelled meanwhile.
    return path.open("xb")
