"""Every Python snippet in the README runs, as it is printed, against the sandbox."""

from __future__ import annotations

import ast
import inspect
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dialogkit
from dialogkit import HoopAI
from dialogkit.testing import Sandbox

README = Path(__file__).resolve().parents[1] / "README.md"
SNIPPETS = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)


def name(snippet: str) -> str:
    return next(line for line in snippet.splitlines() if line and not line.startswith(("import", "from")))[:50]


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tier="agency") as server:
        monkeypatch.setenv("HOOPAI_API_KEY", server.api_key)
        monkeypatch.setenv("HOOPAI_LOCATION_ID", server.location_id)
        monkeypatch.setenv("HOOPAI_BASE_URL", server.url)
        monkeypatch.chdir(tmp_path)
        yield server


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) > 10


@pytest.mark.parametrize("snippet", SNIPPETS, ids=name)
async def test_the_snippet_runs(snippet: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    async with HoopAI() as hoop:
        module = types.ModuleType("snippet")
        module.__dict__.update(vars(types.SimpleNamespace(hoop=hoop, HoopAI=HoopAI, dialogkit=dialogkit)))
        if "asyncio.run(" in snippet:  # a loop runs already
            snippet = snippet.replace("asyncio.run(main())", "await main()")
        if "respx" in snippet:  # which answers for the platform itself
            monkeypatch.delenv("HOOPAI_BASE_URL")
        code = compile(snippet, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result: Any = eval(code, module.__dict__)
        if inspect.isawaitable(result):
            await result
        for key, value in list(module.__dict__.items()):
            if key.startswith("test_"):  # a snippet that is a user's test
                await value(sandbox)
            if isinstance(value, HoopAI) and value is not hoop:
                await value.aclose()
