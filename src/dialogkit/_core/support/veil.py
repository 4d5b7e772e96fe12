"""Values whose names say that they are secret, hidden wherever a person or a log may see them."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from dialogkit._core.support.json import is_array, is_object

HIDDEN: Final = "***"
_DEEPEST: Final = 20

_SECRET: Final = re.compile(r"token|secret|passw|passphrase|credential|authorization|apikey|(?:^|_)(?:key|pwd)s?(_|$)")
_A_COUNT: Final = re.compile(r"tokens")
_WORD_STARTS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_MEMBER: Final = re.compile(
    rb"""("(?P<name>[^"\\]{1,100})"\s*:\s*)(?:"(?:[^"\\]|\\.)*(?:"|$)|-?[0-9][0-9.eE+-]*|\[[^][{}]*(?:\]|$))"""
)


def is_secret_name(name: str) -> bool:
    """Say whether a name is that of a secret: it has the words token, secret, password or key in it, or the like."""
    return _SECRET.search(_words(name)) is not None


def veiled(name: str, value: object, depth: int = 0) -> Any:
    """Return `value` as it may be shown: `***` if its name is that of a secret, and so at any depth."""
    if _hides(name, value) or depth > _DEEPEST:
        return HIDDEN
    if is_object(value):
        return {key: veiled(str(key), each, depth + 1) for key, each in value.items()}
    if is_array(value):
        return [veiled("", each, depth + 1) for each in value]
    return value


def veiled_body(content: bytes) -> bytes:
    """Return a body of JSON, or of something like it, with the values of secrets in it hidden."""
    try:
        value: object = json.loads(content)
        shown = veiled("", value)
        return content if shown == value else json.dumps(shown).encode()
    except (ValueError, RecursionError):
        return _MEMBER.sub(_veil_member, content)


def _hides(name: str, value: object) -> bool:
    if not name or value is None or isinstance(value, bool) or not is_secret_name(name):
        return False
    return not (isinstance(value, int | float) and _A_COUNT.search(_words(name)))


def _words(name: str) -> str:
    return _WORD_STARTS.sub("_", name[:200]).lower().replace("-", "_")


def _veil_member(match: re.Match[bytes]) -> bytes:
    name = match["name"].decode("utf-8", "replace")
    return match[1] + json.dumps(HIDDEN).encode() if is_secret_name(name) else match[0]
