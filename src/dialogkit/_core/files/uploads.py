"""Files on their way to a platform: what a caller may pass, and the multipart body that carries it.

Files are read piece by piece while they are sent, so that their size does not matter, and no file is held open
between two pieces, so that an upload that is given up leaves nothing behind.
"""

from __future__ import annotations

import errno
import inspect
import io
import mimetypes
import os
import re
import secrets
import stat
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeAlias, cast, runtime_checkable

from dialogkit._core.call import Progress
from dialogkit._core.errors import APIConnectionError, InvalidArgumentError
from dialogkit._core.support.callbacks import Guarded
from dialogkit._core.support.lazy import LazyModule

if TYPE_CHECKING:
    from anyio import to_thread
else:
    to_thread = LazyModule("anyio.to_thread")

_CHUNK = 64 * 1024
_UNKNOWN_TYPE = "application/octet-stream"
_SPENT = "is a stream that has been sent already; make a new one"
_QUOTES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


Reader: TypeAlias = Callable[[], Awaitable[bytes]]


@runtime_checkable
class Readable(Protocol):
    """A file that is open for reading bytes, such as `open(path, "rb")` returns, or FastAPI's `UploadFile`."""

    @property
    def read(self) -> Callable[..., Any]:
        """Return at most so many bytes, at once or when awaited."""
        ...


class Source(Protocol):
    """Where the bytes of an upload come from."""

    @property
    def spent(self) -> bool:
        """Whether the bytes cannot be had (again)."""
        ...

    def measure(self) -> int | None:
        """Return how many bytes there are, if that can be known; raises `OSError` when they cannot be read."""
        ...

    def open(self, size: int | None) -> Reader:
        """Return a function that gives the next piece, of at most 64 KiB, and `b""` at the end (after `size`)."""
        ...


@dataclass(frozen=True)
class _Memory:
    data: bytes
    spent = False

    def measure(self) -> int:
        return len(self.data)

    def open(self, size: int | None = None) -> Reader:  # noqa: ARG002 - what is in memory does not change
        starts = iter(range(0, len(self.data), _CHUNK))

        async def read() -> bytes:
            start = next(starts, len(self.data))
            return self.data[start : start + _CHUNK]

        return read


@dataclass(frozen=True)
class _File:
    path: Path
    spent = False

    def measure(self) -> int:
        facts = self.path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise IsADirectoryError(errno.EINVAL, "Not a regular file")
        if not os.access(self.path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return facts.st_size

    def open(self, size: int | None) -> Reader:
        offset = 0

        def read_next() -> bytes:
            with self.path.open("rb", buffering=0) as file:
                file.seek(offset)
                return file.read(min(_CHUNK, (size or 0) - offset))

        async def read() -> bytes:
            nonlocal offset
            chunk = await to_thread.run_sync(read_next)
            offset += len(chunk)
            return chunk

        return read


@dataclass
class _Stream:
    source: AsyncIterable[bytes]
    size: int | None
    spent: bool = False

    def measure(self) -> int | None:
        return self.size

    def open(self, size: int | None) -> Reader:  # noqa: ARG002 - whether a stream keeps its promise is counted outside
        pieces = aiter(self.source)
        left = memoryview(b"")

        async def read() -> bytes:
            nonlocal left
            self.spent = True
            while not left:
                piece = await anext(pieces, None)
                if piece is None:
                    return b""
                left = memoryview(piece)
            chunk, left = bytes(left[:_CHUNK]), left[_CHUNK:]
            return chunk

        return read


class _Open:
    """A file that somebody has opened: of the standard library, or with an asynchronous `read`, as web frameworks have.

    It is read from where it stands. One that can seek can be sent again.
    """

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._start = _position(file)
        self._begun = False

    @property
    def spent(self) -> bool:
        return self._begun and self._start is None

    def measure(self) -> int | None:
        size: object = getattr(self._file, "size", None)
        if isinstance(size, int):
            return size - (self._start or 0)
        if self._start is None or _is_asynchronous(self._file, "seek"):
            return None
        file = cast("BinaryIO", self._file)
        end = file.seek(0, os.SEEK_END)
        file.seek(self._start)
        return end - self._start

    def open(self, size: int | None) -> Reader:  # noqa: ARG002 - what comes is counted outside
        rewind, self._begun = self._begun, True

        async def read() -> bytes:
            nonlocal rewind
            if rewind:
                rewind = False
                await self._call("seek", self._start)
            chunk = await self._call("read", _CHUNK)
            if not isinstance(chunk, bytes):
                raise TypeError("the file gives text: open it in binary mode ('rb')")
            return chunk

        return read

    async def _call(self, method: str, argument: object) -> object:
        function = getattr(self._file, method)
        if _is_asynchronous(self._file, method):
            return await function(argument)
        return await to_thread.run_sync(function, argument)


def _position(file: Readable) -> int | None:
    """Return where a file stands, `None` if it cannot go back there."""
    inner: object = getattr(file, "file", file)  # what a web framework's upload keeps its bytes in
    try:
        position = cast("BinaryIO", inner).tell()
        cast("BinaryIO", inner).seek(position)  # not every file that can do it says so by `seekable`
    except (AttributeError, OSError, ValueError):
        return None
    return position


def _is_asynchronous(file: object, method: str) -> bool:
    return inspect.iscoroutinefunction(getattr(file, method, None))


@dataclass(frozen=True)
class Upload:
    """A file to send: made by `from_path`, `from_bytes`, `from_file` or `from_stream`."""

    filename: str
    """The name that the platform sees. Platforms may decide by its ending what they accept."""
    content_type: str
    """The media type that the platform sees."""
    source: Source = field(repr=False)

    @classmethod
    def from_path(
        cls, path: str | os.PathLike[str], *, filename: str | None = None, content_type: str | None = None
    ) -> Upload:
        """Send a file of this machine. It is opened when it is sent, and may be sent again.

        Args:
            path: Where the file is.
            filename: The name that the platform sees, the file's own unless given.
            content_type: The media type, guessed from the name unless given.
        """
        name = filename or Path(path).name
        return cls(name, _content_type(content_type, name), _File(Path(path)))

    @classmethod
    def from_bytes(cls, data: bytes, *, filename: str, content_type: str | None = None) -> Upload:
        """Send bytes as a file.

        Args:
            data: What the file holds.
            filename: The name that the platform sees.
            content_type: The media type, guessed from the name unless given.
        """
        return cls(filename, _content_type(content_type, filename), _Memory(data))

    @classmethod
    def from_file(cls, file: Readable, *, filename: str | None = None, content_type: str | None = None) -> Upload:
        """Send a file that is open, from where it stands: what `open(path, "rb")` returns, or FastAPI's `UploadFile`.

        It stays yours to close, after the call. One that can seek may be sent again.

        Args:
            file: Has `read(size)`, plain or asynchronous, which returns bytes.
            filename: The name that the platform sees, the file's own unless given.
            content_type: The media type, the file's own unless given, else guessed from the name.

        Raises:
            InvalidArgumentError: The file is in text mode, or it has no name and none is given.
        """
        name = filename or _name_of(file)
        if name is None:
            raise _refused("upload", "file", "has no name of its own: pass `filename=`")
        if isinstance(file, io.TextIOBase):
            raise _refused("upload", "file", "is open as text: open it in binary mode ('rb')")
        own: object = getattr(file, "content_type", None)
        return cls(name, _content_type(content_type or (own if isinstance(own, str) else None), name), _Open(file))

    @classmethod
    def from_stream(
        cls,
        stream: AsyncIterable[bytes],
        *,
        filename: str,
        size: int | None = None,
        content_type: str | None = None,
    ) -> Upload:
        """Send what an asynchronous iterable yields. It can be sent once, so a failed call is not repeated.

        Args:
            stream: Yields bytes, in pieces of any size.
            filename: The name that the platform sees.
            size: Bytes in total, if known; the stream must then yield exactly as many.
            content_type: The media type, guessed from the name unless given.
        """
        return cls(filename, _content_type(content_type, filename), _Stream(stream, size))


FileInput: TypeAlias = Upload | bytes | os.PathLike[str] | tuple[str, bytes] | Readable
"""A file to send: a `pathlib.Path`, bytes, a file name with bytes, an open file, or an `Upload` for everything else."""


def _name_of(file: object) -> str | None:
    """Return the last part of a file's own name, if it has one that says something."""
    for each in (getattr(file, "filename", None), getattr(file, "name", None)):
        if isinstance(each, str) and (name := re.split(r"[/\\]", each)[-1]):
            return name
    return None


class MultipartBody:
    """A `multipart/form-data` body: an asynchronous iterable of bytes, in pieces of at most 64 KiB.

    Args:
        fields: Names and texts of the plain fields, in order; a name may come more than once.
        files: Names and files, in order; a name may come more than once.
        on_progress: Told, as the body is sent, of its bytes so far and in total (`None` if unknown). The count never
            goes back, also when the request is sent again.
        operation: The operation's id, for errors.
        spelling: How the caller spells the names of files, for errors.

    Raises:
        InvalidArgumentError: A file is missing, unreadable, consumed, or of a type that cannot be sent.
    """

    def __init__(
        self,
        fields: Iterable[tuple[str, str]],
        files: Iterable[tuple[str, FileInput]],
        on_progress: Progress | None = None,
        *,
        operation: str = "upload",
        spelling: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._operation = operation
        self._boundary = secrets.token_hex(16)
        self._on_progress = None if on_progress is None else Guarded("on_progress", on_progress)
        self._reported = 0
        texts = [self._head(f'name="{_quoted(name)}"') + text.encode() + b"\r\n" for name, text in fields]
        self._segments = [_Segment(_Memory(b"".join(texts)))]
        for name, given in files:
            argument = spelling.get(name, name)
            upload = _upload(given, argument, operation)
            head = self._head(f'name="{_quoted(name)}"; filename="{_quoted(upload.filename)}"', upload.content_type)
            self._segments += [
                _Segment(_Memory(head)),
                _Segment(upload.source, upload.filename, _measured(upload, argument, operation)),
                _Segment(_Memory(b"\r\n")),
            ]
        self._segments.append(_Segment(_Memory(f"--{self._boundary}--\r\n".encode())))

    @property
    def content_type(self) -> str:
        """The value of the header `Content-Type`."""
        return f"multipart/form-data; boundary={self._boundary}"

    @property
    def length(self) -> int | None:
        """Bytes in total, or `None` when the size of a stream is unknown."""
        sizes = [each.size for each in self._segments]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def replayable(self) -> bool:
        """Whether the body can be sent from its beginning: not after a stream in it has been read from."""
        return not any(each.source.spent for each in self._segments)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Sending(self._operation, self._segments, self._report)

    def _report(self, sent: int) -> None:
        if self._on_progress is not None and sent > self._reported:
            self._reported = sent
            self._on_progress(sent, self.length)

    def _head(self, disposition: str, content_type: str | None = None) -> bytes:
        kind = "" if content_type is None else f"\r\nContent-Type: {content_type}"
        head = f"--{self._boundary}\r\nContent-Disposition: form-data; {disposition}{kind}\r\n\r\n"
        return head.encode("utf-8", "replace")


@dataclass(frozen=True)
class _Segment:
    source: Source
    filename: str = ""
    announced: int | None = None

    @property
    def size(self) -> int | None:
        return self.source.measure() if isinstance(self.source, _Memory) else self.announced


class _Sending(AsyncIterator[bytes]):
    """One way through a body. A class and no generator: a request that breaks off leaves nothing to be closed."""

    def __init__(self, operation: str, segments: Iterable[_Segment], report: Callable[[int], None]) -> None:
        self._operation = operation
        self._segments = iter(segments)
        self._report = report
        self._segment: _Segment | None = None
        self._read: Reader | None = None
        self._count = 0
        self._sent = 0

    async def __anext__(self) -> bytes:
        while True:
            if self._segment is None or self._read is None:
                self._segment = next(self._segments, None)
                if self._segment is None:
                    raise StopAsyncIteration
                self._read, self._count = self._open(self._segment), 0
            chunk = await self._read()
            self._count += len(chunk)
            self._check(self._segment, at_end=not chunk)
            if chunk:
                self._sent += len(chunk)
                self._report(self._sent)
                return chunk
            self._read = None

    def _open(self, segment: _Segment) -> Reader:
        if segment.source.spent:
            raise _refused(self._operation, segment.filename, _SPENT)
        return segment.source.open(segment.size)

    def _check(self, segment: _Segment, *, at_end: bool) -> None:
        size = segment.size
        if size is None or (self._count == size if at_end else self._count <= size):
            return
        raise APIConnectionError(
            f"{self._operation}: {segment.filename!r} does not have the {size} bytes that were announced: it changed "
            "while it was being sent, or the `size` of its stream is wrong. The request was broken off; find out "
            "whether it took effect, then repeat it with a file that stays as it is.",
            operation=self._operation,
            sent=True,
            attempts=1,
        )


def _quoted(name: str) -> str:
    """Return a name as browsers write it in a part's header."""
    return name.translate(_QUOTES)


def _content_type(given: str | None, filename: str) -> str:
    if given is not None:
        if not given.isascii() or not given.isprintable():
            raise _refused("upload", "content_type", "is no media type such as `audio/wav`")
        return given
    guessed, compression = mimetypes.guess_type(filename)
    return guessed if guessed is not None and compression is None else _UNKNOWN_TYPE


def _upload(given: object, argument: str, operation: str) -> Upload:
    if isinstance(given, Upload):
        return given
    if isinstance(given, bytes):
        return Upload.from_bytes(given, filename=argument)
    if isinstance(given, os.PathLike):
        return Upload.from_path(cast("os.PathLike[str]", given))
    match given:
        case (str() as name, bytes() as data):
            return Upload.from_bytes(data, filename=name)
        case Readable() if callable(given.read):
            return Upload.from_file(given, filename=_name_of(given) or argument)
        case str():
            why = "is a plain string, which may mean a path or a text: pass a `pathlib.Path`, or bytes"
        case _:
            why = f"cannot be sent: pass a `pathlib.Path`, bytes, a file or an `Upload`, not {type(given).__name__}"
    raise _refused(operation, argument, why)


def _measured(upload: Upload, argument: str, operation: str) -> int | None:
    if upload.source.spent:
        raise _refused(operation, argument, _SPENT)
    try:
        return upload.source.measure()
    except (OSError, ValueError) as exc:
        reason = (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
        raise _refused(operation, argument, f"cannot be read ({reason}: {upload.filename!r})") from exc


def _refused(operation: str, argument: str, why: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{operation}: `{argument}` {why}. Nothing was sent.", operation=operation, argument=argument
    )
