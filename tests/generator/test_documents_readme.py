"""The worked examples of openapi/README.md, carried out as they are written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from generator.cli import main
from generator.document import Document, is_list, load
from generator.lint.extensions import known_keys
from tests.generator.conftest import ROOT, make_project

README = (ROOT / "openapi" / "README.md").read_text(encoding="utf-8")
ADDITIONS = re.findall(r"^In `#(/[^`]+)`, add:\n\n```yaml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
RESULTS = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
"""The blocks of the new platform are indented, and tried in test_new_platform.py."""


def add(document: Document, place: str, addition: Any) -> None:
    target = document.resolve(f"#{place}")
    if is_list(target):
        target.extend(addition)
    else:
        assert not set(target) & set(addition)
        target.update(addition)


def test_the_examples_work_as_they_stand(tmp_path: Path) -> None:
    document = load(ROOT / "openapi" / "hoopai.yaml", "openapi/hoopai.yaml")
    assert len(ADDITIONS) == 3
    for place, snippet in ADDITIONS:
        add(document, place, yaml.safe_load(snippet))
    root = make_project(tmp_path, yaml.safe_dump(document.data, sort_keys=False, allow_unicode=True), "hoopai")
    assert main(["hoopai"], root=root) == 0
    made = (root / "src" / "dialogkit" / "hoopai" / "_generated" / "bots.py").read_text(encoding="utf-8").splitlines()
    expected = [line for result in RESULTS for line in result.splitlines()]
    assert len(expected) > 6
    position = -1
    for line in RESULTS[1].splitlines():
        position = made.index(line, position + 1)
    assert [line for line in expected if line not in made] == []


def test_every_key_of_our_own_is_explained() -> None:
    table = README.partition("## Keys of our own")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(x-[a-z-]+)`", table, re.MULTILINE)) == known_keys()
