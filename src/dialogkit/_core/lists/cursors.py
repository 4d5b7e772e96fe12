"""Cursors: where a list goes on, as a short string that survives a restart."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from dialogkit._core.errors import InvalidArgumentError
from dialogkit._core.support.lazy import LazyModule

if TYPE_CHECKING:
    import pydantic_core
else:
    pydantic_core = LazyModule("pydantic_core")

_VERSION = 1
_TEXT = re.compile(r"[A-Za-z0-9_-]{1,4096}")


@dataclass(frozen=True)
class Position:
    """Where a list goes on."""

    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The arguments, under their Python names, that fetch the next page; they win over the caller's."""
    seen: int = 0
    """Rows that came before."""
    total: int | None = None
    """The most rows that any page so far has announced."""


def encode_cursor(operation_id: str, arguments: Mapping[str, Any], *, seen: int = 0, total: int | None = None) -> str:
    """Write a position down as url-safe text.

    Args:
        operation_id: The operation that is being paged through.
        arguments: Position only, under Python names. Filters, order and page size stay the caller's.
        seen: Rows that came before.
        total: How many there are, if known.
    """
    payload = json.dumps([_VERSION, operation_id, dict(arguments), seen, total], separators=(",", ":"))
    return base64.urlsafe_b64encode(payload.encode()).rstrip(b"=").decode()


def decode_cursor(operation_id: str, text: str) -> dict[str, Any]:
    """Return the arguments, under their Python names, that a cursor of this operation stands for.

    Raises:
        InvalidArgumentError: The text is no cursor, or one of another operation.
    """
    return dict(read_cursor(operation_id, text).arguments)


def read_cursor(operation_id: str, text: str) -> Position:
    """Return the whole position that a cursor of this operation stands for; errors as in `decode_cursor`."""
    try:
        version, owner, arguments, seen, total = _payload(text)
    except ValueError:
        raise _refused(operation_id, "is not the text of a cursor") from None
    if version != _VERSION:
        raise _refused(operation_id, "was made by another version of dialogkit")
    if not isinstance(owner, str) or owner != operation_id:
        name = f"`{owner}`" if isinstance(owner, str) and owner.isidentifier() else "something else"
        raise _refused(operation_id, f"belongs to {name}")
    if not _is_arguments(arguments) or not _is_count(seen) or not (total is None or _is_count(total)):
        raise _refused(operation_id, "is damaged")
    return Position(cast("dict[str, Any]", arguments), cast("int", seen), cast("int | None", total))


def _payload(text: object) -> list[object]:
    if not isinstance(text, str) or not _TEXT.fullmatch(text):
        raise ValueError(text)
    payload = pydantic_core.from_json(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    if not isinstance(payload, list) or len(cast("list[object]", payload)) != 5:
        raise ValueError(text)
    return cast("list[object]", payload)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_arguments(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_argument, cast("dict[str, object]", value).values()))


def _is_argument(value: object) -> bool:
    return isinstance(value, str | int | float) or (
        isinstance(value, list) and all(isinstance(each, str | int | float) for each in cast("list[object]", value))
    )


def _refused(operation_id: str, why: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{operation_id}: `resume` {why}; nothing was sent. Pass the `cursor` of a page of the same list, "
        "with the same filters, or leave it out to begin at the first page.",
        operation=operation_id,
        argument="resume",
    )
