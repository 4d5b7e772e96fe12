"""A whole answer, as `client.request()` returns it."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import Message
from typing import Any

from pydantic_core import from_json

from dialogkit._core.models import ResponseInfo


class APIResponse:
    """An answer as it came: status, headers and body."""

    __slots__ = ("_response_info", "content")

    content: bytes
    """The body."""

    def __init__(self, info: ResponseInfo, content: bytes) -> None:
        self._response_info = info
        self.content = content

    @property
    def info(self) -> ResponseInfo:
        """Status, headers, request id, attempts and elapsed time; what `response_info()` returns."""
        return self._response_info

    @property
    def status(self) -> int:
        """The HTTP status; always a success, since others are raised."""
        return self._response_info.status

    @property
    def headers(self) -> Mapping[str, str]:
        """Response headers; names are matched without regard to case."""
        return self._response_info.headers

    @property
    def text(self) -> str:
        """The body as text, in the charset that the answer names, UTF-8 unless it does."""
        try:
            return self.content.decode(charset_of(self.headers) or "utf-8", "replace")
        except LookupError:
            return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body, decoded as JSON.

        Raises:
            ValueError: It is not JSON.
        """
        return from_json(self.content)

    def __repr__(self) -> str:
        return f"<APIResponse {self.status}: {len(self.content)} bytes>"


def charset_of(headers: Mapping[str, str]) -> str | None:
    """Return the charset that the headers of an answer name."""
    media = Message()
    media["content-type"] = headers.get("content-type", "")
    return media.get_content_charset()
