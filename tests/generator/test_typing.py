"""What type checkers make of generated code: no complaints, and signatures that survive being bound in a class."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.generator.conftest import ROOT

BINDING = """
from typing import Any, TypeVar

from typing_extensions import assert_type

from dialogkit._core.call import Call
from dialogkit._core.files.downloads import ByteStream
from zoo_sdk import collections, files, models, pets, rules

T = TypeVar("T")


class Namespace:
    async def call(self, call: Call[T], /) -> T:
        raise NotImplementedError


class Pets(Namespace):
    search = pets.search_pets
    create = pets.create_pet
    get = pets.get_pet
    delete = pets.delete_pet
    trees = collections.list_trees
    replace = collections.replace_trees
    download = files.download_file
    add_rule = rules.create_rule


async def good(api: Pets, rule: models.RuleInput) -> None:
    assert_type(await api.get("p1", zoo_id="z1"), models.Pet)
    assert_type(await api.search(kinds=["cat", "new"], resume="c"), models.PetPage)
    assert_type(await api.delete("p1", reason="old"), None)
    assert_type(await api.trees(), list[models.Tree])
    assert_type(await api.replace(body=[models.Tree(), {"fruit": "apple"}]), Any)
    assert_type(await api.download("f1"), ByteStream)
    await api.create(name="Rex", display_name=None, friends=[models.Pet(id="1"), {"id": "2"}], kind="unheard-of")
    await api.add_rule(type="open", name="a", details=models.OpenDetails(doors=1))
    await api.add_rule(type="new", name="a", details={"doors": 1})
    models.CloseRule(name="a")
    if isinstance(rule, models.OpenRule):
        assert_type(rule.details, models.OpenDetails)


async def bad(api: Pets) -> None:
    await api.get(1)  # wrong
    await api.get("p1", "z1")  # wrong
    await api.get("p1", nonsense=1)  # wrong
    await api.create()  # wrong
    await api.create(name=None)  # wrong
    await api.search(limit="5")  # wrong
    models.OpenDetails(doors="two")  # wrong
"""


@pytest.fixture(scope="module")
def checked(zoo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("typing")
    shutil.copytree(zoo_folder, folder / "zoo_sdk")
    (folder / "binding.py").write_text(BINDING)
    return folder


def wrong_lines() -> set[int]:
    return {number for number, line in enumerate(BINDING.splitlines(), 1) if line.endswith("# wrong")}


def test_mypy(checked: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml")]
    command += ["--cache-dir", str(ROOT / ".mypy_cache" / "zoo"), "zoo_sdk", "binding.py"]
    paths = {"MYPYPATH": f"{ROOT / 'src'}{os.pathsep}{checked}"}
    done = subprocess.run(
        command, cwd=checked, env={**os.environ, **paths}, capture_output=True, text=True, check=False
    )
    complaints = re.findall(r"^(.+?):(\d+): error: ", done.stdout, re.MULTILINE)
    assert {name for name, _ in complaints} == {"binding.py"}, done.stdout + done.stderr
    assert {int(line) for _, line in complaints} == wrong_lines(), done.stdout


def test_basedpyright(checked: Path) -> None:
    configuration = {
        "typeCheckingMode": "strict",
        "pythonVersion": "3.10",
        "extraPaths": [str(ROOT / "src"), "."],
        "reportPrivateUsage": False,
        "include": ["."],
    }
    (checked / "pyrightconfig.json").write_text(json.dumps(configuration))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable, "-p", "."]
    done = subprocess.run(command, cwd=checked, capture_output=True, text=True, check=False)
    complaints = json.loads(done.stdout)["generalDiagnostics"]
    assert {Path(complaint["file"]).name for complaint in complaints} == {"binding.py"}, complaints
    assert {complaint["range"]["start"]["line"] + 1 for complaint in complaints} == wrong_lines(), complaints


def test_ruff(zoo_project: Path) -> None:
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "src"]
    done = subprocess.run(command, cwd=zoo_project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    command = [sys.executable, "-m", "ruff", "format", "--check", "--no-cache", "src"]
    assert subprocess.run(command, cwd=zoo_project, capture_output=True, check=False).returncode == 0


def test_nothing_is_ignored(zoo_folder: Path) -> None:
    for path in zoo_folder.iterdir():
        assert "type: ignore" not in path.read_text(encoding="utf-8")
        assert "pyright:" not in path.read_text(encoding="utf-8")
