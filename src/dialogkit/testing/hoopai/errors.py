"""The bodies of HoopAI's refusals."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from dialogkit.testing.engine.document import Json
from dialogkit.testing.engine.refusals import Refusal


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
