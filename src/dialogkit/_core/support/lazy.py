"""What is dear to load, and loaded only when it is needed.

Making a client takes words, settings and limits, and no more. The libraries that send and validate, and the generated
models, stand behind a `LazyModule` wherever a module that a client is made of needs them:

    if TYPE_CHECKING:
        import httpx
    else:
        httpx = LazyModule("httpx")

Annotations stay true for type checkers and for `typing.get_type_hints()`, which loads what they name.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class LazyModule:
    """A module that is imported when its first attribute is asked for."""

    __slots__ = ("_module", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._module: Any = None

    def __getattr__(self, attribute: str) -> Any:
        if self._module is None:
            self._module = import_module(self._name)
        return getattr(self._module, attribute)

    def __repr__(self) -> str:
        return f"<lazy module {self._name!r}>"
