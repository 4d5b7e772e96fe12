"""A project in a temporary folder, and the package that is generated from the nasty document."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from generator.cli import main

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = Path(__file__).parent / "documents"


def make_project(folder: Path, text: str, vendor: str = "zoo") -> Path:
    """Make a project with one document, and return its root."""
    (folder / "openapi").mkdir(parents=True, exist_ok=True)
    (folder / "openapi" / f"{vendor}.yaml").write_text(text, encoding="utf-8")
    shutil.copy(ROOT / "pyproject.toml", folder / "pyproject.toml")
    return folder


@pytest.fixture(scope="session")
def zoo_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which the nasty document has been generated."""
    root = make_project(tmp_path_factory.mktemp("project"), (DOCUMENTS / "nasty.yaml").read_text(encoding="utf-8"))
    assert main(["zoo"], root=root) == 0
    return root


@pytest.fixture(scope="session")
def zoo_folder(zoo_project: Path) -> Path:
    """The package that was generated from the nasty document."""
    return zoo_project / "src" / "dialogkit" / "zoo" / "_generated"


@pytest.fixture(scope="session")
def zoo_package(zoo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The same, where it can be imported as `zoo_sdk`."""
    place = tmp_path_factory.mktemp("importable")
    shutil.copytree(zoo_folder, place / "zoo_sdk")
    sys.path.insert(0, str(place))
    yield place / "zoo_sdk"
    sys.path.remove(str(place))
    for name in [name for name in sys.modules if name.partition(".")[0] == "zoo_sdk"]:
        del sys.modules[name]


@pytest.fixture
def pets(zoo_package: Path) -> ModuleType:
    return importlib.import_module(f"{zoo_package.name}.pets")


@pytest.fixture
def models(zoo_package: Path) -> ModuleType:
    return importlib.import_module(f"{zoo_package.name}.models")
