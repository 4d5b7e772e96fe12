"""The ways in which platforms cut a list into pages: one small frozen object each.

A style says which arguments fetch the next page, or that there is none. Names are Python names, as the generated
function and its models have them.

Where a list ends. An empty page is the end. As long as a platform announces a total, the list goes on until so many
rows came, however short its pages are. Without one, a page ends the list that is shorter than what the platform gives
when it has more: than its documented default, or the longest page so far. It does not end because a page is shorter
than what was *asked* for, since platforms cap pages and do not always say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from dialogkit._core.support.json import is_array, is_object
from dialogkit._core.support.lazy import LazyModule

if TYPE_CHECKING:
    import pydantic
    from pydantic import alias_generators
else:
    pydantic = LazyModule("pydantic")
    alias_generators = LazyModule("pydantic.alias_generators")


@dataclass(frozen=True)
class Turn:
    """One page, as its style sees it."""

    sent: Mapping[str, Any]
    """The arguments of the call, those of a cursor included."""
    result: Any
    items: Sequence[Any]
    seen: int
    """Rows before and on this page; rows that came twice count once."""
    total: int | None
    """The most rows that any page so far has announced."""
    longest: int = 0
    """Rows of the longest page so far, this one included."""


class PageStyle(Protocol):
    """How a list goes on."""

    @property
    def arguments(self) -> frozenset[str]:
        """The arguments that a cursor may set."""
        ...

    def count(self, result: Any, sent: Mapping[str, Any]) -> int | None:
        """Return how many rows the whole list has, if the platform says so to a call with these arguments."""
        ...

    def before(self, sent: Mapping[str, Any]) -> int:
        """Return how many rows a call with these arguments skips, 0 when nobody can know."""
        ...

    def advance(self, turn: Turn) -> Mapping[str, Any] | None:
        """Return the arguments that fetch the next page, or `None` at the end.

        An argument that should differ and does not, or is `None`, tells the pager that the pages do not advance.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class _Counted:
    total: str | None = None
    """The attribute of the result that holds the number of rows of the whole list."""

    ignores: tuple[str, ...] = ()
    """Arguments that filter the rows and not the total, which says nothing about the list when one of them is given."""

    def count(self, result: Any, sent: Mapping[str, Any]) -> int | None:
        """Return how many rows the whole list has, if the platform says so to a call with these arguments."""
        if any(sent.get(name) is not None for name in self.ignores):
            return None
        value = None if self.total is None else _whole(read(result, self.total))
        return value if value is not None and value >= 0 else None

    def before(self, sent: Mapping[str, Any]) -> int:  # noqa: ARG002 - styles that can know override it
        """Return how many rows a call with these arguments skips, 0 when nobody can know."""
        return 0


@dataclass(frozen=True, kw_only=True)
class _Cursor(_Counted):
    cursor: str
    """The argument that says where the next page begins."""

    @property
    def arguments(self) -> frozenset[str]:
        """The arguments that a cursor may set."""
        return frozenset({self.cursor})


@dataclass(frozen=True, kw_only=True)
class SinglePage(_Counted):
    """The whole list comes at once."""

    arguments = frozenset[str]()

    def advance(self, turn: Turn) -> None:
        """There is no next page."""


@dataclass(frozen=True, kw_only=True)
class Offset(_Counted):
    """A number of rows to skip, and a number of rows to return."""

    offset: str = "offset"
    limit: str = "limit"
    default: int | None = None
    """Rows per page when the caller names no limit, if documented."""
    as_text: bool = False
    """The platform takes the offset as a string."""

    @property
    def arguments(self) -> frozenset[str]:
        """The arguments that a cursor may set."""
        return frozenset({self.offset})

    def before(self, sent: Mapping[str, Any]) -> int:
        """Return the offset."""
        return max(_whole(sent.get(self.offset)) or 0, 0)

    def advance(self, turn: Turn) -> Mapping[str, Any] | None:
        """Skip this page too, unless the list is exhausted."""
        if _exhausted(turn, self.limit, self.default):
            return None
        following = self.before(turn.sent) + len(turn.items)
        return {self.offset: str(following) if self.as_text else following}


@dataclass(frozen=True, kw_only=True)
class PageNumber(_Counted):
    """A page number, counted from 1, and a page size."""

    page: str = "page"
    size: str = "page_size"
    default: int | None = None
    """Rows per page when the caller names no size, if documented."""

    @property
    def arguments(self) -> frozenset[str]:
        """The arguments that a cursor may set: a page number means nothing without its page size."""
        return frozenset({self.page, self.size})

    def before(self, sent: Mapping[str, Any]) -> int:
        """Return the rows of the pages before."""
        page = _whole(sent.get(self.page)) or 1
        return max(page - 1, 0) * (_whole(sent.get(self.size)) or self.default or 0)

    def advance(self, turn: Turn) -> Mapping[str, Any] | None:
        """Turn the page, unless the list is exhausted."""
        if _exhausted(turn, self.size, self.default):
            return None
        asked = turn.sent.get(self.size)
        position = {self.page: (_whole(turn.sent.get(self.page)) or 1) + 1}
        return position if asked is None else {**position, self.size: asked}


@dataclass(frozen=True, kw_only=True)
class StartAfter(_Cursor):
    """The id of the last row."""

    cursor: str = "start_after"
    key: str = "id"
    """The attribute of a row that holds its id."""
    limit: str = "limit"
    default: int | None = None
    """Rows per page when the caller names no limit, if documented."""

    def advance(self, turn: Turn) -> Mapping[str, Any] | None:
        """Go on after the last row, unless the list is exhausted."""
        if _exhausted(turn, self.limit, self.default):
            return None
        return {self.cursor: read(turn.items[-1], self.key)}


@dataclass(frozen=True, kw_only=True)
class SortValue(_Cursor):
    """What the platform sorted the last row by: the row says it itself, or it is a date, in milliseconds, of the row.

    Only the row's own cursor can page by what is no date, and tells rows apart whose dates are the same.
    """

    cursor: str = "start_after_date"
    key: str = "sort"
    """The attribute of a row that holds its cursor, a list of values."""
    sort_by: str = "sort_by"
    """The argument that names the date."""
    field: str = "last_message_date"
    """The date by which rows are sorted when the caller does not say."""
    limit: str = "limit"
    default: int | None = None
    """Rows per page when the caller names no limit, if documented."""

    def advance(self, turn: Turn) -> Mapping[str, Any] | None:
        """Go on after the last row, unless the list is exhausted."""
        if _exhausted(turn, self.limit, self.default):
            return None
        last = turn.items[-1]
        if _is_cursor(own := read(last, self.key)):
            return {self.cursor: own}
        name = str(turn.sent.get(self.sort_by) or self.field)
        return {self.cursor: _milliseconds(read(last, name))}


@dataclass(frozen=True, kw_only=True)
class LastId(_Cursor):
    """The id of the last row, which the result may repeat under the argument's name, and a flag for "there is more"."""

    more: str = "has_more"
    """The attribute of the result that holds the flag."""
    key: str = "id"
    """The attribute of a row that holds its id."""

    def advance(self, turn: Turn) -> Mapping[str, Any] | None:
        """Go on after the last row while the flag is set."""
        if read(turn.result, self.more) is not True:
            return None
        last = read(turn.result, self.cursor)
        return {self.cursor: last or (read(turn.items[-1], self.key) if turn.items else None)}


@dataclass(frozen=True, kw_only=True)
class NextCursor(_Cursor):
    """A cursor that the platform hands out."""

    cursor: str = "cursor"
    following: str = "next_cursor"
    """The attribute of the result that holds the cursor of the next page."""

    def advance(self, turn: Turn) -> Mapping[str, Any] | None:
        """Pass the cursor on, until there is none; an empty page after all rows is the end, too."""
        following = read(turn.result, self.following)
        if not following or (not turn.items and turn.total is not None and turn.seen >= turn.total):
            return None
        return {self.cursor: following}


def read(thing: Any, name: str) -> Any:
    """Return an attribute of a model, also one that its document does not know, or the value of a dict."""
    if is_object(thing):
        return thing.get(_camel(name), thing.get(name))
    value = getattr(thing, name, None)
    return getattr(thing, _camel(name), None) if value is None else value


@lru_cache(maxsize=256)
def _camel(name: str) -> str:
    return alias_generators.to_camel(name)


def _exhausted(turn: Turn, limit: str, default: int | None) -> bool:
    """Say whether a list is at its end after this page; the module's docstring says why.

    Args:
        turn: The page.
        limit: The argument that says how many rows a page should have.
        default: How many it has when the caller does not say, if documented: so many the platform gives at least.
    """
    if not turn.items:
        return True
    if turn.total is not None:
        return turn.seen >= turn.total
    asked = _whole(turn.sent.get(limit))
    certain = 0 if default is None else min(default, asked or default)
    return len(turn.items) < max(certain, turn.longest)


def _is_cursor(value: object) -> bool:
    """Say whether a row's own cursor can be sent as it is; a null in it cannot be written in a query."""
    return is_array(value) and bool(value) and all(isinstance(each, str | int | float) for each in value)


def _whole(value: Any) -> int | None:
    if type(value) is int:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        return None


def _milliseconds(value: Any) -> int | None:
    number = _whole(value)
    if number is not None:
        return number
    if isinstance(value, str):
        try:
            value = pydantic.TypeAdapter(datetime).validate_python(value)
        except pydantic.ValidationError:
            return None
    if not isinstance(value, datetime):
        return None
    moment = value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)
    delta = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (delta.days * 86_400 + delta.seconds) * 1_000 + delta.microseconds // 1_000
