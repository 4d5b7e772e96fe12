"""Counts the machine instructions that a program executes: the same number, or nearly, however busy the machine is.

    counted = count("tests.performance.calls", folder=folder)

The program calls `await_counting()` when it is prepared: until then it runs ten times as fast. It divides what follows
into sections by calling `os.getppid()`, which nothing else calls: callgrind waits for that function of the C library.
Needs the program `valgrind`.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE

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
    """What a program printed, and all that it executed while it was counted."""

    output: str
    sections: Sequence[Section]


def await_counting() -> None:
    """Return when instructions are counted, from a program that `count` runs."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    # Only a busy program takes commands everywhere: a waiting one has to be traced for it, which may be forbidden.
    while not select.select([sys.stdin], [], [], 0)[0]:
        pass


def count(module: str, *arguments: str, folder: Path) -> Counted:
    """Run a module of these tests; `folder` gets a dump of each section."""
    dumps = folder / "callgrind.out"
    # Compressed, a dump would abbreviate names that only an earlier one has spelled out.
    options = ["--dump-before=getppid", "--compress-strings=no", f"--callgrind-out-file={dumps}"]
    tool = [_program("valgrind"), "--tool=callgrind", "--instr-atstart=no", *options]
    command = [*tool, sys.executable, "-m", module, *arguments]
    environment = os.environ | {"PYTHONHASHSEED": "0"}  # so that every dict and set has the same collisions each time
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as run:
        assert run.stdout is not None
        if run.stdout.readline():
            switched = [_program("callgrind_control"), "--instr=on", str(run.pid)]
            subprocess.run(switched, capture_output=True, check=True)
        output, errors = run.communicate("go\n")
    assert run.returncode == 0, f"{module} ended with {run.returncode}:\n{errors}"
    numbered = sorted(folder.glob("callgrind.out.*"), key=lambda path: int(path.suffix[1:]))
    return Counted(output, [_section(dump) for dump in (*numbered, dumps)])


def _program(name: str) -> str:
    return programs.find(name, package="valgrind")


def _section(dump: Path) -> Section:
    text = dump.read_text()
    # callgrind_annotate takes functions that were not called in a section, but before it, for all that is executed.
    dump.write_text(text.replace("\ncalls=0 ", "\ncalls=1 "))
    (total,) = _TOTAL.findall(text)
    return Section(int(total), dump)
