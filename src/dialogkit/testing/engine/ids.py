"""Ids that are the same in every run."""

from __future__ import annotations

import random
import string
import uuid
from typing import Final

_ALPHABET: Final = string.ascii_letters + string.digits
_ID_LENGTH: Final = 20


class Ids:
    """Mints the same ids in every run: the n-th id of a kind depends on nothing but the kind and n."""

    def __init__(self) -> None:
        self._sources: dict[str, random.Random] = {}

    def mint(self, prefix: str) -> str:
        """Return the next id of a kind: its prefix, and letters and digits up to 20 characters."""
        random_part = self._source(prefix).choices(_ALPHABET, k=_ID_LENGTH - len(prefix) - 1)
        return f"{prefix}_{''.join(random_part)}"

    def uuid(self, kind: str) -> str:
        """Return the next UUID of a kind."""
        return str(uuid.UUID(int=self._source(kind).getrandbits(128), version=4))

    def secret(self, prefix: str) -> str:
        """Return the next token of a kind, longer than an id."""
        return f"{prefix}-{''.join(self._source(prefix).choices(_ALPHABET, k=40))}"

    def _source(self, kind: str) -> random.Random:
        if kind not in self._sources:
            self._sources[kind] = random.Random(kind)  # noqa: S311 - repeatable on purpose, and guards nothing
        return self._sources[kind]
