"""Lists that come in pages: one way to walk them, whatever the platform's cursor looks like.

    page = await namespace.search(limit=20)               # the first page
    async for row in namespace.search(): ...              # every row, fetched page by page
    async for page in namespace.search().pages(): ...     # every page
    rows = await namespace.search().collect(100)          # a list of at most 100 rows; `first()` is one, or None
    namespace.search(resume=page.cursor)                  # goes on after that page, with the same filters

A cursor carries the position and nothing else: pass the filters and the order with it again.

Theory of operation. A pager makes one `Turn` of each page and asks the list's style where the next one begins. What
the style cannot know is kept here: how many rows came (`Position.seen`, which a cursor carries on), the most rows that
any page announced, and, along one walk, a `_Trail`: the longest page so far, and two pages that show a standstill. A
list ends where its style says so. When that is before the total that its last page announces, the log says it, for
nobody would miss the rows otherwise.
"""

from __future__ import annotations

import logging
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar, cast, overload

from dialogkit._core.call import Position, name_of
from dialogkit._core.errors import InvalidArgumentError, PaginationError
from dialogkit._core.lists.cursors import decode_cursor, encode_cursor
from dialogkit._core.lists.styles import (
    PageStyle,
    Turn,
)
from dialogkit._core.response import ResponseInfo
from dialogkit._core.support.awaiting import AwaitedOnce, refuses
from dialogkit._core.support.methods import Method, derive

__all__ = ["Page", "Pager", "paginated"]

logger = logging.getLogger("dialogkit")

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_PLAIN: Final = (str, int)
_NOTE = (
    "Await the result for one page, or iterate over it with `async for` for every row of every page, fetched as they\n"
    "are needed; `.pages()` iterates over the pages, `.collect()` makes a list of rows, `.first()` gives one. A list\n"
    "whose pages do not advance ends in `PaginationError`; one that ends before its announced total warns in the log."
)
_WALK: Final = (
    "a list is fetched while it is walked: `async for row in ...` gives every row, `await ...` its first page, which "
    "is a sequence, and `await ....collect()` a list"
)


def paginated(
    fn: Callable[Concatenate[Any, P], Awaitable[R]], items: Callable[[R], Sequence[T] | None], style: PageStyle
) -> Method[P, Pager[T]]:
    """Make a method that walks a list of a generated function that fetches one page.

    Args:
        fn: The generated function; it takes `resume`.
        items: Finds the rows in a result.
        style: How the list goes on.
    """

    def start(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Pager[T]:
        return Pager(fn, (client, *args), kwargs, items, style)

    return cast("Method[P, Pager[T]]", derive(fn, start, returns=Pager, note=_NOTE))


class Page(Sequence[T]):
    """One page of a list: a sequence of its rows.

    It knows how to fetch the next one; rows of further pages are not fetched before they are asked for.
    """

    __slots__ = ("_after", "_pager", "_response_info", "_trail", "items", "result", "total")

    items: list[T]
    """The rows of this page."""
    total: int | None
    """How many rows the whole list has, when the platform says so."""
    result: Any
    """The answer as its model, with everything that stands around the rows."""

    def __init__(
        self, pager: Pager[T], result: Any, items: list[T], *, total: int | None, after: Position | None, trail: _Trail
    ) -> None:
        self._pager = pager
        self._after = after
        self._trail = trail
        self._response_info: ResponseInfo | None = getattr(result, "_response_info", None)
        self.items = items
        self.total = total
        self.result = result

    @property
    def has_next(self) -> bool:
        """Whether the platform has more rows after this page."""
        return self._after is not None

    @property
    def cursor(self) -> str | None:
        """What to pass as `resume`, with the same filters, to go on after this page; `None` at the end."""
        return None if self._after is None else encode_cursor(self._pager.operation, self._after)

    async def next_page(self) -> Page[T] | None:
        """Fetch the page after this one; `None` at the end.

        Raises:
            PaginationError: The platform announces more rows, but its pages do not advance.
            DialogkitError: As the call that fetched this page.
        """
        if self._after is None:
            return None
        return await self._pager.follow(self._after, self._trail)

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    @overload
    def __getitem__(self, index: int, /) -> T: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[T]: ...
    def __getitem__(self, index: int | slice, /) -> T | list[T]:
        return self.items[index]

    if not TYPE_CHECKING:  # a type checker refuses it by itself
        __aiter__ = refuses("a page is a sequence: `for row in page`; `async for` walks the whole list, without await")

    def __repr__(self) -> str:
        total = "" if self.total is None else f" of {self.total}"
        more = ", more follow" if self.has_next else ""
        return f"<Page of {self._pager.operation}: {len(self.items)}{total} items{more}>"


class Pager(AwaitedOnce[Page[T]]):
    """A list that is about to be fetched: await it (once) for its first page, or iterate over all of its rows.

    Nothing is sent before it is awaited or iterated over, and nothing is fetched ahead. Leaving a loop early leaves
    nothing open. It is a coroutine for asyncio: `asyncio.create_task(...)` takes it as it is.
    """

    __slots__ = ("_arguments", "_fn", "_items", "_keywords", "_style", "operation")

    def __init__(
        self,
        fn: Callable[..., Awaitable[Any]],
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        items: Callable[[Any], Sequence[T] | None],
        style: PageStyle,
    ) -> None:
        super().__init__()
        self._fn = fn
        self._arguments = arguments
        self._keywords = keywords
        self._items = items
        self._style = style
        self.operation: str = name_of(fn)

    def __aiter__(self) -> AsyncIterator[T]:
        return _Rows(self.pages())

    def pages(self) -> AsyncIterator[Page[T]]:
        """Iterate over the pages, each fetched when it is asked for."""
        return _Pages(self)

    async def first(self) -> T | None:
        """Fetch pages until one has a row, and return that; `None` if there is none."""
        async for row in self:
            return row
        return None

    async def collect(self, max_items: int | None = None) -> list[T]:
        """Fetch pages until there are enough rows, and return those.

        Args:
            max_items: The most rows to return; all of them unless given.

        Raises:
            InvalidArgumentError: `max_items` is negative or no number.
        """
        if max_items is not None and (type(max_items) is not int or max_items < 0):
            raise InvalidArgumentError(
                f"{self.operation}: `max_items` should be a number of rows, or None for all of them. Nothing was sent.",
                operation=self.operation,
                argument="max_items",
            )
        rows: list[T] = []
        if max_items == 0:
            return rows
        async for page in self.pages():
            rows += page if max_items is None else islice(page, max_items - len(rows))
            if len(rows) == max_items:
                break
        return rows

    if not TYPE_CHECKING:  # a type checker refuses these uses by itself
        __iter__ = refuses(_WALK)
        __enter__ = __exit__ = __aenter__ = __aexit__ = refuses(f"there is nothing to close in a list: {_WALK}")

    def __repr__(self) -> str:
        return f"<Pager of {self.operation}>"

    def _begin(self) -> Coroutine[Any, Any, Page[T]]:
        return self.first_page()

    def _again(self) -> str:
        return "keep the page that it gave, ask that for its `next_page()`, or call the method again"

    async def first_page(self) -> Page[T]:
        """Fetch the first page, each time that it is called; used by iterators."""
        resume = self._keywords.get("resume")
        if resume is None:
            return await self._fetch(None, None)
        position = decode_cursor(self.operation, resume, function=self._fn.__name__)
        if not self._style.arguments.issuperset(position.arguments):
            # A cursor may come back from a browser: it must not be able to change a filter or a location.
            raise InvalidArgumentError(
                f"{self.operation}: `resume` sets arguments that are no position; nothing was sent. "
                "Pass the `cursor` of a page of the same list.",
                operation=self.operation,
                argument="resume",
            )
        return await self._fetch(position, None)

    async def follow(self, position: Position, trail: _Trail) -> Page[T]:
        """Fetch the page at `position`; used by `Page.next_page`."""
        if not position.arguments:
            raise self._stuck("does not say where")
        if trail.leads_back_to(position.arguments):
            raise self._stuck("leads back to a page that came before")
        return await self._fetch(position, trail)

    async def _fetch(self, position: Position | None, trail: _Trail | None) -> Page[T]:
        keywords = self._keywords if position is None else {**self._keywords, "resume": position}
        result = await self._fn(*self._arguments, **keywords)
        items = self._items(result)
        if not isinstance(items, list):  # an answer that differs from its document may have anything here
            items = list[T]()
        return self._page(result, items, position, trail)

    def _page(self, result: Any, items: list[T], position: Position | None, trail: _Trail | None) -> Page[T]:
        sent = self._keywords if position is None else {**self._keywords, **position.arguments}
        rows = _Identities(items)
        seen = self._style.before(sent) if position is None else position.seen
        seen += len(items) if trail is None else trail.rows.lacks(rows)
        total = self._style.count(result, sent)
        announced = _most(total, None if position is None else position.total)
        longest = max(len(items), 0 if trail is None else trail.longest)
        arguments = self._style.advance(Turn(sent, result, items, seen, announced, longest))
        if arguments is None:
            self._tell_of_an_early_end(seen, announced if total is None else total)
        after = None if arguments is None else Position(_given(arguments), seen, announced)
        here = _given({name: sent.get(name) for name in self._style.arguments})
        if trail is None:
            trail = _Trail(here, rows, here, rows, longest)
        elif after is not None and trail.knows(rows):
            raise self._stuck("brings only rows that came before")
        else:
            trail = trail.extended(here, rows, longest)
        return Page(self, result, items, total=total, after=after, trail=trail)

    def _tell_of_an_early_end(self, seen: int, total: int | None) -> None:
        """Say in the log that fewer rows came than were announced, unless the list was begun who knows where."""
        keywords = self._keywords
        begun_elsewhere = keywords.get("resume") is None and any(map(keywords.get, self._style.arguments))
        if total is None or seen >= total or (begun_elsewhere and not self._style.before(keywords)):
            return
        logger.warning(
            "%s: the list ended after %d rows, although the platform announced %d. What came is all that it gave.",
            self.operation,
            seen,
            total,
        )

    def _stuck(self, why: str) -> PaginationError:
        return PaginationError(
            f"{self.operation}: the platform announces more rows, but {why}. Stopped, since going on might never end: "
            "what came so far may be all there is. To try again, pass the cursor of an earlier page as `resume`.",
            operation=self.operation,
        )


@dataclass(frozen=True)
class _Trail:
    """What is remembered of the way so far: how long its longest page was, and two pages, however many there were.

    The last page shows a standstill. The other one is left behind at pages 1, 2, 4, 8, ... (Brent's algorithm), so
    that a circle of any length comes upon it.
    """

    here: Mapping[str, Any]
    rows: _Identities
    marked_here: Mapping[str, Any]
    marked_rows: _Identities
    longest: int
    steps: int = 0
    lap: int = 1

    def leads_back_to(self, arguments: Mapping[str, Any]) -> bool:
        """Say whether `arguments` would fetch one of the two pages again."""
        return arguments in (self.here, self.marked_here)

    def knows(self, rows: _Identities) -> bool:
        """Say whether all of these rows were on one of the two pages."""
        return self.rows.all >= rows.all or self.marked_rows.all >= rows.all

    def extended(self, here: Mapping[str, Any], rows: _Identities, longest: int) -> _Trail:
        """Return the way with one more page."""
        if self.steps + 1 == self.lap:
            return _Trail(here, rows, here, rows, longest, 0, self.lap * 2)
        return _Trail(here, rows, self.marked_here, self.marked_rows, longest, self.steps + 1, self.lap)


class _Identities:
    """What tells the rows of a page from others, found when it is first asked for: most pages are the only ones."""

    def __init__(self, rows: Iterable[object]) -> None:
        self._rows = tuple(rows)

    @cached_property
    def each(self) -> list[Hashable]:
        """The identity of each row; the rows are not held any longer."""
        rows, self._rows = self._rows, ()
        return list(map(_identity, rows))

    @cached_property
    def all(self) -> frozenset[Hashable]:
        """The identities of all rows."""
        return frozenset(self.each)

    def lacks(self, rows: _Identities) -> int:
        """Return how many of `rows` are not among these."""
        return sum(each not in self.all for each in rows.each)


class _Pages(AsyncIterator[Page[T]]):
    """Iterates over pages. A class and no generator: a loop that is left early leaves nothing to be closed."""

    __slots__ = ("_ended", "_page", "_pager")

    def __init__(self, pager: Pager[T]) -> None:
        self._pager = pager
        self._page: Page[T] | None = None
        self._ended = False

    async def __anext__(self) -> Page[T]:
        if self._ended:
            raise StopAsyncIteration
        page = await (self._pager.first_page() if self._page is None else self._page.next_page())
        if page is None:
            self._ended = True
            self._page = None
            raise StopAsyncIteration
        self._page = page
        return page

    if not TYPE_CHECKING:
        __iter__ = refuses("pages are fetched while a list is walked: `async for page in ....pages()`")


class _Rows(AsyncIterator[T]):
    __slots__ = ("_pages", "_rows")

    def __init__(self, pages: AsyncIterator[Page[T]]) -> None:
        self._pages = pages
        self._rows: Iterator[T] = iter(())

    async def __anext__(self) -> T:
        while True:
            for row in self._rows:
                return row
            self._rows = iter((await self._pages.__anext__()).items)


def _identity(row: object) -> Hashable:
    """Return what tells a row from others: its id if it has one, else all of it."""
    thing = cast("Any", row)
    name = thing.get("id") if isinstance(row, dict) else getattr(row, "id", None)
    return name if isinstance(name, _PLAIN) else repr(thing)


def _given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _most(*totals: int | None) -> int | None:
    return max((total for total in totals if total is not None), default=None)
