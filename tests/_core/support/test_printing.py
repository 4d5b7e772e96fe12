"""Words from strangers: no line is forged with them, and no secret echoed, however it is spelled."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogkit._core.support.printing import blotted, may_show, printable

KEY = "sk-live/0123456789+abc="

SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "capitals": str.upper,
    "URL": lambda key: quote(key, safe=""),
    "URL, small letters": lambda key: quote(key, safe="").lower(),
    "URL, twice": lambda key: quote(quote(key, safe=""), safe=""),
    "URL, all of it": lambda key: "".join(f"%{ord(each):02x}" for each in key),
    "JSON": lambda key: "".join(f"\\u{ord(each):04x}" for each in key),
    "JSON of PHP": lambda key: key.replace("/", "\\/"),
    "JSON in JSON": lambda key: "".join(f"\\\\u{ord(each):04X}" for each in key),
    "Python": lambda key: "".join(f"\\x{ord(each):02x}" for each in key),
    "HTML": lambda key: "".join(f"&#{ord(each)};" for each in key),
    "HTML, hex": lambda key: "".join(f"&#x{ord(each):X};" for each in key),
    "UTF-16 read as UTF-8": lambda key: key.encode("utf-16-le").decode("utf-8"),
    "hex": lambda key: key.encode().hex(),
    "a part escaped": lambda key: key[:9] + quote(key[9:], safe=""),
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_an_echo_is_blotted_out_however_it_is_spelled(spell: Callable[[str], str]) -> None:
    text = f"bad key: {spell(KEY)} (of %41 \\u0042)"
    shown = blotted(text, ["Bearer " + KEY, KEY])
    assert shown.replace("\0", "") == "bad key: *** (of %41 \\u0042)"
    assert may_show(text, (KEY,))


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", [b"", b"u:", b"user:", b"you:"])
def test_basic_credentials_are_blotted_out(before: bytes, encode: Callable[[bytes], bytes]) -> None:
    text = encode(before + KEY.encode() + b":and more").decode()
    shown = blotted(text, [KEY])
    assert "***" in shown
    for part in shown.split("***"):  # what is left tells of no more than a letter at either end
        assert not any(KEY[at : at + 3].encode() in base64.b64decode(part[: len(part) // 4 * 4]) for at in range(20))


@given(st.text(), st.text(), st.text(min_size=8).filter(lambda text: "*" not in text))
def test_nothing_else_is_touched(before: str, after: str, secret: str) -> None:
    shown = blotted(before + secret + after, [secret])
    assert secret not in shown or secret in "***"
    if not may_show(before + after, (secret,)) and not {"%", "\\", "&", "\0"} & set(before + after + secret):
        assert shown.startswith(before[: len(before) - len(secret)])
        assert shown.endswith(after[len(secret) :])


def test_short_secrets_are_words_of_their_own() -> None:
    assert blotted("a bad apple", ["a", "ba"]) == "a bad apple"
    assert blotted("secretive: secret, SECRET!", ["secret"]) == "secretive: ***, ***!"


def test_overlapping_secrets_leave_nothing_between() -> None:
    assert blotted("Bearer 0123456789 01234567", ["Bearer 0123456789", "0123456789", "01234567"]) == "*** ***"


def test_nothing_steers_a_terminal() -> None:
    assert printable("x\n2026 CRITICAL\x1b[2J\x07\u202e\u2028") == "x\\n2026 CRITICAL\\x1b[2J\\x07\\u202e\\u2028"
    assert printable("Grüße, 你好") == "Grüße, 你好"


def test_no_text_is_looked_at_more_often_than_it_is_long() -> None:
    """A run of marks is passed over at once: were it tried from each place, these would take minutes."""
    for mark in ("\\", "%", "%25", "&#", "\0", "&#1", "\\x", "%2"):
        text = mark * (100_000 // len(mark))
        assert not may_show(text, (KEY,))
        assert blotted(text, [KEY]) == text
