"""The platform's ways to cut a list into pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from dialogkit.testing.engine.refusals import not_found
from dialogkit.testing.engine.state import Row

T = TypeVar("T")


def numbered(rows: Sequence[T], page: int, size: int) -> Sequence[T]:
    """Return one numbered page; the first is 1."""
    return rows[(page - 1) * size : page * size]


def after_id(rows: Sequence[Row], last_id: str | None, limit: int, kind: str) -> tuple[Sequence[Row], bool]:
    """Return the rows after the one with an id, and whether there are more. Without an id, begin at the beginning.

    Raises:
        Refusal: 404, when no row has the id.

    """
    start = 0
    if last_id:
        ids = [row["id"] for row in rows]
        if last_id not in ids:
            raise not_found(kind, last_id)
        start = ids.index(last_id) + 1
    page = rows[start : start + limit]
    return page, start + limit < len(rows)


def matches(query: str | None, *texts: str) -> bool:
    """Say whether a search text occurs in any of the texts, whatever the case; nothing to look for matches."""
    return not query or any(query.lower() in text.lower() for text in texts)
