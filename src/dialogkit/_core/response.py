"""What stands behind a result: the facts of its exchange, and the whole answer as `client.request()` returns it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dialogkit._core.support.json import charset_of, json_of, text_of


@dataclass(frozen=True, kw_only=True)
class ResponseInfo:
    """The exchange behind a result."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Response headers; names are matched without regard to case."""
    request_id: str | None
    """The platform's id of this request, for support tickets."""
    attempts: int
    """How often the request was sent, 1 when the first attempt succeeded."""
    elapsed: float
    """Seconds from the call to its result, waits and repeated attempts included."""


def response_info(result: object) -> ResponseInfo:
    """Return status, headers, request id, attempts and elapsed time behind a returned model, page or response.

    Raises `TypeError` for anything that no call returned, such as a model nested in another, a plain string or a list.
    """
    info = getattr(result, "_response_info", None)
    if not isinstance(info, ResponseInfo):
        raise TypeError(
            f"response_info() knows models, pages and responses that a call returned, not this {type(result).__name__}"
        )
    return info


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
        """The body as text, in the charset that the answer names, UTF-8 unless it does; never an error."""
        return text_of(self.content, charset_of(self.headers))

    def json(self) -> Any:
        """Return the body, decoded as JSON, as leniently as models are read.

        Raises:
            ValueError: It is not JSON.
        """
        return json_of(self.content, charset_of(self.headers))

    def __repr__(self) -> str:
        return f"<APIResponse {self.status}: {len(self.content)} bytes>"
