"""Refusals, which are what the sandbox answers instead of a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


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


def strangers(*names: str) -> Refusal:
    """Refuse parameters and properties that nobody has asked for: 422."""
    return wrong(*(f"{path}property {name} should not exist" for path, name in map(_split, names)))


def _split(name: str) -> tuple[str, str]:
    path, dot, last = name.rpartition(".")
    return path + dot, last


def not_found(kind: str, id_: str) -> Refusal:
    """Refuse an id that is unknown, or out of this credential's reach: 404."""
    return Refusal(404, f"There is no {kind} with the id {id_!r}.")


def one_text(refusal: Refusal) -> str:
    """Return the message of a refusal as one sentence."""
    return refusal.message if isinstance(refusal.message, str) else "; ".join(refusal.message)
