"""One way to decode a body, whatever a stranger has put into it or named as its charset."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialogkit._core.response import APIResponse, ResponseInfo
from dialogkit._core.support.json import charset_of, json_of, text_of

WORDS = '{"name":"Jürgen Müller"}'
ODD_NAMES = [
    "idna", "undefined", "punycode", "unicode_escape", "raw_unicode_escape", "utf-7", "hex", "rot13", "mbcs", "oem",
    "x" * 3000, "a\x01b", "utf-8\x7f", "..", "../x", "os", "ut\xe9", "iso-8859-12", "", '"', ";",
]  # fmt: skip


def answer(content: bytes, kind: str) -> APIResponse:
    headers: Mapping[str, str] = {"content-type": kind}
    return APIResponse(ResponseInfo(status=200, headers=headers, request_id=None, attempts=1, elapsed=0.0), content)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (WORDS.encode(), "application/json"),
        (WORDS.encode(), "application/json; charset=UTF-8"),
        (WORDS.encode("utf-8-sig"), "application/json"),
        (WORDS.encode("iso-8859-1"), "application/json;charset=ISO-8859-1"),
        (WORDS.encode("cp1252"), 'application/json; charset="windows-1252"; q=1'),
        (WORDS.encode("utf-16"), "application/json"),
        (WORDS.encode("utf-16-be"), "application/json; charset=utf-16be"),
    ],
)
def test_a_body_is_read_in_its_charset(content: bytes, kind: str) -> None:
    read = answer(content, kind)
    assert read.json() == {"name": "Jürgen Müller"}
    assert json.loads(read.text) == {"name": "Jürgen Müller"}


def test_json_needs_no_mark_and_no_name() -> None:
    assert json_of(WORDS.encode("utf-16-le")) == {"name": "Jürgen Müller"}
    assert json_of(WORDS.encode("utf-32-be")) == {"name": "Jürgen Müller"}


@pytest.mark.parametrize("name", ODD_NAMES, ids=lambda name: ascii(name[:12]))
def test_a_name_that_is_no_charset_is_passed_over(name: str) -> None:
    before = set(sys.modules)
    read = answer(b'"caf\xe9 \\\\d xn--zz\xff"', f"text/html; charset={name}")
    assert read.text == '"caf� \\\\d xn--zz�"'
    assert read.json() == "caf� \\d xn--zz�"
    assert set(sys.modules) <= before | {"encodings.utf_8_sig"}


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b'"cut \\ud83d"', "cut \ufffd"),
        (b'"cut \\uDE00 \\ud83d\\ude00 \\\\ud83d"', "cut \ufffd \U0001f600 \\ud83d"),
        (b"9" * 5_000, "9" * 5_000),
    ],
)
def test_what_loses_only_a_character_is_json(content: bytes, value: object) -> None:
    assert answer(content, "application/json").json() == value


@pytest.mark.parametrize("content", [b"", b"<html>", b"[" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000])
def test_what_is_not_json_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|deeply"):
        answer(content, "application/json").json()


@given(st.binary(max_size=80), st.text(max_size=20) | st.sampled_from(["utf-16", "utf-32", "gb18030", "utf-8"]))
@settings(deadline=None)
def test_no_body_and_no_name_ends_in_another_error(content: bytes, name: str) -> None:
    charset = charset_of({"content-type": f"text/plain; charset={name}"})
    assert isinstance(text_of(content, charset), str)
    try:
        json_of(content, charset)
    except ValueError:
        return
