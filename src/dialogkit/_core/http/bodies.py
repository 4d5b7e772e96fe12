"""Bodies of answers: undone from their encoding, in pieces of a bounded size, and whole or not at all.

An answer may be compressed whether that was asked for or not, so what was done to it is undone here, alike over each
engine: one layer of gzip or deflate. A compressed body ends where its format says so, with a checksum of all that came
before; one that ends earlier, or goes on after that, is a failure, however the connection ended.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from dialogkit._core.http.failure import NOT_DECODED, AnswerTooLarge, TransportFailure

PIECE: Final = 1024 * 1024
"""Bytes; no piece of a body is larger, however far it was compressed."""

_GZIP: Final = 16 + zlib.MAX_WBITS
_ZLIB: Final = zlib.MAX_WBITS
_BARE: Final = -zlib.MAX_WBITS
_NAMES: Final = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}


class Whole:
    """Collects a body as far as it may be in memory.

    Args:
        decoder: What undoes its encoding.
        limit: How many bytes there may be.
        cut: Keep the first `limit` bytes of a longer one; it is too large otherwise.
    """

    __slots__ = ("_cut", "_decoder", "_left", "_limit", "_parts")

    def __init__(self, decoder: Decoder | None, limit: int, *, cut: bool) -> None:
        self._decoder = decoder
        self._limit = self._left = limit
        self._cut = cut
        self._parts: list[bytes] = []

    def add(self, piece: bytes) -> bool:
        """Take the next piece from the network, and say whether another one is wanted.

        Raises:
            TransportFailure: It is too much, or cannot be decompressed.
        """
        for part in (piece,) if self._decoder is None else self._decoder.pieces(piece):
            self._left -= len(part)
            if self._left < 0 and not self._cut:
                raise AnswerTooLarge(self._limit)
            self._parts.append(part if self._left >= 0 else part[: self._left])
            if self._left < 0:
                self._decoder = None
                return False
        return True

    def end(self) -> bytes:
        """Return the body.

        Raises:
            TransportFailure: It breaks off.
        """
        if self._decoder is not None:
            self._decoder.check_end()
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)


def cut(data: bytes) -> Iterator[bytes]:
    """Yield `data` in pieces; none of them is empty."""
    if len(data) <= PIECE:
        if data:
            yield data
        return
    for start in range(0, len(data), PIECE):
        yield data[start : start + PIECE]


def decoder_of(content_encoding: str) -> Decoder | None:
    """Return what undoes the encoding that the headers of an answer name, `None` if there is nothing to undo.

    Raises:
        TransportFailure: It is not one layer of gzip or deflate.
    """
    names = [name for each in content_encoding.lower().split(",") if (name := each.strip()) not in {"", "identity"}]
    if not names:
        return None
    if len(names) > 1:
        raise TransportFailure("the answer is compressed more than once, and nobody asked for that", sent=True)
    if names[0] not in _NAMES:
        raise TransportFailure("the answer is encoded in a way that nobody asked for", sent=True)
    return Decoder(_NAMES[names[0]])


class Decoder:
    """Undoes gzip, of any number of members, or deflate, with its wrapper or (as some servers send it) without.

    Args:
        name: `gzip` or `deflate`.
    """

    __slots__ = ("_begun", "_held", "_member", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._member = zlib.decompressobj(_GZIP)
        self._begun = False
        self._held: bytes = b""  # the first byte of a deflated body: two of them tell how it is wrapped

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data`, which goes on where the last one ended, stands for.

        Raises:
            TransportFailure: It stands for nothing.
        """
        if not self._begun:
            data = self._begin(data)
        piece = b""
        while data or len(piece) == PIECE:  # a full piece may have left more in the decompressor
            if self._member.eof:
                data = self._next_member(data)
                if not data:
                    return
            try:
                piece = self._member.decompress(data, PIECE)
            except zlib.error:
                raise NOT_DECODED.told() from None
            data = self._member.unused_data or self._member.unconsumed_tail
            if piece:
                yield piece

    def check_end(self) -> None:
        """Raise `TransportFailure` unless the body ended where it may end; one that never began is empty."""
        if self._held or (self._begun and not self._member.eof):
            raise TransportFailure("the answer's compressed body breaks off", sent=True)

    def _begin(self, data: bytes) -> bytes:
        if self._name == "deflate":
            data = self._held + data
            if len(data) < 2:
                self._held = data
                return b""
            self._held = b""
            wrapped = data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
            self._member = zlib.decompressobj(_ZLIB if wrapped else _BARE)
        self._begun = bool(data)
        return data

    def _next_member(self, data: bytes) -> bytes:
        """Return what `data` has for another member; what is no member either is a failure, except for padding."""
        data = data.lstrip(b"\0")
        if data and self._name != "gzip":
            raise NOT_DECODED.told()
        if data:
            self._member = zlib.decompressobj(_GZIP)
        return data
