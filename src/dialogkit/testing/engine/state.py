"""What the sandbox remembers: tables of rows, ids, tokens and a clock. Handlers give the rows their meaning."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from dialogkit.testing.engine.document import Json
from dialogkit.testing.engine.ids import Ids
from dialogkit.testing.engine.links import Links
from dialogkit.testing.engine.refusals import not_found

Row = Json

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FRACTION: Final = re.compile(r"\.([0-9]+)")


class Table:
    """Rows of one kind, in the order in which they were added.

    Args:
        kind: What a row is called in error messages.
        prefix: How the ids begin.
        ids: Where new ids come from.

    """

    def __init__(self, kind: str, prefix: str, ids: Ids) -> None:
        self.kind = kind
        self._prefix = prefix
        self._ids = ids
        self._rows: dict[str, Row] = {}

    def add(self, row: Row, id_: str | None = None) -> Row:
        """Add a row under a new id, or under the one given, and return it."""
        key = self._ids.mint(self._prefix) if id_ is None else id_
        stored: Row = {"id": key, **row}
        self._rows[key] = stored
        return stored

    def get(self, id_: str) -> Row:
        """Return the row with this id, or refuse with 404."""
        if id_ not in self._rows:
            raise not_found(self.kind, id_)
        return self._rows[id_]

    def find(self, **values: Any) -> list[Row]:
        """Return the rows that have all these values."""
        return [row for row in self if all(row.get(key) == value for key, value in values.items())]

    def remove(self, id_: str) -> None:
        """Remove a row that is there."""
        del self._rows[id_]

    def remove_all(self, **values: Any) -> None:
        """Remove the rows that have all these values."""
        for row in self.find(**values):
            self.remove(row["id"])

    def __iter__(self) -> Iterator[Row]:
        return iter(list(self._rows.values()))

    def __contains__(self, id_: object) -> bool:
        return id_ in self._rows

    def __len__(self) -> int:
        return len(self._rows)


@dataclass(frozen=True)
class Credential:
    """A bearer token that the sandbox accepts."""

    name: str
    """What its requests are counted under."""
    account: str | None = None
    """The only account it is good for; None for all."""
    expires: float | None = None
    """Epoch seconds; None for never."""
    scopes: frozenset[str] | None = None
    """What it allows; None for everything."""

    def allows(self, wanted: Collection[frozenset[str]]) -> bool:
        """Say whether it allows all of one of these sets of scopes; where none is wanted, it does."""
        return self.scopes is None or not wanted or any(each <= self.scopes for each in wanted)


class State:
    """Everything that a run of the sandbox has learnt.

    Args:
        account: Whom a request is about when nothing in it says so.
        clock: Epoch seconds.

    """

    def __init__(self, account: str, clock: Callable[[], float]) -> None:
        self.ids = Ids()
        self.clock = clock
        self.account = account
        self.tokens: dict[str, Credential] = {}
        self.links = Links(self.ids, clock)
        self._last_ms = 0
        self._tables: dict[str, Table] = {}

    def table(self, name: str, kind: str, prefix: str) -> Table:
        """Return the table with this name, which is made on first use."""
        if name not in self._tables:
            self._tables[name] = Table(kind, prefix, self.ids)
        return self._tables[name]

    def now_ms(self) -> int:
        """Return the time in epoch milliseconds, later than every time before: nothing happens twice at once."""
        self._last_ms = max(self._last_ms + 1, int(self.clock() * 1000))
        return self._last_ms

    def now(self) -> str:
        """Return `now_ms` as the platform writes dates."""
        return iso(self.now_ms())


def iso(milliseconds: float) -> str:
    """Write epoch milliseconds as ISO 8601 in UTC, with milliseconds and `Z`.

    Raises:
        OverflowError: They are out of the calendar's range.

    """
    moment = _EPOCH + timedelta(milliseconds=round(milliseconds))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_iso(text: str) -> int:
    """Read an ISO 8601 date or time as epoch milliseconds; without an offset it is UTC.

    Raises:
        ValueError: It is none, or out of the calendar's range.

    """
    text = _FRACTION.sub(lambda found: f".{found[1][:6]:0<6}", text)
    moment = datetime.fromisoformat(text[:-1] + "+00:00" if text[-1:] in {"Z", "z"} else text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    milliseconds = (moment - _EPOCH) // timedelta(milliseconds=1)
    try:
        iso(milliseconds)
    except OverflowError as error:  # a year 0 or 10000, which only the offset makes
        raise ValueError(f"{text} is out of range") from error
    return milliseconds
