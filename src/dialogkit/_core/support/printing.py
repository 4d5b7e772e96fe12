"""Words from strangers, made fit to be printed: no line can be forged with them, and no secret echoed.

An echo may be spelled in another way than what was sent: quoted for a URL, escaped for JSON or HTML, in capitals, in
UTF-16 that was read as something else, in base64 or hex. So a text is read as such a reader would, with a note of where
each character stood, and the secrets are looked for in that. Letters are compared without their case.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

BLOT: Final = "***"
_SHORTEST: Final = 4
"""Shorter secrets keep nothing secret: each second word has them in it."""
_SHORT: Final = 8
"""Shorter ones are only looked for as words of their own."""
_ESCAPED: Final = re.compile(
    r"%(?:25)*([0-9a-f]{2})|\\+(?:(?:u00|x)([0-9a-f]{2}))?|&#(?:([0-9]{2,3})|x([0-9a-f]{2}));|\0", re.IGNORECASE
)
"""A character of ASCII in an escaped form; backslashes, which are passed over, and what is left of UTF-16.

A run of backslashes matches whatever follows it: were it tried again from each of them, a long one would take for ever.
"""


def printable(text: str) -> str:
    """Return `text` with line breaks and all that steers a terminal escaped, so that no line can be forged."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def blotted(text: str, secrets: Iterable[str]) -> str:
    """Return `text` without the secrets, however they are spelled in it."""
    secrets = tuple(secrets)
    for secret in secrets:
        if len(secret) >= _SHORT:
            text = text.replace(secret, BLOT)  # whatever stands around it, and makes another escape of its beginning
    needles = _needles_of(secrets)
    plain = _unescaped(text) if needles else text
    folded = _folded(plain)
    spans = sorted(span for needle in needles for span in needle.spans(plain if needle.exact else folded))
    if not spans:
        return text
    if plain is not text:
        places = _places(text)
        spans = [(places[start], places[end]) for start, end in spans]
    return _without(text, spans)


def may_show(text: str, secrets: tuple[str, ...]) -> bool:
    """Say whether any of the secrets is in `text`, however it is spelled: quick, and never wrongly no."""
    needles = _needles_of(secrets)
    if not needles:
        return False
    plain = _unescaped(text)
    folded = _folded(plain)
    for secret in secrets:
        if secret in text:
            return True
    return any(needle.text in (plain if needle.exact else folded) for needle in needles)


class _Needle(NamedTuple):
    text: str
    exact: bool
    """Whether case matters."""
    word: bool
    """Whether it counts only as a word of its own."""

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where it begins and ends in `text`."""
        start = text.find(self.text)
        while start >= 0:
            end = start + len(self.text)
            if not (self.word and (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum())):
                yield start, end
            start = text.find(self.text, end)


@lru_cache(maxsize=64)
def _needles_of(secrets: tuple[str, ...]) -> list[_Needle]:
    """Return what to look for; one that has another in it is found with that."""
    known = [secret for secret in secrets if len(secret) >= _SHORTEST]
    least = [secret for secret in known if not any(other in secret and other != secret for other in known)]
    return [needle for secret in dict.fromkeys(least) for needle in _needles(secret)]


def _needles(secret: str) -> tuple[_Needle, ...]:
    """Return what to look for: the secret, and what is left of it whatever stands around it in base64."""
    if len(secret) < _SHORT:
        return (_Needle(_folded(secret), exact=False, word=True),)
    raw = secret.encode("utf-8", "surrogatepass")
    encoded = {
        coded[-(-8 * shift // 6) : 8 * (shift + len(raw)) // 6].decode("ascii")
        for shift in range(3)
        for encode in (base64.b64encode, base64.urlsafe_b64encode)
        for coded in (encode(b"\0" * shift + raw),)
    }
    return (
        *(_Needle(text, exact=False, word=False) for text in dict.fromkeys((_folded(_unescaped(secret)), raw.hex()))),
        *(_Needle(text, exact=True, word=False) for text in sorted(encoded)),
    )


_CAPITALS: Final = {ord(capital): capital.lower() for capital in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def _folded(text: str) -> str:
    """Return `text` in small letters, as long as it was: in full Unicode, lower case may be longer."""
    return text.lower() if text.isascii() else text.translate(_CAPITALS)


def _unescaped(text: str) -> str:
    """Return `text` as a reader takes it who undoes escapes; the same object where there are none."""
    if "%" in text or "\\" in text or "&#" in text or "\0" in text:
        return _ESCAPED.sub(_letter, text)
    return text


def _letter(match: re.Match[str]) -> str:
    hexadecimal = match[1] or match[2] or match[4]
    if hexadecimal:
        return chr(int(hexadecimal, 16))
    return chr(int(match[3])) if match[3] else ""


def _places(text: str) -> list[int]:
    """Return where in `text` each character of the same without escapes begins, and where it all ends."""
    places: list[int] = []
    end = 0
    for match in _ESCAPED.finditer(text):
        places += range(end, match.start())
        places += [match.start()] * len(_letter(match))
        end = match.end()
    places += range(end, len(text) + 1)
    return places


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    kept: list[str] = []
    end = 0
    for start, stop in spans:
        if start >= end:
            kept += (text[end:start], BLOT)
        end = max(end, stop)
    return "".join([*kept, text[end:]])
