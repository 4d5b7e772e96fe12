"""Refusals, which are what the sandbox answers instead of a result; and what it raises itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from dialogkit.testing.document import Json


class SandboxError(RuntimeError):
    """The sandbox could not start or stop, or was caught doing something that it must not do."""


class Refusal(Exception):  # noqa: N818 - it is an answer, not an error of the sandbox
    """Ends the handling of a request with an error status.

    Args:
        status: HTTP status.
        message: One sentence, or several where the platform gives a list.
        headers: Headers beyond the usual ones.
        error: The `error` of the body, where it is not the name of the status.

    """

    def __init__(
        self,
        status: int,
        message: str | Sequence[str],
        *,
        headers: Mapping[str, str] | None = None,
        error: str | None = None,
    ) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})
        self.error = error


def missing(*problems: str) -> Refusal:
    """Refuse a request that lacks something, or that cannot be read: 400."""
    return Refusal(400, "; ".join(problems))


def wrong(*problems: str) -> Refusal:
    """Refuse a request that can be read but makes no sense: 422."""
    return Refusal(422, list(problems))


def not_found(kind: str, id_: str) -> Refusal:
    """Refuse an id that is unknown, or out of this credential's reach: 404."""
    return Refusal(404, f"There is no {kind} with the id {id_!r}.")


def hoopai_body(refusal: Refusal, trace_id: str) -> Json:
    """Build the body of a refusal as HoopAI does.

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


def hoverbot_body(refusal: Refusal, _: str) -> Json:
    """Build the body of a refusal for HoverBot, which documents none."""
    return {"message": _one_text(refusal)}


def convoai_body(refusal: Refusal, _: str) -> Json:
    """Build the body of a refusal for ConvoAI, which documents none."""
    return {"detail": _one_text(refusal)}


def _one_text(refusal: Refusal) -> str:
    return refusal.message if isinstance(refusal.message, str) else "; ".join(refusal.message)
