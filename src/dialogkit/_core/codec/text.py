"""Values become text: in a path, a query, a form, a header."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, cast
from urllib.parse import quote, unquote

from dialogkit._core.call import OMIT
from dialogkit._core.codec.arguments import invalid

_PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")
_SEPARATOR: Final = re.compile(r"[/\\]")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9_.~-]*")
_LISTS: Final = (list, tuple)
_NOT_IN_A_HEADER: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@lru_cache(maxsize=1024)
def _template(path: str) -> tuple[str, ...]:
    """Return a path's template as literal, name, literal, name, ..., literal."""
    return tuple(_PLACEHOLDER.split(path))


def path(operation: str, template: str, given: Mapping[str, Any]) -> str:
    """Fill the placeholders of a path's template with the texts of the same names; its slashes stay as they are."""
    if "{" not in template:
        return template
    parts = list(_template(template))
    for place in range(1, len(parts), 2):
        parts[place] = _segment(operation, parts[place], given.get(parts[place]))
    return "".join(parts)


def checked_path(operation: str, text: object) -> str:
    """Return a path that a user has written as a template without placeholders; it stays below the base URL."""
    if not isinstance(text, str) or not text.startswith("/") or text.startswith("//"):
        raise invalid(operation, "path", "should begin with one slash; it is appended to the base URL")
    if "?" in text or "#" in text or "\\" in text:
        raise invalid(operation, "path", "should be a path alone: give a query as query=, and no fragment or backslash")
    if _climbs(text):
        raise invalid(operation, "path", "should not have segments that are dots")
    if not _is_encodable(text, "utf-8"):
        raise invalid(operation, "path", "should be valid Unicode")
    return quote(text, safe="/%:@!$&'()*+,;=~")


def _climbs(text: str) -> bool:
    """Say whether any reader on the way might take a path for one that leads up, however often it is escaped."""
    while (plain := unquote(text)) != text:
        text = plain
    return any(each.partition(";")[0] in {".", ".."} for each in _SEPARATOR.split(text))


def _segment(operation: str, name: str, value: object) -> str:
    if not isinstance(value, str):
        raise invalid(operation, name, f"should be a string, not a value of type {type(value).__name__}")
    if not value or (("." in value or "%" in value) and _climbs(value)):
        raise invalid(
            operation, name, "should be an id: it stands in the path of the URL, and must not be empty or dots"
        )
    return _quoted(operation, name, value)


def pairs(operation: str, fields: Mapping[str, object]) -> str:
    """Write a query or a form: a list repeats its name, an absent value is left out."""
    written: list[str] = []
    for name, value in fields.items():
        values = cast("list[object] | tuple[object, ...]", value) if isinstance(value, _LISTS) else (value,)
        for each in values:
            text = scalar(operation, name, each)
            if text is not None:
                written.append(f"{_quoted(operation, name, name)}={_quoted(operation, name, text)}")
    return "&".join(written)


def _quoted(operation: str, name: str, text: str) -> str:
    """Return a text as it stands in a URL, with everything but letters, digits and `-._~` escaped."""
    if _UNRESERVED.fullmatch(text):  # most are, and to look is a tenth of the work
        return text
    if not _is_encodable(text, "utf-8"):
        raise invalid(operation, name, "should be valid Unicode")
    return quote(text, safe="")


def scalar(operation: str, name: str, value: object) -> str | None:
    """Return a value as the text that stands for it in a URL, a form or a header; `None` if there is none."""
    if value is None or value is OMIT:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _decimal(operation, name, value)
    if isinstance(value, date):
        return value.isoformat()
    raise invalid(operation, name, f"cannot be written as text: it is of type {type(value).__name__}")


def _decimal(operation: str, name: str, value: float) -> str:
    if not math.isfinite(value):
        raise invalid(operation, name, f"should be a finite number, not {value!r}")
    return str(int(value)) if value.is_integer() else format(Decimal(repr(value)), "f")


def header(operation: str, name: str, value: object) -> str:
    """Return a header's value as it goes over the wire; neither it nor the name can smuggle in another header."""
    if not _TOKEN.fullmatch(name):
        raise invalid(operation, f"the header {name!r}", "does not have a name that HTTP allows")
    if not isinstance(value, str):
        raise invalid(
            operation, f"the header {name}", f"should be a string, not a value of type {type(value).__name__}"
        )
    if _NOT_IN_A_HEADER.search(value):
        raise invalid(operation, f"the header {name}", "should have no line breaks or other control characters")
    if not _is_encodable(value, "latin-1"):
        raise invalid(operation, f"the header {name}", "has characters beyond Latin-1, which no header can carry")
    return value.strip(" \t")


def _is_encodable(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
