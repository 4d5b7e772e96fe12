"""What a fourth platform costs: the example of openapi/README.md, carried out as it is written.

It is made in a temporary folder, which becomes a further place of the package `dialogkit`. So it can be tried next to
the real platforms, and cannot have changed a line of `generator/` or `dialogkit._core`.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

import dialogkit
from dialogkit import ConfigurationError, InvalidArgumentError, RateLimit
from generator.cli import main
from tests.generator.conftest import ROOT, make_project
from tests.support.wire import Wire

README = (ROOT / "openapi" / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("\n## A new platform\n")[2].partition("\n## ")[0]
STEPS = re.findall(r"(.*?)^   ```\w+\n(.*?)^   ```$", SECTION, re.MULTILINE | re.DOTALL)
FILES = {re.findall(r"`((?:src|openapi)/\S+[.]\w+)`", words)[-1]: textwrap.dedent(text) for words, text in STEPS}
"""The files that a step shows, by the name that stands before each."""
FOLDER = "src/dialogkit/parley"


def fingerprint() -> str:
    """Return what changes when a file of the generator or the core does."""
    paths = sorted(path for folder in ("generator", "src/dialogkit/_core") for path in (ROOT / folder).rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert set(FILES) == {"openapi/parley.yaml", f"{FOLDER}/namespaces.py", f"{FOLDER}/client.py"}
    root = make_project(tmp_path_factory.mktemp("project"), FILES["openapi/parley.yaml"], "parley")
    before = fingerprint()
    assert main(["parley"], root=root) == 0
    assert fingerprint() == before
    for name, text in FILES.items():
        (root / name).write_text(text, encoding="utf-8")
    (root / FOLDER / "__init__.py").write_text('"""Parley."""\n', encoding="utf-8")
    return root


@pytest.fixture
def parley(project: Path) -> Iterator[ModuleType]:
    place = str(project / "src" / "dialogkit")
    dialogkit.__path__.append(place)
    importlib.invalidate_caches()
    yield importlib.import_module("dialogkit.parley.client")
    dialogkit.__path__.remove(place)
    for name in [name for name in sys.modules if name.startswith("dialogkit.parley")]:
        del sys.modules[name]
    del dialogkit.__dict__["parley"]


def test_it_takes_a_document_and_a_folder(project: Path) -> None:
    written = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    generated = {f"{FOLDER}/_generated/{name}.py" for name in ("__init__", "models", "threads", "webhooks")}
    assert written - {"pyproject.toml"} == {*FILES, f"{FOLDER}/__init__.py", *generated}
    assert sum(FILES[name].count("\n") for name in FILES if name.startswith(FOLDER)) < 80


def test_it_knows_only_itself_and_the_core(project: Path) -> None:
    for path in (project / FOLDER).rglob("*.py"):
        own = "dialogkit._core" if "_generated" in path.parts else ("dialogkit._core", "dialogkit.parley")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("dialogkit"):
                assert node.module.startswith(own), f"{path.name} imports {node.module}"


def pages(request: httpx.Request) -> httpx.Response:
    second = request.url.params.get("cursor") == "more"
    return httpx.Response(
        200, json={"threads": [{"id": "t2"}]} if second else {"threads": [{"id": "t1"}], "nextCursor": "more"}
    )


async def test_it_does_what_the_others_do(parley: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_TEAM_ID", "team_1")
    wire = Wire({"id": "t1"}, 201)
    async with parley.Parley("key", http_client=wire.client()) as client:
        assert repr(client) == "Parley(base_url='https://api.parley.example', team_id='team_1')"
        assert client._settings.limits == (RateLimit(100, per=60),)
        assert (await client.threads.create(title="Lunch")).id == "t1"
        assert wire.body == {"title": "Lunch", "teamId": "team_1"}
        assert wire.last.headers["Authorization"] == "Bearer key"
        with pytest.raises(InvalidArgumentError, match="title"):
            await client.threads.create(title="x" * 81)
        view = client.with_options(
            http_client=httpx.AsyncClient(transport=httpx.MockTransport(pages)), team_id="team_2"
        )
        assert [thread.id async for thread in view.threads.list()] == ["t1", "t2"]
        page = await view.threads.list()
        assert [thread.id async for thread in view.threads.list(resume=page.cursor)] == ["t2"]
    with pytest.raises(TypeError, match="Parley got an unexpected keyword argument 'tier'"):
        parley.Parley("key", tier="gold")


def test_its_errors_name_it(parley: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARLEY_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match=r"Parley needs a credential.*PARLEY_API_KEY"):
        parley.Parley()


def test_its_events_are_known(parley: Any) -> None:
    events = importlib.import_module("dialogkit.parley._generated.webhooks").EVENTS
    event = events["thread.created"]().model_validate({"event": "thread.created", "threadId": "t1"})
    assert (event.type, event.thread_id) == ("thread.created", "t1")
