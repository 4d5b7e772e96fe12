"""The credentials that a request carries, which nobody may be shown."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl

from dialogkit._core.http.transport import Request

READ: Final = 16_384
"""Bytes of a body that are looked at."""
_SHORTEST_SECRET: Final = 8
"""Shorter credentials (in tests, for example) are words that an answer may use by chance."""
_CREDENTIALS: Final = ("authorization", "x-api-key", "proxy-authorization", "cookie")
_FORM: Final = "application/x-www-form-urlencoded"
_SECRET_FIELDS: Final = frozenset({"client_secret", "code", "code_verifier", "refresh_token"})
"""Of a form that OAuth sends."""
_SECRET_TEXTS: Final = re.compile(
    rb'"(?:\w*(?:token|secret|password)|authenticationValue)"\s*:\s*"((?:[^"\\]|\\.)*)"', re.IGNORECASE
)
"""Of a JSON body: tokens of third parties, and what webhooks are signed with."""


def secrets_of(request: Request) -> tuple[str, ...]:
    """Return what must not be shown: the credentials of `request`, with and without their schemes, and in a form."""
    values = (request.headers.get(name, "") for name in _CREDENTIALS)
    texts = [text for value in values if value for text in (value, value.partition(" ")[2])]
    if request.headers.get("content-type") == _FORM:
        fields = parse_qsl((content_of(request) or b"").decode("utf-8", "replace"))
        texts += [value for name, value in fields if name in _SECRET_FIELDS]
    elif request.headers.get("content-type") == "application/json":
        found = _SECRET_TEXTS.findall((content_of(request) or b"")[:READ])
        texts += [each.decode("utf-8", "replace") for each in found]
    return tuple(text for text in texts if len(text) >= _SHORTEST_SECRET)


def content_of(request: Request) -> bytes | None:
    """Return the body of `request`, or `None` if it is read while it is sent."""
    content = b"" if request.content is None else request.content
    return content if isinstance(content, bytes) else None
