"""What HoopAI refuses by itself, and the bodies of its answers."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from dialogkit.testing.engine.document import Json, is_object
from dialogkit.testing.engine.refusals import Refusal, missing

VERSIONS: Final = frozenset({"2021-04-15", "2021-07-28", "2023-02-21", "v3"})
"""What the header `Version` may say: what the references name, and what the platform's own clients send."""


def check_version(headers: Mapping[str, str]) -> None:
    """Refuse a call without a known version, as it was observed."""
    version = headers.get("version")
    if not version:
        raise Refusal(401, "version header was not found.")
    if version not in VERSIONS:
        raise Refusal(401, "version header is invalid")


def require_version(headers: Mapping[str, str]) -> None:
    """Refuse a call without any version."""
    if not headers.get("version"):
        raise missing("the header Version should not be empty")


def with_trace_id(body: Any, trace_id: str) -> Any:
    """Return a body with the id of the request, which every object has."""
    return {**body, "traceId": trace_id} if is_object(body) else body


def as_it_is(body: Any, _: str) -> Any:
    """Return a body as the handler made it."""
    return body


def body(refusal: Refusal, trace_id: str) -> Json:
    """Build the body of a refusal.

    `message` is a list with 422 only; an upload that is refused for its size or type has `status` in place of
    `statusCode`.
    """
    status, message = refusal.status, refusal.message
    if status in {413, 415}:
        return {"status": status, "message": message, "traceId": trace_id}
    body: dict[str, Any] = {"statusCode": status, "message": message, "traceId": trace_id}
    if status in {401, 403, 422} or refusal.error:
        body["error"] = refusal.error or HTTPStatus(status).phrase.replace("Content", "Entity")
    return body
