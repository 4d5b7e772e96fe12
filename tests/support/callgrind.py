"""Counts the machine instructions that a program executes: the same number, or nearly, however busy the machine is.

    counted = count("tests.performance.calls", folder=folder)

The program divides itself into sections by calling `os.getppid()`, which nothing else calls: callgrind waits for that
function of the C library. Needs the program `valgrind`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import programs

ROOT = Path(__file__).resolve().parents[2]
_TOTAL = re.compile(r"^totals: (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Section:
    """What was executed from one call of `os.getppid()` to the next."""

    instructions: int
    dump: Path
    """What `callgrind_annotate` shows of it."""


@dataclass(frozen=True)
class Counted:
    """What a program printed, and all that it executed."""

    output: str
    sections: Sequence[Section]


def count(module: str, *arguments: str, folder: Path) -> Counted:
    """Run a module of these tests; `folder` gets a dump of each section."""
    dumps = folder / "callgrind.out"
    tool = [programs.find("valgrind", package="valgrind"), "--tool=callgrind", "--dump-before=getppid"]
    environment = os.environ | {"PYTHONHASHSEED": "0"}  # so that every dict and set has the same collisions each time
    command = [*tool, f"--callgrind-out-file={dumps}", sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{module} ended with {done.returncode}:\n{done.stderr}"
    numbered = sorted(folder.glob("callgrind.out.*"), key=lambda path: int(path.suffix[1:]))
    return Counted(done.stdout, [Section(_total(path), path) for path in (*numbered, dumps)])


def _total(dump: Path) -> int:
    (total,) = _TOTAL.findall(dump.read_text())
    return int(total)
