"""The command line: `python -m generator [VENDOR ...] [--check]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from generator.build import build
from generator.document import Document, Finding, load
from generator.facade import names_of_users
from generator.lint import lint
from generator.parse import parse
from generator.prose import in_users_words
from generator.render import render
from generator.write import changed_files, format_files, write_files


def generate(document: Document, configuration: Path, names: Mapping[str, str]) -> tuple[dict[str, str], list[Finding]]:
    """Make the modules of a document, or find what is wrong with it; never both.

    Args:
        document: As it was read.
        configuration: The project's `pyproject.toml`, which says how code is formatted.
        names: What users write for the operations, by their ids.
    """
    findings = lint(document)
    if findings:
        return {}, findings
    parsed, findings = parse(in_users_words(document, names), names)
    if parsed is None:
        return {}, findings
    return format_files(render(parsed.document, build(parsed)), configuration), []


def main(arguments: Sequence[str] | None = None, *, root: Path | None = None) -> int:
    """Run the command below `root`, and return its exit status."""
    options = _parser().parse_args(arguments)
    root = Path.cwd() if root is None else root
    vendors = options.vendors or sorted(path.stem for path in (root / "openapi").glob("*.yaml"))
    outputs: dict[Path, dict[str, str]] = {}
    failed = False
    for vendor in vendors:
        name = f"openapi/{vendor}.yaml"
        if not (root / name).is_file():
            _say(f"{name} does not exist.", sys.stderr)
            failed = True
            continue
        document = load(root / name, name)
        folder = root / "src" / "dialogkit" / vendor
        files, findings = generate(document, root / "pyproject.toml", names_of_users(folder))
        for finding in findings:
            _say(document.describe(finding), sys.stderr)
        failed = failed or bool(findings)
        outputs[folder / "_generated"] = files
    if failed:
        return 1
    return _check(outputs, root) if options.check else _write(outputs, root)


def _say(line: str, stream: TextIO | None = None) -> None:
    (stream or sys.stdout).write(f"{line}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m generator", description=__doc__)
    parser.add_argument("vendors", metavar="VENDOR", nargs="*", help="a document's name; every document unless given")
    parser.add_argument("--check", action="store_true", help="write nothing; name what would change and exit with 1")
    return parser


def _check(outputs: dict[Path, dict[str, str]], root: Path) -> int:
    changed = [folder / name for folder, files in outputs.items() for name in changed_files(files, folder)]
    for path in changed:
        _say(f"{path.relative_to(root).as_posix()} is not what its document says: run `make generate`.")
    return 1 if changed else 0


def _write(outputs: dict[Path, dict[str, str]], root: Path) -> int:
    for folder, files in outputs.items():
        changed = write_files(files, folder)
        _say(f"{folder.relative_to(root).as_posix()}: {len(files)} files, {len(changed)} changed")
    return 0
