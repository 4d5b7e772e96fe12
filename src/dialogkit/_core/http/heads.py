"""Heads of answers that stretch the grammar of HTTP, put into the form that no parser refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_END: Final = re.compile(rb"\r?\n\r?\n")
_VERSION: Final = re.compile(rb"\AHTTP/1\.[2-9] ")
_LINE_END: Final = re.compile(rb"\r?\n")
_CONTROLS: Final = bytes(each for each in range(1, 32) if each != 9)
_BLANKED: Final = bytes.maketrans(_CONTROLS, b" " * len(_CONTROLS))


def end_of_head(data: bytes) -> int:
    """Return how many bytes the head of an answer has, with the blank line; 0 when that has not come yet."""
    found = _END.search(data)
    return 0 if found is None else found.end()


def put_right(head: bytes) -> bytes:
    """Return `head` with one line a header, each ending in CRLF, and one length if several are the same.

    A length beside chunks goes: RFC 9112 (6.3) has the chunks count.
    """
    first, *lines = _unfolded(head)
    chunked = any(name == b"transfer-encoding" and b"chunked" in value.lower() for name, value in map(_field, lines))
    kept = [_VERSION.sub(b"HTTP/1.1 ", first)]
    lengths: list[bytes] = []
    for line in lines:
        name, value = _field(line)
        if name != b"content-length":
            kept.append(line)
        elif not chunked:
            lengths += [each.strip() for each in value.split(b",")]
    kept += [b"Content-Length: " + each for each in dict.fromkeys(lengths)]
    return b"\r\n".join([*kept, b"", b""])


def _unfolded(head: bytes) -> Iterator[bytes]:
    line = b""
    for each in _LINE_END.split(head.rstrip(b"\r\n")):
        if line and each[:1] in {b" ", b"\t"}:
            line += b" " + each.strip()
            continue
        if line:
            yield line
        line = each.translate(_BLANKED)
    yield line


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.lower(), value
