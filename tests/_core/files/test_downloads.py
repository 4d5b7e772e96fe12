"""Answers that stream: taken whole, to disk or as they come, over real sockets, also when they break off."""

from __future__ import annotations

import asyncio
import gzip
import inspect
import logging
import os
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogkit._core.errors import APIConnectionError, APITimeoutError, InvalidArgumentError
from dialogkit._core.files.downloads import ByteStream, Download, downloadable
from dialogkit._core.files.filenames import suggested_filename
from dialogkit._core.http.pool import Connection
from dialogkit._core.response import ResponseInfo, response_info
from tests._core.toy import toy
from tests.support.messages import answer_of, request_of

INFO = ResponseInfo(status=200, headers={}, request_id="q1", attempts=2, elapsed=0.1)
WAV = b"RIFF" * 40_000

# Under trio, httpcore leaves its generators to the garbage collector when an answer is left early; nothing stays open.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator .* was garbage collected:ResourceWarning")

Answer = Callable[[anyio.abc.SocketStream], Awaitable[None]]
Open = Callable[[], Awaitable[ByteStream]]


def head(*lines: str) -> bytes:
    return "\r\n".join(("HTTP/1.1 200 OK", "Connection: close", *lines, "", "")).encode("latin-1")


WAV_HEAD = head(
    f"Content-Length: {len(WAV)}", "Content-Type: audio/x-wav", 'Content-Disposition: attachment; filename="audio.wav"'
)


def answer_with(*pieces: bytes) -> Answer:
    """Answer with these bytes, then close the connection."""

    async def answer(stream: anyio.abc.SocketStream) -> None:
        for piece in pieces:
            await stream.send(piece)

    return answer


@asynccontextmanager
async def serving(answer: Answer, *, timeout: float = 30) -> AsyncGenerator[Open, None]:  # noqa: ASYNC109 - seconds per piece
    """Serve `answer` on loopback, and give a function that asks for it over a real `Connection`."""
    connection = Connection()

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            try:
                await stream.receive()
                await answer(stream)
            except (anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError):
                return

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)

    async def open_stream() -> ByteStream:
        request = request_of("GET", f"http://127.0.0.1:{port}/recording", headers={"Accept-Encoding": "identity"})
        response = await connection.send(request, timeout=timeout)
        return ByteStream(response, connection, INFO, operation="get_recording")

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        try:
            yield open_stream
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await connection.aclose()


def download(open_stream: Open) -> Download:
    return Download(open_stream, operation="get_recording")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def take_it_all(folder: Path) -> None:
    async with serving(answer_with(WAV_HEAD, WAV)) as open_stream:
        it = download(open_stream)
        assert await it == WAV
        async with it.stream() as stream:
            assert (stream.content_type, stream.filename, stream.size) == ("audio/x-wav", "audio.wav", len(WAV))
            assert response_info(stream) is stream.info is INFO
            first = await anext(stream)
            assert first + await stream.read() == WAV
            assert [chunk async for chunk in stream] == []
        seen: list[tuple[int, int | None]] = []
        target = await it.to_file(folder / "call.wav", on_progress=lambda count, total: seen.append((count, total)))
        assert target == folder / "call.wav"
        assert await anyio.Path(target).read_bytes() == WAV
        assert seen == sorted(seen)
        assert seen[-1] == (len(WAV), len(WAV))
        assert await it.to_file(str(folder)) == folder / "audio.wav"
        async with it.stream() as stream:
            await anext(stream)
    assert names(folder) == ["audio.wav", "call.wav"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_answer_may_be_taken_in_every_way(backend: str, tmp_path: Path) -> None:
    anyio.run(take_it_all, tmp_path, backend=backend)


async def test_it_is_taken_without_async_with_too() -> None:
    async with serving(answer_with(WAV_HEAD, WAV)) as open_stream:
        stream = await open_stream()
        assert b"".join([chunk async for chunk in stream]) == WAV
        stream = await open_stream()
        assert repr(stream) == f"<ByteStream of get_recording: 0 of {len(WAV)} bytes>"
        await stream.aclose()
        await stream.aclose()
        with pytest.raises(RuntimeError, match="stream is closed"):
            await stream.read()


BROKEN = {
    "fewer bytes than announced": answer_with(WAV_HEAD, WAV[:-1]),
    "no bytes at all": answer_with(WAV_HEAD),
    "an unfinished chunk": answer_with(head("Transfer-Encoding: chunked"), b"5\r\nhel"),
    "no last chunk": answer_with(head("Transfer-Encoding: chunked"), b"5\r\nhello\r\n"),
    "compressed nonsense": answer_with(head("Content-Length: 5", "Content-Encoding: gzip"), b"hello"),
}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_an_answer_that_breaks_off_is_an_error_and_leaves_no_file(backend: str, answer: Answer, tmp_path: Path) -> None:
    old = tmp_path / "old.wav"
    old.write_bytes(b"old")

    async def fail() -> None:
        async with serving(answer) as open_stream:
            it = download(open_stream)
            with pytest.raises(APIConnectionError, match="get_recording: the answer broke off after") as caught:
                await it
            assert (caught.value.sent, caught.value.attempts) == (True, 2)
            assert caught.value.operation == "get_recording"
            with pytest.raises(APIConnectionError):
                await it.to_file(tmp_path / "new.wav")
            with pytest.raises(APIConnectionError):
                await it.to_file(old)

    anyio.run(fail, backend=backend)
    assert names(tmp_path) == ["old.wav"]
    assert old.read_bytes() == b"old"


async def silent(stream: anyio.abc.SocketStream) -> None:
    await stream.send(WAV_HEAD + WAV[:1000])
    await anyio.sleep_forever()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_answer_that_stalls_is_a_timeout(backend: str) -> None:
    async def stall() -> None:
        async with serving(silent, timeout=0.05) as open_stream:
            with pytest.raises(APITimeoutError, match=r"after 1000 of 160000 bytes"):
                await download(open_stream)

    anyio.run(stall, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_download_leaves_no_file(backend: str, tmp_path: Path) -> None:
    async def cancel() -> None:
        async with serving(silent) as open_stream:
            with anyio.CancelScope() as scope:

                def stop(count: int, total: int | None) -> None:
                    scope.cancel()

                await download(open_stream).to_file(tmp_path / "new.wav", on_progress=stop)
            assert scope.cancelled_caught

    anyio.run(cancel, backend=backend)
    assert names(tmp_path) == []


async def test_a_cancelled_task_leaves_no_file(tmp_path: Path) -> None:
    async with serving(silent) as open_stream:
        begun = asyncio.Event()
        to_file = download(open_stream).to_file(tmp_path / "new.wav", on_progress=lambda count, total: begun.set())
        task = asyncio.create_task(to_file)
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert names(tmp_path) == []


async def test_a_missing_directory_is_noticed_before_anything_is_sent(tmp_path: Path) -> None:
    async def never() -> ByteStream:
        raise AssertionError

    with pytest.raises(InvalidArgumentError, match="does not exist") as caught:
        await download(never).to_file(tmp_path / "missing" / "x.wav")
    assert caught.value.argument == "path"


async def test_a_file_that_was_there_is_replaced_when_all_is_well(tmp_path: Path) -> None:
    target = anyio.Path(tmp_path / "call.wav")
    await target.write_bytes(b"old")
    async with serving(answer_with(WAV_HEAD, WAV)) as open_stream:
        await download(open_stream).to_file(target)
    assert await target.read_bytes() == WAV


async def test_a_directory_takes_a_name_from_the_content_type_when_the_answer_suggests_none(tmp_path: Path) -> None:
    async with serving(answer_with(head("Content-Length: 1", "Content-Type: text/plain; charset=utf-8"), b"x")) as ask:
        assert await download(ask).to_file(tmp_path) == tmp_path / "download.txt"


async def test_an_answer_without_a_length_and_a_compressed_one_have_no_size() -> None:
    async with serving(answer_with(head(), b"all of it")) as ask:
        stream = await ask()
        assert stream.size is None
        assert await stream.read() == b"all of it"
    packed = gzip.compress(WAV)
    async with serving(answer_with(head(f"Content-Length: {len(packed)}", "Content-Encoding: gzip"), packed)) as ask:
        stream = await ask()
        assert stream.size is None
        assert await stream.read() == WAV


async def test_an_empty_answer_is_an_empty_file(tmp_path: Path) -> None:
    async with serving(answer_with(head("Content-Length: 0"))) as ask:
        assert (await download(ask).to_file(tmp_path / "empty")).stat().st_size == 0


async def test_a_progress_callback_that_fails_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    def fail(count: int, total: int | None) -> None:
        calls.append(count)
        raise RuntimeError("no good")

    answer = answer_of(content=b"data")
    stream = ByteStream(answer, Connection(), INFO, fail)
    with caplog.at_level(logging.WARNING, logger="dialogkit"):
        assert await stream.read() == b"data"
    assert (calls, len(caplog.records)) == ([4], 1)


BIG = 200 * 1024 * 1024


async def pour(stream: anyio.abc.SocketStream) -> None:
    await stream.send(head(f"Content-Length: {BIG}"))
    piece = bytes(1024 * 1024)
    for _ in range(BIG // len(piece)):
        await stream.send(piece)


async def test_two_hundred_megabytes_take_no_more_memory_than_two(tmp_path: Path) -> None:
    async with serving(pour) as open_stream:
        tracemalloc.start(1)
        try:
            target = await download(open_stream).to_file(tmp_path / "big.bin")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert target.stat().st_size == BIG
    assert peak < 8 * 1024 * 1024
    target.unlink()


async def get_recording(client: Open, message_id: str, *, on_progress: Any = None) -> ByteStream:
    """Get a recording."""
    stream = await client()
    stream.watch(on_progress)
    assert message_id == "m"
    return stream


def test_a_method_looks_like_its_function() -> None:
    class Namespace:
        recording = downloadable(get_recording)

    method: Any = Namespace().recording
    assert str(inspect.signature(method)).startswith("(message_id: 'str', *, on_progress: 'Any' = None)")
    assert inspect.signature(method).return_annotation is Download
    assert (inspect.getdoc(method) or "").startswith("Get a recording.\n\nAwait the result for all bytes")
    assert repr(method("m")) == "<Download of get_recording>"


async def test_a_method_opens_the_answer_that_its_function_opens() -> None:
    seen: list[int] = []

    def note(count: int, total: int | None) -> None:
        seen.append(count)

    async with serving(answer_with(WAV_HEAD, WAV)) as ask:
        start = downloadable(get_recording).__get__(ask)
        assert await start("m", on_progress=note) == WAV
    assert seen[-1] == len(WAV)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (None, None),
        ("", None),
        ("inline", None),
        ('attachment; filename="audio.wav"', "audio.wav"),
        ("attachment; filename=audio.wav", "audio.wav"),
        ("attachment; filename=\"plain.txt\"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt", "naïve €.txt"),
        ('attachment; filename="na\u00c3\u00afve.txt"', "naïve.txt"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ("attachment; filename*=UTF-8''%2e%2e%2fetc%2fpasswd", "passwd"),
        ('attachment; filename="..\\\\..\\\\x.exe"', "x.exe"),
        ('attachment; filename="C:\\\\dir\\\\x.wav"', "x.wav"),
        ('attachment; filename="a:b|c?.txt"', "a_b_c_.txt"),
        ('attachment; filename=".."', None),
        ('attachment; filename="/"', None),
        ('attachment; filename=""', None),
        ('attachment; filename=".htaccess"', "htaccess"),
        ('attachment; filename="nul.txt"', None),
        ("attachment; filename*=UTF-8''COM%C2%B9.txt", None),
        ('attachment; filename="CONIN$"', None),
        ('attachment; filename="COM1 .txt"', None),
        ("attachment; filename*=UTF-8''invoice%E2%80%AEfdp.exe", None),
        ("attachment; filename*=UTF-8''%C2%9B2Ja", None),
        ("attachment; filename*=undefined''abc", None),
        ("attachment; filename*=punycode''%ff", None),
        ("attachment; filename*=unicode_escape''%5cx2e%5cx2e%5cx2fx", None),
        ('attachment; filename="-rf"', "rf"),
        ("attachment" + "; a*0=b" * 2_000, None),
        ('attachment; filename="a;b.txt"', "a;b.txt"),
        ('attachment; filename="a\nb.txt"', "a_b.txt"),
    ],
)
def test_a_suggested_name_is_made_safe(header: str | None, name: str | None) -> None:
    assert suggested_filename(header) == name


@given(st.text(max_size=400) | st.text(max_size=400).map(lambda name: f'attachment; filename="{name}"'))
def test_no_header_leads_out_of_the_directory(header: str) -> None:
    name = suggested_filename(header)
    if name is not None:
        assert Path(name).name == name
        assert len(name.encode()) <= 200
        assert name.isprintable() or not any(ord(character) < 32 for character in name)


async def test_no_file_of_a_directory_is_replaced_by_a_name_that_a_stranger_chose(tmp_path: Path) -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"theirs", headers={"Content-Disposition": 'attachment; filename="own.py"'})

    (tmp_path / "own.py").write_text("mine")
    client = toy(serve)
    paths = [await client.things.picture("t1").to_file(tmp_path) for _ in range(2)]
    assert [path.name for path in paths] == ["own (2).py", "own (3).py"]
    assert (tmp_path / "own.py").read_text() == "mine"
    assert await client.things.picture("t1").to_file(tmp_path, overwrite=True) == tmp_path / "own.py"
    assert await client.things.picture("t1").to_file(tmp_path / "own (2).py") == tmp_path / "own (2).py"
    names = sorted(os.listdir(tmp_path))  # noqa: PTH208 - it blocks for no time
    assert names == ["own (2).py", "own (3).py", "own.py"]
    assert {(tmp_path / name).read_bytes() for name in names} == {b"theirs"}


async def test_a_link_in_a_directory_leads_nobody_astray(tmp_path: Path) -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"theirs", headers={"Content-Disposition": 'attachment; filename="link"'})

    directory = tmp_path / "downloads"
    directory.mkdir()
    (tmp_path / "precious").write_text("mine")
    (directory / "link").symlink_to(tmp_path / "precious")
    (directory / "link (2)").symlink_to(tmp_path / "nowhere")
    path = await toy(serve).things.picture("t1").to_file(directory)
    assert (path.name, path.read_bytes()) == ("link (3)", b"theirs")
    assert sorted(os.listdir(tmp_path)) == ["downloads", "precious"]  # noqa: PTH208 - as above
    assert (tmp_path / "precious").read_text() == "mine"


@given(st.text(max_size=300))
def test_no_header_raises_or_leads_out(header: str) -> None:
    for form in ("{}", "attachment; filename={}", "attachment; filename*={}", 'x; filename="{}"'):
        value = form.replace("{}", header)
        name = suggested_filename(value)
        assert name is None or (name.isprintable() and not set(name) & set("/\\") and name not in {".", "..", ""})
