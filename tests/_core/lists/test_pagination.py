"""Walking lists: every style, resumption, platforms that misbehave, and what it costs."""

from __future__ import annotations

import base64
import contextlib
import inspect
import itertools
import json
import tracemalloc
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialogkit._core.call import Position
from dialogkit._core.codec.models import Model, attach_info
from dialogkit._core.errors import InvalidArgumentError, PaginationError
from dialogkit._core.lists.cursors import decode_cursor, encode_cursor
from dialogkit._core.lists.pager import Page, Pager, paginated
from dialogkit._core.lists.styles import (
    LastId,
    NextCursor,
    Offset,
    PageNumber,
    PageStyle,
    SinglePage,
    SortValue,
    StartAfter,
    Turn,
)
from dialogkit._core.response import ResponseInfo, response_info

EPOCH = 1_628_008_053_263


class Row(Model):
    id: str
    last_message_date: str | int | None = None
    sort: list[Any] | None = None


class Envelope(Model):
    """The envelope of every platform at once; a server fills in what its style has."""

    rows: list[Row] | None = None
    total: int | None = None
    count: int | None = None
    page_size: int | None = None
    next_page: bool | None = None
    last_id: str | None = None
    next_cursor: str | None = None


def rows(count: int) -> list[Row]:
    return [Row(id=f"r{n}", last_message_date=str(EPOCH - n)) for n in range(count)]


Answer = Callable[[list[Row], dict[str, Any]], Envelope]


@dataclass(frozen=True)
class Platform:
    """A style, and a server that behaves as the style's endpoints do."""

    name: str
    style: PageStyle
    answer: Answer
    size_argument: str | None = "limit"
    first: dict[str, Any] | None = None


def offset(data: list[Row], args: dict[str, Any]) -> Envelope:
    start = args.get("offset") or 0
    return Envelope(rows=data[start : start + (args.get("limit") or 20)], total=len(data))


def offset_without_total(data: list[Row], args: dict[str, Any]) -> Envelope:
    return offset(data, args).model_copy(update={"total": None})


def capped_offset(data: list[Row], args: dict[str, Any]) -> Envelope:
    return offset(data, {**args, "limit": min(args.get("limit") or 20, 3)})


def skip(data: list[Row], args: dict[str, Any]) -> Envelope:
    start, limit = args.get("skip") or "0", args.get("limit") or "20"
    assert isinstance(start, str)
    return Envelope(rows=data[int(start) : int(start) + int(limit)], count=len(data))


def page_number(data: list[Row], args: dict[str, Any]) -> Envelope:
    page, size = args.get("page") or 1, args.get("page_size") or 10
    return Envelope(rows=data[(page - 1) * size : page * size], total=len(data), page_size=size)


def page_length(data: list[Row], args: dict[str, Any]) -> Envelope:
    page, size = args.get("page") or 1, args.get("page_length") or 7
    return Envelope(rows=data[(page - 1) * size : page * size], count=len(data))


def after_id(data: list[Row], args: dict[str, Any], name: str) -> list[Row]:
    start = next((n + 1 for n, row in enumerate(data) if row.id == args.get(name)), 0)
    return data[start : start + (args.get("limit") or 5)]


def start_after(data: list[Row], args: dict[str, Any]) -> Envelope:
    found = after_id(data, args, "start_after")
    return Envelope(rows=found, total=len(data) + 30, count=len(found))  # the total ignores the filter


def sort_value(data: list[Row], args: dict[str, Any]) -> Envelope:
    start = args.get("start_after_date")
    left = data if start is None else [row for row in data if int(row.last_message_date or 0) < start]
    return Envelope(rows=left[: args.get("limit") or 20], total=len(data))


def sort_cursor(data: list[Row], args: dict[str, Any]) -> Envelope:
    """All rows have the same date; each row carries what it is sorted by, which tells them apart."""
    ranked = [row.model_copy(update={"last_message_date": EPOCH, "sort": [EPOCH, n]}) for n, row in enumerate(data)]
    start = args.get("start_after_date") or [0, -1]
    left = [row for row in ranked if row.sort is not None and row.sort > start]
    return Envelope(rows=left[: args.get("limit") or 20], total=len(data))


def sort_value_remaining(data: list[Row], args: dict[str, Any]) -> Envelope:
    """The total counts what follows the cursor only."""
    start = args.get("start_after_date")
    left = data if start is None else [row for row in data if int(row.last_message_date or 0) < start]
    return Envelope(rows=left[: args.get("limit") or 20], total=len(left))


def last_id(data: list[Row], args: dict[str, Any]) -> Envelope:
    found = after_id(data, args, "last_id")
    more = bool(found) and found[-1] is not data[-1]
    return Envelope(rows=found, next_page=more, last_id=found[-1].id if found else None)


def last_id_unsaid(data: list[Row], args: dict[str, Any]) -> Envelope:
    """The last id has to be taken from the last row, and the flag is absent on the last page."""
    found = last_id(data, args)
    return found.model_copy(update={"last_id": None, "next_page": found.next_page or None})


def next_cursor(data: list[Row], args: dict[str, Any]) -> Envelope:
    start = int((args.get("cursor") or "c0")[1:])
    stop = start + (args.get("limit") or 100)
    return Envelope(rows=data[start:stop], total=len(data), next_cursor=f"c{stop}" if stop < len(data) else None)


def generous_cursor(data: list[Row], args: dict[str, Any]) -> Envelope:
    """A cursor comes with every page; an empty page is the end."""
    start = int((args.get("cursor") or "c0")[1:])
    found = data[start : start + (args.get("limit") or 100)]
    return Envelope(rows=found, total=len(data), next_cursor=f"c{start + len(found)}")


PLATFORMS = [
    Platform("offset", Offset(default=20, total="total"), offset),
    Platform("offset without total", Offset(default=20, total="total"), offset_without_total),
    Platform("offset, capped", Offset(default=20, total="total"), capped_offset),
    Platform("skip", Offset(offset="skip", default=20, total="count", as_text=True), skip, "text limit"),
    Platform("page number", PageNumber(default=10, total="total"), page_number, "page_size"),
    Platform("page length", PageNumber(size="page_length", total="count"), page_length, "page_length"),
    Platform("start after", StartAfter(total="total"), start_after),
    Platform("start after, filtered", StartAfter(total="total", ignores=("limit",)), start_after),
    Platform("sort cursor", SortValue(total="total"), sort_cursor),
    Platform("sort value", SortValue(default=20, total="total"), sort_value),
    Platform("sort value, remaining total", SortValue(default=20, total="total"), sort_value_remaining),
    Platform("last id", LastId(cursor="last_id", more="next_page"), last_id),
    Platform("last id, unsaid", LastId(cursor="last_id", more="next_page"), last_id_unsaid),
    Platform("cursor", NextCursor(total="total"), next_cursor),
    Platform("cursor, generous", NextCursor(total="total"), generous_cursor),
]
by_platform = pytest.mark.parametrize("platform", PLATFORMS, ids=lambda each: each.name)


class Server:
    """A namespace over one server; it records the arguments of every request."""

    def __init__(self, answer: Answer, data: list[Row]) -> None:
        self.answer = answer
        self.data = data
        self.requests: list[dict[str, Any]] = []

    def ask(self, keywords: dict[str, Any]) -> Envelope:
        resume = keywords.pop("resume", None)
        args = keywords if resume is None else {**keywords, **_position(resume).arguments}
        self.requests.append(args)
        assert len(self.requests) < 5_000, "an endless loop"
        result = self.answer(self.data, args)
        attach_info(result, ResponseInfo(status=200, headers={}, request_id="q", attempts=1, elapsed=0.1))
        return result


def _position(resume: str | Position) -> Position:
    return resume if isinstance(resume, Position) else decode_cursor("search_rows", resume)


async def search_rows(client: Server, /, **keywords: Any) -> Envelope:
    """Search rows."""
    return client.ask(keywords)


def pager(server: Server, style: PageStyle, **keywords: Any) -> Pager[Row]:
    method = paginated(search_rows, lambda result: result.rows, style)
    return method.__get__(server)(**keywords)


def sized(platform: Platform, size: int | None) -> dict[str, Any]:
    if size is None or platform.size_argument is None:
        return {}
    return {"limit": str(size)} if platform.size_argument == "text limit" else {platform.size_argument: size}


async def names(pages: AsyncIterator[Page[Row]]) -> list[str]:
    return [row.id async for page in pages for row in page]


@by_platform
@given(total=st.integers(0, 40), size=st.none() | st.integers(1, 12), data=st.data())
@settings(max_examples=40, deadline=None)
def test_every_row_comes_once_and_in_order_and_resuming_gives_the_rest(
    platform: Platform, total: int, size: int | None, data: st.DataObject
) -> None:
    async def walk() -> None:
        server = Server(platform.answer, rows(total))
        expected = [row.id for row in server.data]
        arguments = sized(platform, size)
        assert [row.id async for row in pager(server, platform.style, **arguments)] == expected
        pages = [page async for page in pager(server, platform.style, **arguments).pages()]
        assert [row.id for page in pages for row in page] == expected
        assert [page.has_next for page in pages] == [True] * (len(pages) - 1) + [False]
        chosen = data.draw(st.integers(0, len(pages) - 1))
        before = sum(map(len, pages[: chosen + 1]))
        cursor = pages[chosen].cursor
        if cursor is None:
            assert before == total
        else:
            resumed = pager(server, platform.style, **arguments, resume=cursor)
            assert [row.id async for row in resumed] == expected[before:]

    anyio.run(walk)


@pytest.mark.parametrize(
    ("platform", "total", "size", "requests"),
    [
        ("offset", 40, 20, 2),
        ("offset", 41, 20, 3),
        ("offset without total", 41, 20, 3),
        ("offset without total", 40, 20, 3),
        ("skip", 40, 20, 2),
        ("page number", 40, None, 4),
        ("page length", 14, None, 2),
        ("page length", 40, 20, 2),
        ("start after", 40, 20, 3),
        ("start after", 41, 20, 4),  # the total says that there is more, so that is asked for once more
        ("start after, filtered", 41, 20, 3),
        ("sort value", 40, 20, 2),
        ("sort value", 41, None, 3),
        ("last id", 40, 20, 2),
        ("cursor", 40, 20, 2),
    ],
)
async def test_no_more_requests_than_the_documented_end_condition_needs(
    platform: str, total: int, size: int | None, requests: int
) -> None:
    chosen = next(each for each in PLATFORMS if each.name == platform)
    server = Server(chosen.answer, rows(total))
    await names(pager(server, chosen.style, **sized(chosen, size)).pages())
    assert len(server.requests) == requests


UNANNOUNCED = [
    Platform("offset", Offset(), offset),
    Platform("offset with a default", Offset(default=20), offset),
    Platform("page number", PageNumber(default=10), page_number, "page_size"),
    Platform("start after", StartAfter(), start_after),
    Platform("sort value", SortValue(default=20), sort_value),
]


@pytest.mark.parametrize("platform", UNANNOUNCED, ids=lambda each: each.name)
@given(total=st.integers(0, 60), size=st.integers(1, 60), cap=st.integers(20, 40))
@settings(max_examples=40, deadline=None)
def test_a_platform_that_caps_its_pages_without_a_word_ends_no_list(
    platform: Platform, total: int, size: int, cap: int
) -> None:
    """A page that is shorter than what was asked for may be all that the platform gives at once."""
    argument = platform.size_argument or "limit"

    def capped(data: list[Row], args: dict[str, Any]) -> Envelope:
        return platform.answer(data, {**args, argument: min(args[argument], cap)}).model_copy(update={"total": None})

    async def walk() -> None:
        server = Server(capped, rows(total))
        found = [row.id async for row in pager(server, platform.style, **{argument: size})]
        assert found == [row.id for row in server.data]

    anyio.run(walk)


async def test_a_default_that_is_documented_saves_the_last_request() -> None:
    known, unknown = Server(offset_without_total, rows(5)), Server(offset_without_total, rows(5))
    assert len(await pager(known, Offset(default=20), limit=50).collect()) == 5
    assert len(await pager(unknown, Offset(), limit=50).collect()) == 5
    assert (len(known.requests), len(unknown.requests)) == (1, 2)


@pytest.mark.parametrize(
    ("style", "found", "keywords", "told"),
    [
        (StartAfter(total="total"), [], {}, "ended after 0 rows, although the platform announced 5"),
        (SinglePage(total="total"), rows(2), {}, "ended after 2 rows, although the platform announced 5"),
        (Offset(total="total"), [], {"offset": 3}, "ended after 3 rows, although the platform announced 5"),
        (Offset(total="total"), [], {"offset": 5}, None),
        (StartAfter(total="total"), [], {"start_after": "r7"}, None),
        (StartAfter(total="total", ignores=("query",)), [], {"query": "ada"}, None),
        (SinglePage(total="total"), rows(5), {}, None),
    ],
)
async def test_a_list_that_ends_before_its_announced_total_says_so_in_the_log(
    style: PageStyle, found: list[Row], keywords: dict[str, Any], told: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    await pager(Server(lambda data, args: Envelope(rows=found, total=5), []), style, **keywords)
    messages = [record.message for record in caplog.records if record.name == "dialogkit"]
    assert len(messages) == (0 if told is None else 1)
    assert told is None or told in messages[0]


async def test_a_list_that_shrinks_while_it_is_walked_has_not_ended_early(caplog: pytest.LogCaptureFixture) -> None:
    def shrinking(data: list[Row], args: dict[str, Any]) -> Envelope:
        return offset(data if args.get("offset") is None else data[:7], args)

    assert len(await pager(Server(shrinking, rows(9)), Offset(total="total"), limit=4).collect()) == 7
    assert caplog.records == []


@pytest.mark.parametrize("most", [0, 1, 4, 5, 9, 50, None])
async def test_collecting_takes_as_many_rows_as_are_wanted_and_fetches_no_more_pages(most: int | None) -> None:
    server = Server(offset, rows(9))
    found = await pager(server, Offset(total="total"), limit=4).collect(most)
    assert [row.id for row in found] == [row.id for row in server.data[:most]]
    assert len(server.requests) == (3 if most is None else min(-(-most // 4), 3))


@pytest.mark.parametrize("most", [-1, 2.0, "3", True])
async def test_a_number_of_rows_that_is_none_is_refused(most: Any) -> None:
    server = Server(offset, rows(9))
    with pytest.raises(InvalidArgumentError, match="`max_items`"):
        await pager(server, Offset(total="total")).collect(most)
    assert server.requests == []


async def test_the_first_row_may_stand_on_a_later_page() -> None:
    def sparse(data: list[Row], args: dict[str, Any]) -> Envelope:
        page = int(args.get("cursor") or 0)
        return Envelope(rows=[] if page < 2 else data, next_cursor=str(page + 1) if page < 2 else None)

    found = await pager(Server(offset, rows(9)), Offset(total="total")).first()
    assert found is not None
    assert found.id == "r0"
    assert await pager(Server(offset, []), Offset(total="total")).first() is None
    with pytest.raises(PaginationError):  # empty pages do not advance, as everywhere
        await pager(Server(sparse, rows(1)), NextCursor()).first()


async def test_a_list_is_awaited_once_and_walked_as_often_as_one_likes() -> None:
    server = Server(offset, rows(3))
    waiting = pager(server, Offset(total="total"))
    assert len(await waiting) == 3
    with pytest.raises(RuntimeError, match=r"<Pager of search_rows> was awaited already: keep the page that it gave"):
        await waiting
    assert [row.id async for row in waiting] == [row.id async for row in waiting] == ["r0", "r1", "r2"]
    assert len(server.requests) == 3


def test_wrong_uses_of_a_list_say_what_is_right() -> None:
    waiting: Any = pager(Server(offset, []), Offset())
    uses: list[Any] = [iter, list, sorted, contextlib.ExitStack().enter_context]
    for use in uses:
        with pytest.raises(TypeError, match=r"`async for row in \.\.\.`"):
            use(waiting)
    with pytest.raises(TypeError, match=r"`async for page in \.\.\.\.pages\(\)`"):
        iter(waiting.pages())


async def test_a_page_says_that_it_is_a_sequence() -> None:
    page: Any = await pager(Server(offset, rows(3)), Offset(total="total"))
    with pytest.raises(TypeError, match="`for row in page`"):
        aiter(page)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_runs_on_both_event_loops_and_a_loop_left_early_leaves_nothing(backend: str) -> None:
    async def walk() -> None:
        server = Server(offset, rows(50))
        async for row in pager(server, PLATFORMS[0].style):
            if row.id == "r3":
                break
        assert len(server.requests) == 1, "nothing is fetched ahead"
        await names(pager(server, PLATFORMS[0].style).pages())

    anyio.run(walk, backend=backend)


async def test_a_page_is_a_sequence_with_facts() -> None:
    server = Server(offset, rows(50))
    page = await pager(server, Offset(default=20, total="total"), limit=8)
    assert (len(page), page[0].id, page[-1].id, [row.id for row in page[1:3]]) == (8, "r0", "r7", ["r1", "r2"])
    assert page.items == list(page)
    assert server.data[3] in page
    assert (page.total, page.has_next, page.result.total) == (50, True, 50)
    assert response_info(page).request_id == "q"
    assert repr(page) == "<Page of search_rows: 8 of 50 items, more follow>"
    following = await page.next_page()
    assert following is not None
    assert following[0].id == "r8"


async def test_the_last_page_has_no_next_page_and_no_cursor() -> None:
    page = await pager(Server(offset, rows(5)), Offset(default=20, total="total"))
    assert (page.has_next, page.cursor, await page.next_page()) == (False, None, None)
    assert repr(page) == "<Page of search_rows: 5 of 5 items>"


async def test_nothing_is_sent_before_it_is_asked_for() -> None:
    server = Server(offset, rows(5))
    waiting = pager(server, Offset(total="total"))
    assert repr(waiting) == "<Pager of search_rows>"
    assert server.requests == []


def fail(data: list[Row], args: dict[str, Any]) -> Envelope:
    raise OSError("down")


async def test_a_failed_page_can_be_asked_for_again() -> None:
    server = Server(offset, rows(50))
    walk = aiter(pager(server, Offset(default=20, total="total")))
    assert [(await anext(walk)).id for _ in range(20)][-1] == "r19"
    server.answer = fail
    with pytest.raises(OSError, match="down"):
        await anext(walk)
    server.answer = offset
    assert (await anext(walk)).id == "r20"


async def test_the_cursor_wins_over_the_arguments_and_carries_nothing_else() -> None:
    server = Server(offset, rows(50))
    page = await pager(server, Offset(default=20, total="total"), limit=10, status="open")
    assert decode_cursor("search_rows", page.cursor or "").arguments == {"offset": 10}
    await pager(server, Offset(default=20, total="total"), limit=10, status="open", offset=3, resume=page.cursor)
    assert server.requests[-1] == {"limit": 10, "status": "open", "offset": 10}


async def test_an_explicit_beginning_is_respected() -> None:
    server = Server(offset, rows(50))
    assert len(await names(pager(server, Offset(default=20, total="total"), offset=30).pages())) == 20
    assert len(server.requests) == 1
    server = Server(page_number, rows(50))
    assert len(await names(pager(server, PageNumber(default=10, total="total"), page=4).pages())) == 20
    assert len(server.requests) == 2


async def test_a_cursor_keeps_the_page_size_where_the_page_number_needs_it() -> None:
    server = Server(page_number, rows(50))
    page = await pager(server, PageNumber(default=10, total="total"), page_size=7)
    resumed = pager(server, PageNumber(default=10, total="total"), resume=page.cursor)
    assert (await names(resumed.pages()))[0] == "r7"


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        (EPOCH, EPOCH),
        (str(EPOCH), EPOCH),
        (float(EPOCH), EPOCH),
        ("2021-08-03T16:27:33.263Z", EPOCH),
        (datetime(2021, 8, 3, 16, 27, 33, 263_000, tzinfo=timezone.utc), EPOCH),
        (None, None),
        ("yesterday", None),
        (True, None),
        ([1], None),
        (float("nan"), None),
    ],
)
def test_a_sort_value_comes_in_many_shapes(date: Any, expected: int | None) -> None:
    for row in ({"lastMessageDate": date}, Row.model_construct(last_message_date=date)):
        turn = Turn({}, Envelope(), [row], 1, 50)
        assert SortValue().advance(turn) == {"start_after_date": expected}


def test_the_sort_value_is_the_date_that_sort_by_names_even_if_the_model_does_not_know_it() -> None:
    row = Row.model_validate({"id": "r", "lastMessageDate": 1, "lastManualMessageDate": "2"})
    turn = Turn({"sort_by": "last_manual_message_date"}, Envelope(), [row], 1, 50)
    assert SortValue().advance(turn) == {"start_after_date": 2}


def endless(data: list[Row], args: dict[str, Any]) -> Envelope:
    return Envelope(rows=data, next_page=True, last_id="r1", next_cursor="c1", total=10_000, page_size=len(data))


STUCK: dict[str, tuple[PageStyle, Answer]] = {
    "the same cursor": (NextCursor(), endless),
    "the same last id": (LastId(cursor="last_id", more="next_page"), endless),
    "the same rows at every offset": (Offset(total="total"), endless),
    "the same rows on every page": (PageNumber(total="total"), endless),
    "the same rows after every id": (StartAfter(), endless),
    "the same sort value": (SortValue(total="total"), endless),
    "rows without a sort value": (
        SortValue(total="total"),
        lambda data, args: Envelope(rows=[Row(id="a"), Row(id="b")], total=9),
    ),
    "empty pages": (LastId(cursor="last_id", more="next_page"), lambda data, args: Envelope(rows=[], next_page=True)),
    "empty pages with fresh cursors": (
        NextCursor(),
        lambda data, args: Envelope(rows=[], next_cursor=f"{args.get('cursor', '')}x"),
    ),
    "a circle of cursors with fresh rows": (
        NextCursor(),
        lambda data, args: Envelope(
            rows=[Row(id=f"{object()}")],
            next_cursor={"a": "b", "b": "c", "c": "a"}[args.get("cursor", "c")],
        ),
    ),
    "a circle of rows at growing offsets": (
        Offset(),
        lambda data, args: Envelope(rows=[data[(args.get("offset") or 0) % 5]]),
    ),
}


@pytest.mark.parametrize(("style", "answer"), STUCK.values(), ids=STUCK)
async def test_pages_that_do_not_advance_end_in_an_error(style: PageStyle, answer: Answer) -> None:
    server = Server(answer, rows(6))
    with pytest.raises(PaginationError, match="announces more rows, but") as caught:
        await names(pager(server, style).pages())
    assert caught.value.operation == "search_rows"
    assert len(server.requests) < 20


@given(tail=st.integers(0, 12), length=st.integers(1, 12))
@settings(deadline=None)
def test_a_circle_of_any_length_is_noticed(tail: int, length: int) -> None:
    def circle(data: list[Row], args: dict[str, Any]) -> Envelope:
        here = int(args.get("cursor") or 0)
        following = here + 1 if here + 1 < tail + length else tail
        return Envelope(rows=[Row(id=f"r{here}")], next_cursor=str(following))

    server = Server(circle, [])
    with pytest.raises(PaginationError):
        anyio.run(names, pager(server, NextCursor()).pages())
    assert len(server.requests) <= 4 * (tail + length) + 2


async def test_the_page_before_a_standstill_is_delivered() -> None:
    walk = pager(Server(endless, rows(6)), NextCursor()).pages()
    assert [row.id for row in await anext(walk)] == [f"r{n}" for n in range(6)]
    first = await pager(Server(lambda data, args: Envelope(rows=[], next_page=True), []), LastId(cursor="last_id"))
    assert list(first) == []


async def test_a_row_that_comes_again_is_not_counted_twice() -> None:
    def inclusive(data: list[Row], args: dict[str, Any]) -> Envelope:
        start = args.get("start_after_date")
        left = [row for row in data if start is None or int(row.last_message_date or 0) <= start]
        return Envelope(rows=left[:4], total=len(data))

    found = await names(pager(Server(inclusive, rows(12)), SortValue(total="total"), limit=4).pages())
    assert set(found) == {f"r{n}" for n in range(12)}


@pytest.mark.parametrize("found", [None, {"a": 1}, "text", 7])
async def test_rows_that_are_no_list_are_no_rows(found: Any) -> None:
    page = await pager(Server(lambda data, args: Envelope.model_construct(rows=found), []), SinglePage())
    assert list(page) == []


async def test_a_single_page_never_goes_on() -> None:
    page = await pager(Server(lambda data, args: Envelope(rows=data, total=99), rows(3)), SinglePage(total="total"))
    assert (len(page), page.total, page.has_next) == (3, 99, False)


@pytest.mark.parametrize("total", [-1, "many", True, None, 2.5e400, {}])
async def test_a_total_that_is_none_is_unknown(total: Any) -> None:
    answer = Envelope.model_construct(rows=rows(3), total=total)
    page = await pager(Server(lambda data, args: answer, []), Offset(default=20, total="total"))
    assert (page.total, page.has_next) == (None, False)


def test_cursors_are_short_url_safe_and_versioned() -> None:
    text = encode_cursor("search_rows", Position({"start_after_date": EPOCH}, seen=20, total=99))
    assert len(text) < 100
    assert text.replace("-", "").replace("_", "").isalnum()
    assert decode_cursor("search_rows", text).arguments == {"start_after_date": EPOCH}


@given(st.dictionaries(st.text(max_size=9), st.text(max_size=99) | st.integers() | st.lists(st.integers(), max_size=3)))
def test_cursors_bring_back_what_was_written(arguments: dict[str, Any]) -> None:
    assert decode_cursor("search_rows", encode_cursor("search_rows", Position(arguments))).arguments == arguments


def forged(payload: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=").decode()


BAD_CURSORS = [
    "",
    "?",
    "not a cursor",
    "a",
    "x" * 5_000,
    forged([]),
    forged({}),
    forged(3),
    forged([2, "search_rows", {}, 0, None]),
    forged([1, "search_rows", [], 0, None]),
    forged([1, "search_rows", {"offset": {}}, 0, None]),
    forged([1, "search_rows", {}, -1, None]),
    forged([1, "search_rows", {}, 0, "x"]),
    forged([1, ["search_rows"], {}, 0, None]),
    encode_cursor("list_bots", Position({"offset": 3})),
    base64.urlsafe_b64encode(b"[" * 900).decode(),
]


@pytest.mark.parametrize("text", BAD_CURSORS, ids=range(len(BAD_CURSORS)))
def test_a_bad_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="`resume`") as caught:
        decode_cursor("search_rows", text)
    assert (caught.value.operation, caught.value.argument) == ("search_rows", "resume")


@given(st.text())
def test_no_text_escapes_as_another_error(text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        decode_cursor("search_rows", text)


async def test_a_cursor_cannot_change_a_filter() -> None:
    server = Server(offset, rows(5))
    cursor = encode_cursor("search_rows", Position({"offset": 3, "location_id": "someone else's"}))
    with pytest.raises(InvalidArgumentError, match="no position"):
        await pager(server, Offset(total="total"), resume=cursor)
    assert server.requests == []


async def list_rows(client: Any, parent: str, *, limit: int | None = None, resume: str | None = None) -> Envelope:
    """List the rows of a parent.

    Args:
        limit: How many.
    """
    return Envelope(rows=[Row(id=f"{parent}-{limit}")])


class Namespace:
    list = paginated(list_rows, lambda result: result.rows, SinglePage())


async def test_a_method_looks_like_its_function() -> None:
    method: Any = Namespace().list
    assert str(inspect.signature(method)).startswith("(parent: 'str', *, limit: 'int | None' = None, resume:")
    assert inspect.signature(method).return_annotation is Pager
    documentation = inspect.getdoc(method) or ""
    assert documentation.startswith("List the rows of a parent.\n\nArgs:\n    limit: How many.\n\nAwait the result")
    assert inspect.isfunction(Namespace.__dict__["list"])
    assert (await Namespace().list("p", limit=3))[0].id == "p-3"


async def test_a_long_list_takes_no_more_memory_than_a_short_one() -> None:
    identifiers = itertools.count()

    def answer(data: list[Row], args: dict[str, Any]) -> Envelope:
        page = [Row.model_construct(id=f"r{next(identifiers)}") for _ in range(500)]
        return Envelope.model_construct(rows=page, total=100_000)

    class Forgetful(Server):
        def ask(self, keywords: dict[str, Any]) -> Envelope:
            self.requests.clear()
            return super().ask(keywords)

    walk = aiter(pager(Forgetful(answer, []), Offset(total="total"), limit=500))
    for _ in range(5_000):
        await anext(walk)
    tracemalloc.start()
    try:
        count = 5_000
        async for _ in walk:
            count += 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 100_000
    assert peak < 3_000_000


def test_cursors_of_version_0_1_which_name_the_function_go_on_working() -> None:
    kept = encode_cursor("list_things", Position({"offset": 20}))
    assert decode_cursor("things.list", kept, function="list_things").arguments == {"offset": 20}
    with pytest.raises(InvalidArgumentError, match=r"things\.list: `resume` belongs to `list_things`"):
        decode_cursor("things.list", kept, function="list_others")
