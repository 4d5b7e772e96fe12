"""Calls that no document describes, as `client.request()` makes them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable
from typing import Any

from dialogkit._core.call import OMIT, Operation, RetrySafety
from dialogkit._core.codec.arguments import invalid
from dialogkit._core.codec.text import checked_path
from dialogkit._core.response import APIResponse
from dialogkit._core.sending.encoding import RawBody

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_IDEMPOTENT_METHODS = frozenset({"PUT", "DELETE"})


def operation_of(method: str, path: str, *, retry: RetrySafety | None, authenticated: bool) -> Operation[APIResponse]:
    """Return what the user asks for as an operation.

    Raises:
        InvalidArgumentError: The method is no method, or the path is no path.
    """
    return Operation(
        id="request",
        method=_checked_method(method),
        path=checked_path("request", path),
        retry=retry or _safety_of(method.upper()),
        answer="raw",
        authenticated=authenticated,
    )


def body_of(json: Any, content: bytes | str | AsyncIterable[bytes] | None) -> Any:
    """Return the one of the two that is given.

    Raises:
        InvalidArgumentError: Both are.
    """
    if content is None:
        return json
    if json is not OMIT:
        raise invalid("request", "content", "cannot be given together with json")
    return RawBody(content.encode() if isinstance(content, str) else content)


def _checked_method(method: object) -> str:
    if not isinstance(method, str) or not re.fullmatch("[A-Za-z]+", method):
        raise invalid("request", "method", "should be an HTTP method such as GET")
    return method.upper()


def _safety_of(method: str) -> RetrySafety:
    if method in _SAFE_METHODS:
        return "safe"
    return "idempotent" if method in _IDEMPOTENT_METHODS else "never-after-sent"
