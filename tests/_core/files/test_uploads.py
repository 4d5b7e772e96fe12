"""What may be sent as a file, and the bytes that then go out."""

from __future__ import annotations

import io
import logging
import tracemalloc
from collections.abc import AsyncIterator
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

import anyio
import pytest
from fastapi import UploadFile
from hypothesis import given, settings
from hypothesis import strategies as st

from dialogkit._core.errors import APIConnectionError, InvalidArgumentError
from dialogkit._core.files.uploads import FileInput, MultipartBody, Upload

CHUNK = 64 * 1024
RIFF = b"RIFF" * 50_000


async def sent(body: MultipartBody) -> bytes:
    return b"".join([chunk async for chunk in body])


def parts(body: MultipartBody, content: bytes) -> list[tuple[str | None, str | None, str, bytes]]:
    """Read a body as a server would: name, file name, content type and content of each part."""
    head = f"Content-Type: {body.content_type}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + content)
    assert not message.defects
    found: list[tuple[str | None, str | None, str, bytes]] = []
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        found.append((None if name is None else str(name), part.get_filename(), part.get_content_type(), payload))
    return found


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for each in data:
        yield each


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "call.wav"
    path.write_bytes(RIFF)
    return path


async def test_fields_and_files_of_every_kind_arrive(recording: Path) -> None:
    files: list[tuple[str, FileInput]] = [
        ("file", recording),
        ("file", b"raw"),
        ("file", ("note.txt", b"hello")),
        ("file", Upload.from_path(recording, filename="other.mp3", content_type="audio/x-own")),
        ("file", Upload.from_bytes(b"", filename="empty.pdf")),
        ("file", Upload.from_stream(pieces(b"a", b"", b"b" * 100_000), filename="live.bin", size=100_001)),
    ]
    body = MultipartBody([("text", "grüße\r\nzwei"), ("text", "again"), ("flag", "true")], files)
    content = await sent(body)
    assert len(content) == body.length
    assert parts(body, content)[3:] == [
        ("file", "call.wav", Upload.from_path(recording).content_type, RIFF),
        ("file", "file", "application/octet-stream", b"raw"),
        ("file", "note.txt", "text/plain", b"hello"),
        ("file", "other.mp3", "audio/x-own", RIFF),
        ("file", "empty.pdf", "application/pdf", b""),
        ("file", "live.bin", "application/octet-stream", b"a" + b"b" * 100_000),
    ]
    assert "grüße\r\nzwei".encode() in content
    assert [name for name, *_ in parts(body, content)[:3]] == ["text", "text", "flag"]


async def test_a_body_without_anything_ends() -> None:
    body = MultipartBody([], [])
    assert await sent(body) == f"--{body.content_type.partition('boundary=')[2]}--\r\n".encode()


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ('a"b.txt', b'filename="a%22b.txt"'),
        ("a\r\nX-Evil: 1.txt", b'filename="a%0D%0AX-Evil: 1.txt"'),
        ("naïve €.txt", 'filename="naïve €.txt"'.encode()),
        ("back\\slash.txt", b'filename="back\\slash.txt"'),
        ("lone\udce4.txt", b'filename="lone?.txt"'),
    ],
)
async def test_names_are_written_as_browsers_write_them(name: str, written: bytes) -> None:
    content = await sent(MultipartBody([("x", "y")], [("f", (name, b"data"))]))
    assert written in content
    assert b"\r\nX-Evil" not in content
    assert b'name="a%0D%0Ab%22"' in await sent(MultipartBody([('a\r\nb"', "y")], []))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.PNG", "image/png"),
        ("a.pdf", "application/pdf"),
        ("a.mp4", "video/mp4"),
        ("a", "application/octet-stream"),
        ("a.unheardof", "application/octet-stream"),
        ("a.tar.gz", "application/octet-stream"),
    ],
)
def test_the_content_type_is_guessed_from_the_name(name: str, expected: str) -> None:
    assert Upload.from_bytes(b"", filename=name).content_type == expected


@pytest.mark.parametrize("kind", ["a/b\r\nX: y", "a/b\n", "ä/b"])
def test_a_content_type_cannot_smuggle_a_header(kind: str) -> None:
    with pytest.raises(InvalidArgumentError, match="media type"):
        Upload.from_bytes(b"", filename="a", content_type=kind)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("call.wav", "plain string"),
        (5, "not int"),
        (None, "not NoneType"),
        (("a.txt", "text"), "not tuple"),
        (("a.txt", b"", "text/plain"), "not tuple"),
        (bytearray(b"x"), "not bytearray"),
        (Path("missing.wav"), "No such file"),
        (Path(), "Not a regular file"),
        (Path("nul\0byte"), "cannot be read"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_anything_is_sent(value: Any, said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said) as caught:
        MultipartBody([], [("file_attachment", value)], operation="upload_files")
    assert (caught.value.operation, caught.value.argument) == ("upload_files", "file_attachment")
    assert str(caught.value).endswith("Nothing was sent.")


async def test_pieces_are_small_and_files_are_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "big.bin"
    with path.open("wb") as file:
        file.truncate(40 * 1024 * 1024)
    body = MultipartBody([], [("file", path)])
    total = 0
    tracemalloc.start()
    try:
        async for chunk in body:
            assert 0 < len(chunk) <= CHUNK
            total += len(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == body.length
    assert peak < 1024 * 1024


@given(
    st.lists(st.binary(max_size=300), max_size=4),
    st.lists(st.binary(max_size=200_000), max_size=3),
    st.lists(st.text(), max_size=3),
)
@settings(max_examples=30, deadline=None)
def test_the_length_is_true_and_pieces_are_small(streams: list[bytes], files: list[bytes], texts: list[str]) -> None:
    body = MultipartBody(
        [("t", text.encode("utf-8", "replace").decode()) for text in texts],
        [
            *(("f", data) for data in files),
            *(("s", Upload.from_stream(pieces(data, data), filename="s", size=2 * len(data))) for data in streams),
        ],
    )
    chunks: list[bytes] = []

    async def collect() -> None:
        chunks.extend([chunk async for chunk in body])

    anyio.run(collect)
    assert sum(map(len, chunks)) == body.length
    assert all(0 < len(chunk) <= CHUNK for chunk in chunks)
    assert all(data in b"".join(chunks) for data in files)


async def test_files_and_bytes_can_be_sent_again_and_streams_cannot(recording: Path) -> None:
    body = MultipartBody([("a", "b")], [("f", recording), ("f", b"data")])
    assert await sent(body) == await sent(body)
    assert body.replayable
    upload = Upload.from_stream(pieces(b"data"), filename="s")
    streaming = MultipartBody([], [("f", upload)])
    assert (streaming.replayable, streaming.length) == (True, None)
    await sent(streaming)
    assert not streaming.replayable
    with pytest.raises(InvalidArgumentError, match="sent already"):
        await sent(streaming)
    with pytest.raises(InvalidArgumentError, match="sent already"):
        MultipartBody([], [("f", upload)])


async def test_a_stream_that_was_not_read_yet_can_still_be_sent(recording: Path) -> None:
    body = MultipartBody([], [("f", Upload.from_stream(pieces(b"data"), filename="s"))])
    assert (await anext(aiter(body))).startswith(b"--")
    assert body.replayable
    assert b"data" in await sent(body)


@pytest.mark.parametrize("size", [3, 5])
async def test_a_stream_that_does_not_keep_its_size_breaks_the_request_off(size: int) -> None:
    body = MultipartBody([], [("f", Upload.from_stream(pieces(b"ab", b"cd"), filename="s", size=size))])
    with pytest.raises(APIConnectionError, match=f"'s' does not have the {size} bytes"):
        await sent(body)


async def test_a_file_that_shrinks_while_it_is_sent_breaks_the_request_off(recording: Path) -> None:
    body = MultipartBody([], [("f", recording)])
    walk = aiter(body)
    await anext(walk)
    await anyio.Path(recording).write_bytes(b"short")
    with pytest.raises(APIConnectionError, match="does not have the 200000 bytes"):
        _ = [chunk async for chunk in walk]


async def test_a_file_that_grows_while_it_is_sent_goes_as_it_was_announced(recording: Path) -> None:
    body = MultipartBody([], [("f", recording)])
    await anyio.Path(recording).write_bytes(RIFF + b"more")
    content = await sent(body)
    assert parts(body, content)[0][3] == RIFF


async def test_progress_never_goes_back_and_ends_at_the_total(recording: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    body = MultipartBody([("a", "b")], [("f", recording)], lambda count, total: seen.append((count, total)))
    walk = aiter(body)
    for _ in range(4):
        await anext(walk)
    await sent(body)
    counts = [count for count, _ in seen]
    assert counts == sorted(set(counts))
    assert seen[-1] == (body.length, body.length)


async def test_progress_of_an_unknown_total() -> None:
    seen: list[tuple[int, int | None]] = []
    upload = Upload.from_stream(pieces(b"data"), filename="s")
    await sent(MultipartBody([], [("f", upload)], lambda count, total: seen.append((count, total))))
    assert {total for _, total in seen} == {None}


async def test_a_progress_callback_that_fails_is_logged_once(caplog: pytest.LogCaptureFixture, recording: Path) -> None:
    def fail(count: int, total: int | None) -> None:
        raise RuntimeError("no good")

    with caplog.at_level(logging.WARNING, logger="dialogkit"):
        await sent(MultipartBody([], [("f", recording)], fail))
    assert len(caplog.records) == 1


def test_it_runs_under_trio_and_an_upload_given_up_leaves_nothing_open(recording: Path) -> None:
    async def give_up() -> None:
        body = MultipartBody([], [("f", recording)])
        walk = aiter(body)
        await anext(walk)
        await anext(walk)
        assert len(await sent(body)) == body.length

    anyio.run(give_up, backend="trio")


def test_the_content_is_not_shown() -> None:
    assert repr(Upload.from_bytes(b"secret", filename="a.txt")) == "Upload(filename='a.txt', content_type='text/plain')"


def opened(kind: str, path: Path) -> Any:
    if kind == "path":
        return path.open("rb")
    if kind == "memory":
        return io.BytesIO(RIFF)
    spooled = SpooledTemporaryFile(max_size=1000)  # noqa: SIM115 - as starlette has it
    spooled.write(RIFF)
    spooled.seek(0)
    return UploadFile(cast("BinaryIO", spooled), size=len(RIFF), filename="C:\\fakepath\\call.wav")


@pytest.mark.parametrize(("kind", "name"), [("path", "call.wav"), ("memory", "files"), ("upload", "call.wav")])
async def test_an_open_file_is_sent_and_can_be_sent_again(recording: Path, kind: str, name: str) -> None:
    file = opened(kind, recording)
    body = MultipartBody([], [("files", file)])
    assert body.length is not None
    for _ in range(2):
        assert body.replayable
        content = await sent(body)
        assert len(content) == body.length
        assert [(part[1], part[3]) for part in parts(body, content)] == [(name, RIFF)]
    closing = file.close()
    if closing is not None:
        await closing


async def test_an_open_file_is_sent_from_where_it_stands(recording: Path) -> None:
    with recording.open("rb") as file:
        file.seek(4)
        body = MultipartBody([], [("files", Upload.from_file(file, filename="rest.wav", content_type="audio/x-own"))])
        assert parts(body, await sent(body)) == [("files", "rest.wav", "audio/x-own", RIFF[4:])]
        assert not file.closed


class Pipe(io.RawIOBase):
    """Cannot seek."""

    def __init__(self) -> None:
        self.left = [b"b", b"a"]

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self.left.pop() if self.left else b""


async def test_a_file_that_cannot_seek_is_sent_once() -> None:
    body = MultipartBody([], [("files", Upload.from_file(Pipe(), filename="live.bin"))])
    assert body.length is None
    assert parts(body, await sent(body))[0][3] == b"ab"
    assert not body.replayable


async def test_what_is_no_binary_file_is_refused(recording: Path) -> None:
    with recording.open(encoding="latin-1") as text, pytest.raises(InvalidArgumentError, match="binary mode"):
        MultipartBody([], [("files", text)])
    with pytest.raises(InvalidArgumentError, match="pass `filename=`"):
        Upload.from_file(io.BytesIO(b""))
    for wrong in (None, 5, object()):
        with pytest.raises(InvalidArgumentError, match="cannot be sent"):
            MultipartBody([], [("files", wrong)])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
