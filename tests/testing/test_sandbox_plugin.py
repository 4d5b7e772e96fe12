"""The pytest plugin, in the runs of whoever uses dialogkit."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml  # noqa: F401  # pyright: ignore[reportUnusedImport] - its C part does not survive being imported twice

pytest_plugins = ("pytester",)

TESTS = """
    import urllib.request, json

    def get(sandbox, path):
        headers = {"Authorization": f"Bearer {sandbox.api_key}", "Version": "2021-07-28"}
        with urllib.request.urlopen(urllib.request.Request(sandbox.url + path, headers=headers)) as answer:
            return json.load(answer), answer.headers

    urls = set()

    def test_one(dialogkit_sandbox):
        urls.add(dialogkit_sandbox.url)
        dialogkit_sandbox.add_conversations(5)
        assert get(dialogkit_sandbox, "/conversations/")[0]["total"] == 5 + SEEDED
        assert len(dialogkit_sandbox.requests) == 1

    def test_two(dialogkit_sandbox):
        urls.add(dialogkit_sandbox.url)
        assert len(urls) == 1, "one server"
        assert dialogkit_sandbox.requests == (), "as new"
        body, headers = get(dialogkit_sandbox, "/conversations/")
        assert body["total"] == SEEDED
        assert headers.get("X-RateLimit-Max") == MAX
"""


def make(pytester: pytest.Pytester, seeded: int, maximum: str | None) -> None:
    pytester.makepyfile(TESTS.replace("SEEDED", str(seeded)).replace("MAX", repr(maximum)))


def test_the_fixture_is_there_and_as_new_each_time(pytester: pytest.Pytester) -> None:
    make(pytester, 2, None)
    pytester.runpytest_inprocess("-p", "no:asyncio").assert_outcomes(passed=2)


def test_the_command_line_sets_the_limits(pytester: pytest.Pytester) -> None:
    make(pytester, 2, "20")
    pytester.runpytest_inprocess("-p", "no:asyncio", "--dialogkit-tier=agency").assert_outcomes(passed=2)


def test_the_ini_file_sets_limits_and_seed(pytester: pytest.Pytester) -> None:
    make(pytester, 0, "10")
    pytester.makeini("[pytest]\ndialogkit_tier = standard\ndialogkit_seed = false\n")
    pytester.runpytest_inprocess("-p", "no:asyncio").assert_outcomes(passed=2)


def test_an_unknown_tier_is_named(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ndialogkit_tier = enterprise\n")
    pytester.makepyfile("def test_one(dialogkit_sandbox): pass")
    result = pytester.runpytest_inprocess("-p", "no:asyncio")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*dialogkit_tier must be one of standard, agency, marketplace, none, not enterprise*"])


def test_loading_it_imports_nothing_heavy() -> None:
    code = (
        "import sys, pytest, dialogkit.testing.pytest_plugin;"
        "print([m for m in ('httpx', 'jsonschema', 'pydantic', 'starlette', 'uvicorn', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
