"""`python -m dialogkit.testing`."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import IO

import httpx
import pytest

import dialogkit.testing
from dialogkit.testing import __main__ as command
from tests.testing.tools import HERE, VERSION, complaints

COMMAND = [sys.executable, "-X", "dev", "-W", "error", "-m", "dialogkit.testing"]


@contextmanager
def running(*arguments: str) -> Generator[tuple[subprocess.Popen[str], IO[str], str], None, None]:
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        yield process, process.stdout, "".join(lines)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_reports_requests_and_stops(number: signal.Signals) -> None:
    with running("--port", "0", "--tier", "none") as (process, output, greeting):
        found = re.search(r"http://127\.0\.0\.1:[0-9]+", greeting)
        assert found is not None
        assert "HOOPAI_API_KEY=sandbox-key" in greeting
        assert "HOOPAI_LOCATION_ID=loc_sandbox" in greeting
        headers = {"Authorization": "Bearer sandbox-key", **VERSION}
        httpx.get(f"{found[0]}/conversations/bots", headers=headers, params=HERE).raise_for_status()
        assert output.readline() == "\n"
        assert output.readline() == "200 GET    /conversations/bots  list_bots\n"
        process.send_signal(number)
        rest, errors = process.communicate()
    assert (process.returncode, rest, complaints(errors)) == (0, "Stopped.\n", [])


def test_help_names_the_tiers_of_each_platform_and_nothing_internal(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "standard, agency, marketplace of hoopai; standard of hoverbot; free, pro, enterprise of convoai" in said
    assert "first" not in said


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert command.main(["--port", str(port), "--empty"]) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


def test_an_extra_that_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def find(_: str) -> None:
        return None

    monkeypatch.setattr(dialogkit.testing, "find_spec", find)
    for name in dialogkit.testing.__all__:
        monkeypatch.delitem(vars(dialogkit.testing), name, raising=False)
    assert command.main([]) == 1
    assert "pip install 'dialogkit[testing]'" in capsys.readouterr().err


@pytest.fixture(autouse=True)
def _same_signal_handlers() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)
