"""Texts that nobody sees by accident: also a traceback that shows local variables has them not."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, NoReturn, overload


class Secret:
    """A text that neither `repr`, `str`, formatting nor pickling shows."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    @overload
    @staticmethod
    def of(value: str | Secret) -> Secret: ...
    @overload
    @staticmethod
    def of(value: str | Secret | None) -> Secret | None: ...
    @staticmethod
    def of(value: str | Secret | None) -> Secret | None:
        """Wrap `value`, unless it is wrapped already or `None`.

        `api_key = Secret.of(api_key)` as a function's first line keeps the plain text out of tracebacks that show
        local variables.
        """
        return value if value is None or isinstance(value, Secret) else Secret(value)

    def reveal(self) -> str:
        """Return the text itself."""
        return self._value

    def fingerprint(self) -> str:
        """Return a name for this secret that does not tell it, the same in every process.

        Whoever has the name can only check guesses, which is of no use against the long random text that a key is.
        """
        return hashlib.blake2b(self._bytes(), person=b"dialogkit", digest_size=16).hexdigest()

    def _bytes(self) -> bytes:
        return self._value.encode("utf-8", "surrogatepass")

    def __eq__(self, other: object) -> bool:
        return hmac.compare_digest(self._bytes(), other._bytes()) if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied: pass the credential itself to where it is needed")


class SecretFields(dict[str, Any]):
    """A mapping, of a form or of JSON, that shows the names of its fields only."""

    def __repr__(self) -> str:
        return f"<SecretFields {', '.join(self)}>"
