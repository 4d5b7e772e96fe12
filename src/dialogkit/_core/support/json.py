"""Bodies become text and JSON, in one way for everybody who reads one; and what JSON is made of.

A body is in UTF-8, as JSON has to be. Where it is not, the charset that its headers name is tried if it is one that the
web knows, then what its first bytes look like; only then are characters replaced. No name of a codec that a stranger
has chosen is looked up: Python would import modules of that name, and some of its codecs are no charsets.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from dialogkit._core.support.lazy import LazyModule

if TYPE_CHECKING:
    import pydantic_core
else:
    pydantic_core = LazyModule("pydantic_core")

_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([a-z0-9_.:-]{1,40})\"?\s*(?:;|$)", re.IGNORECASE)
_KNOWN: Final = re.compile(
    r"utf[-_]?(8|16|32)([-_]?[lb]e)?|(us-)?ascii|iso[-_]?8859[-_]?\d{1,2}|latin[-_]?[1-9]|(windows-|cp)125\d|koi8-[ru]"
    r"|gb2312|gbk|gb18030|big5(-hkscs)?|shift[-_]jis|sjis|euc-(jp|kr)|iso-2022-(jp|kr)|tis-620|macintosh"
)
_SURROGATES: Final = re.compile(
    r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class TooDeepError(ValueError):
    """JSON is nested too deeply to be read."""


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Say whether a JSON value is an object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Say whether a JSON value is an array."""
    return isinstance(value, list)


def charset_of(headers: Mapping[str, str]) -> str | None:
    """Return the charset that the headers of an answer name, if it is one that the web knows."""
    found = _CHARSET.search(headers.get("content-type", "")[:500])
    name = found[1].lower() if found else ""
    return name if _KNOWN.fullmatch(name) else None


def text_of(content: bytes, charset: str | None) -> str:
    """Return a body as text: by its byte order mark, else in the charset that it names, else in UTF-8.

    What cannot be read that way becomes U+FFFD.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark) and (text := _decoded(content, encoding)) is not None:
            return text
    try:
        return content.decode(charset or "utf-8", "replace")
    except LookupError:  # such as iso-8859-12, which never was
        return content.decode("utf-8", "replace")


def json_of(content: bytes, charset: str | None = None) -> Any:
    """Return the JSON in a body, also where it is not in UTF-8, or breaks the rules in ways that lose a character.

    Raises:
        ValueError: It is not JSON, or nested too deeply to be read.
    """
    try:
        return pydantic_core.from_json(content)
    except ValueError:
        return loose_json_of(content, charset)


def loose_json_of(content: bytes, charset: str | None) -> Any:
    """Do what `json_of` does for a body that is known not to be plain JSON."""
    for text in _readings(content, charset):
        with suppress(json.JSONDecodeError):
            return _loads(_SURROGATES.sub(_replace_lone, text))
    raise ValueError("it is not JSON")


def _loads(text: str) -> Any:
    try:
        return json.loads(text, parse_int=_int)
    except RecursionError:
        pass  # raised below, without the thousand frames
    raise TooDeepError("it is nested too deeply to be read")


def _readings(content: bytes, charset: str | None) -> Iterator[str]:
    """Yield a body as text, in one encoding after the other."""
    for encoding in dict.fromkeys(("utf-8-sig", charset or "utf-8-sig", json.detect_encoding(content))):
        text = _decoded(content, encoding)
        if text is not None:
            yield text
    yield content.decode("utf-8-sig", "replace")


def _decoded(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except (UnicodeError, LookupError):
        return None


def _replace_lone(match: re.Match[str]) -> str:
    return "\\ufffd" if match["lone"] else match[0]


def _int(digits: str) -> int | str:
    try:
        return int(digits)
    except ValueError:
        return digits  # longer than Python converts
