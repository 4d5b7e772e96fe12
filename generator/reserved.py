"""Names that generated code needs for itself: those that its templates import."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
_IMPORT = re.compile(r"^ *(?:from \S+ )?import (\([^)]*\)|[^\n(]+)$", re.MULTILINE)


@cache
def imported_by(template: str) -> frozenset[str]:
    """Return the names that the code of a template imports."""
    found = _IMPORT.findall((TEMPLATES / template).read_text(encoding="utf-8"))
    entries = [entry.strip() for names in found for entry in names.strip("()").split(",")]
    return frozenset(entry.split()[-1] for entry in entries if entry)
