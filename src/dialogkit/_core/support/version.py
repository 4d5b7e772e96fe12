"""The version of this package, which stands in `pyproject.toml` and nowhere else."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from dialogkit._core.support.lazy import LazyModule

if TYPE_CHECKING:
    from importlib import metadata
else:
    metadata = LazyModule("importlib.metadata")


@cache
def version() -> str:
    """Return the version of dialogkit, `unknown` where it is run from a bare checkout."""
    try:
        return metadata.version("dialogkit")
    except metadata.PackageNotFoundError:
        return "unknown"
