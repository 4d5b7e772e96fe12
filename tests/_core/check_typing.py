"""What type checkers must see through `paginated` and `downloadable`. Compiled by mypy and basedpyright, never run.

Each `type: ignore` stands where a checker must complain: mypy reports it when it does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typing_extensions import assert_type

from dialogkit._core.call import Caller, Progress
from dialogkit._core.codec.models import Model
from dialogkit._core.files.downloads import ByteStream, Download, downloadable
from dialogkit._core.lists.pager import Page, Pager, paginated
from dialogkit._core.lists.styles import Offset


class Row(Model):
    id: str


class Rows(Model):
    rows: list[Row]
    maybe: list[Row] | None = None


async def list_rows(client: Caller, parent: str, *, limit: int | None = None, resume: str | None = None) -> Rows:
    """List rows."""
    raise NotImplementedError


async def get_recording(client: Caller, message_id: str, *, on_progress: Progress | None = None) -> ByteStream:
    """Get a recording."""
    raise NotImplementedError


class Namespace:
    list = paginated(list_rows, lambda result: result.rows, Offset(total="total"))
    maybe = paginated(list_rows, lambda result: result.maybe, Offset(total="total"))
    recording = downloadable(get_recording)


async def paging(namespace: Namespace) -> None:
    assert_type(namespace.list("p", limit=3, resume=None), Pager[Row])
    assert_type(namespace.maybe("p"), Pager[Row])
    page = await namespace.list("p")
    assert_type(page, Page[Row])
    assert_type(page[0], Row)
    assert_type(page.items, list[Row])
    assert_type(page.result, Any)
    assert_type(await page.next_page(), Page[Row] | None)
    async for row in namespace.list(parent="p"):
        assert_type(row, Row)
    async for each in namespace.list("p").pages():
        assert_type(each, Page[Row])
    namespace.list("p", limt=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    namespace.list("p", limit="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    namespace.list()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def downloading(namespace: Namespace) -> None:
    download = namespace.recording("m", on_progress=print)
    assert_type(download, Download)
    assert_type(await download, bytes)
    assert_type(await download.to_file("x", on_progress=print), Path)
    async with download.stream() as stream:
        assert_type(stream, ByteStream)
        async for chunk in stream:
            assert_type(chunk, bytes)
    namespace.recording("m", on_progres=print)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
