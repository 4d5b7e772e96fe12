"""Words from strangers, made fit to be printed: no line can be forged with them, and no secret echoed."""

from __future__ import annotations

from collections.abc import Iterable


def printable(text: str) -> str:
    """Return `text` with line breaks and all that steers a terminal escaped, so that no line can be forged."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def blotted(text: str, secrets: Iterable[str]) -> str:
    """Return `text` without the secrets."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
