"""Cursors: a position in a list as a short text that survives a restart, for users to keep."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any, TypeGuard

from dialogkit._core.call import Position
from dialogkit._core.errors import InvalidArgumentError
from dialogkit._core.support.json import is_array, is_object
from dialogkit._core.support.lazy import LazyModule

if TYPE_CHECKING:
    import pydantic_core
else:
    pydantic_core = LazyModule("pydantic_core")

_VERSION = 1
_NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*", re.ASCII)
_TEXT = re.compile(r"[A-Za-z0-9_-]{1,4096}")


def encode_cursor(operation_id: str, position: Position) -> str:
    """Write a position in a list of this operation down as url-safe text."""
    payload = [_VERSION, operation_id, dict(position.arguments), position.seen, position.total]
    text = json.dumps(payload, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode_cursor(operation_id: str, text: str, *, function: str = "") -> Position:
    """Return the position that a cursor of this operation stands for.

    Args:
        operation_id: The operation that is being paged through.
        text: What a user has kept.
        function: The name of its function, which is what cursors of version 0.1 name.

    Raises:
        InvalidArgumentError: The text is no cursor, or one of another operation.
    """
    try:
        version, owner, arguments, seen, total = _payload(text)
    except ValueError:
        raise _refused(operation_id, "is not the text of a cursor") from None
    if version != _VERSION:
        raise _refused(operation_id, "was made by another version of dialogkit")
    if not isinstance(owner, str) or owner not in {operation_id, function}:
        name = f"`{owner}`" if isinstance(owner, str) and _NAME.fullmatch(owner) else "something else"
        raise _refused(operation_id, f"belongs to {name}")
    if not _is_arguments(arguments) or not _is_count(seen) or not (total is None or _is_count(total)):
        raise _refused(operation_id, "is damaged")
    return Position(arguments, seen, total)


def _payload(text: object) -> list[object]:
    if not isinstance(text, str) or not _TEXT.fullmatch(text):
        raise ValueError(text)
    payload = pydantic_core.from_json(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    if not is_array(payload) or len(payload) != 5:
        raise ValueError(text)
    return payload


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_arguments(value: object) -> TypeGuard[dict[str, Any]]:
    return is_object(value) and all(map(_is_argument, value.values()))


def _is_argument(value: object) -> bool:
    return isinstance(value, str | int | float) or (
        is_array(value) and all(isinstance(each, str | int | float) for each in value)
    )


def _refused(operation_id: str, why: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{operation_id}: `resume` {why}; nothing was sent. Pass the `cursor` of a page of the same list, "
        "with the same filters, or leave it out to begin at the first page.",
        operation=operation_id,
        argument="resume",
    )
