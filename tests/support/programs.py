"""Programs that tests need and that pip cannot install.

Where one is missing, tests are skipped, but not under CI.
"""

from __future__ import annotations

import os
import shutil

import pytest


def find(*names: str, package: str) -> str:
    """Return the path of the first of these that is installed."""
    for found in filter(None, map(shutil.which, names)):
        return found
    missing = f"{names[0]} is not installed; `apt-get install {package}` has it"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)
