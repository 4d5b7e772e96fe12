"""The command line: what it writes, what it removes, and when it writes nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from generator.cli import main
from tests.generator.conftest import ROOT, make_project

MINIMAL = """
openapi: 3.1.0
info: {title: Zoo, version: '1'}
security: [{bearer: []}]
tags: [{name: pets, description: Animals.}]
paths:
  /pets/{petId}:
    get:
      operationId: get_pet
      tags: [pets]
      summary: Get a pet.
      parameters:
        - {name: petId, in: path, required: true, description: Its id., schema: {type: string}}
      responses:
        '200':
          description: The pet.
          content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}
components:
  securitySchemes: {bearer: {type: http, scheme: bearer}}
  schemas:
    Pet:
      type: object
      description: A pet.
      properties:
        name: {type: string}
"""
FILES = {"__init__.py", "models.py", "pets.py"}


def generated(root: Path, vendor: str = "zoo") -> Path:
    return root / "src" / "dialogkit" / vendor / "_generated"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_every_document_is_generated_unless_one_is_named(tmp_path: Path) -> None:
    make_project(tmp_path, MINIMAL)
    make_project(tmp_path, MINIMAL, "farm")
    assert main(["farm"], root=tmp_path) == 0
    assert not generated(tmp_path).exists()
    assert main([], root=tmp_path) == 0
    assert names(generated(tmp_path)) == names(generated(tmp_path, "farm")) == FILES


@pytest.mark.parametrize("name", ["list", "type", "filter", "next", "id", "print", "str"])
def test_operations_may_be_called_as_builtins_are(name: str, tmp_path: Path) -> None:
    make_project(tmp_path, MINIMAL.replace("get_pet", name))
    assert main([], root=tmp_path) == 0
    assert f"async def {name}(" in (generated(tmp_path) / "pets.py").read_text()


def test_names_that_differ_in_signs_only_are_told_apart(tmp_path: Path) -> None:
    names = "'+1': {type: integer, x-python-name: plus}, '-1': {type: integer, x-python-name: minus}"
    operators = "$gt: {type: string, x-python-name: above}, '<': {type: string, x-python-name: below}"
    text = MINIMAL.replace("        name: {type: string}\n", f"        {{{names}, {operators}}}\n")
    assert text != MINIMAL
    make_project(tmp_path, text)
    assert main([], root=tmp_path) == 0
    made = (generated(tmp_path) / "models.py").read_text()
    for python, wire in (("plus", "+1"), ("minus", "-1"), ("above", "$gt"), ("below", "<")):
        assert re.search(rf'{python}: .*Field\(default=None, validation_alias="{re.escape(wire)}"', made)


def test_stale_files_go_and_others_are_left_alone(tmp_path: Path) -> None:
    make_project(tmp_path, MINIMAL)
    main([], root=tmp_path)
    (generated(tmp_path) / "old.py").write_text("")
    before = (generated(tmp_path) / "pets.py").stat().st_mtime_ns
    assert main([], root=tmp_path) == 0
    assert names(generated(tmp_path)) == FILES
    assert (generated(tmp_path) / "pets.py").stat().st_mtime_ns == before


def test_check_names_what_would_change_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_project(tmp_path, MINIMAL)
    assert main(["--check"], root=tmp_path) == 1
    assert not generated(tmp_path).exists()
    main([], root=tmp_path)
    capsys.readouterr()
    assert main(["--check"], root=tmp_path) == 0
    (generated(tmp_path) / "pets.py").write_text("pass\n")
    (generated(tmp_path) / "old.py").write_text("")
    (generated(tmp_path) / "models.py").unlink()
    capsys.readouterr()
    assert main(["--check"], root=tmp_path) == 1
    named = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    folder = "src/dialogkit/zoo/_generated"
    assert named == [f"{folder}/models.py", f"{folder}/old.py", f"{folder}/pets.py"]
    assert (generated(tmp_path) / "pets.py").read_text() == "pass\n"


def test_one_bad_document_keeps_all_from_being_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_project(tmp_path, MINIMAL)
    make_project(tmp_path, MINIMAL.replace("summary: Get a pet.", "summary: Get"), "farm")
    assert main([], root=tmp_path) == 1
    assert not (tmp_path / "src").exists()
    assert capsys.readouterr().err.startswith("openapi/farm.yaml#/paths/~1pets~1{petId}/get/summary: ")


def test_a_vendor_without_a_document_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_project(tmp_path, MINIMAL)
    assert main(["nobody"], root=tmp_path) == 1
    assert capsys.readouterr().err == "openapi/nobody.yaml does not exist.\n"


def test_the_command_ends_with_the_status(tmp_path: Path) -> None:
    make_project(tmp_path, "openapi: [")
    command = [sys.executable, "-m", "generator"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("openapi/zoo.yaml#: This is not YAML: ")
    assert "Traceback" not in done.stderr
