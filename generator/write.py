"""Formats rendered modules, and writes all of them or none."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path


class FormattingError(Exception):
    """ruff could not make sense of rendered code: a fault of the templates."""


def format_files(files: dict[str, str], configuration: Path) -> dict[str, str]:
    """Sort imports, drop those that are not needed, and format, with the project's own configuration."""
    with tempfile.TemporaryDirectory() as name:
        # As deep as the real place, so that per-file rules of the configuration apply.
        folder = Path(name, "src", "dialogkit", "vendor", "_generated")
        folder.mkdir(parents=True)
        for file, text in files.items():
            (folder / file).write_text(text, encoding="utf-8", newline="\n")
        common = ["--no-cache", "--quiet", "--config", str(configuration), str(folder)]
        _ruff("check", "--fix", "--select", "F401,I,RUF022", *common)
        _ruff("format", *common)
        return {file: (folder / file).read_text(encoding="utf-8") for file in files}


def _ruff(*arguments: str) -> None:
    command = [sys.executable, "-m", "ruff", *arguments]
    # In a folder of its own: a generated module may be called as a standard one is.
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tempfile.gettempdir())  # noqa: S603
    if done.returncode:
        raise FormattingError((done.stdout + done.stderr).strip())


def changed_files(files: dict[str, str], folder: Path) -> list[str]:
    """Name the files that writing would create, change or remove."""
    present = {path.name for path in folder.glob("*.py")}
    changed = {name for name, text in files.items() if name not in present or _read(folder / name) != text}
    return sorted(changed | (present - set(files)))


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="replace")


def write_files(files: dict[str, str], folder: Path) -> list[str]:
    """Write what differs, remove what is stale, and name both."""
    changed = changed_files(files, folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in changed:
        if name in files:
            (folder / name).write_text(files[name], encoding="utf-8", newline="\n")
        else:
            (folder / name).unlink()
    return changed
