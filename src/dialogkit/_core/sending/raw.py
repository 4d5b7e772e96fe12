"""Calls that no document describes, as `client.request()` makes them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, cast

from dialogkit._core.call import OMIT, Operation, RetrySafety
from dialogkit._core.codec.arguments import invalid
from dialogkit._core.codec.text import checked_path
from dialogkit._core.errors import InvalidArgumentError
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
    return RawBody(_sendable(content))


def _sendable(content: object) -> bytes | AsyncIterable[bytes]:
    if isinstance(content, str):
        try:
            return content.encode()
        except UnicodeEncodeError:
            fault = "should be valid Unicode"
        raise invalid("request", "content", fault)
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(cast("bytes", content))
    if isinstance(content, AsyncIterable):
        return _pieces(cast("AsyncIterable[object]", content))
    raise invalid(
        "request",
        "content",
        f"should be bytes, text, or an asynchronous iterable of bytes, not a value of type {type(content).__name__}",
    )


async def _pieces(content: AsyncIterable[object]) -> AsyncIterator[bytes]:
    async for piece in content:
        if not isinstance(piece, bytes | bytearray | memoryview):
            raise InvalidArgumentError(
                f"request: content yields values of type {type(piece).__name__}, and should yield bytes. The request "
                "was broken off before its end; correct the arguments.",
                operation="request",
                argument="content",
            )
        yield bytes(cast("bytes", piece))


def _checked_method(method: object) -> str:
    if not isinstance(method, str) or not re.fullmatch("[A-Za-z]+", method):
        raise invalid("request", "method", "should be an HTTP method such as GET")
    return method.upper()


def _safety_of(method: str) -> RetrySafety:
    if method in _SAFE_METHODS:
        return "safe"
    return "idempotent" if method in _IDEMPOTENT_METHODS else "never-after-sent"
