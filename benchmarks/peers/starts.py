"""What starting costs: importing, making a client, and a first call, each in interpreters of its own.

The processes alternate, and what the interpreter itself takes is subtracted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

NOTHING: Final = ""
IMPORTS: Final = {
    "import httpx, pydantic": "import httpx, pydantic",
    "import dialogkit, HoopAI(…)": "import dialogkit; dialogkit.HoopAI('key', location_id='loc')",
    "import httpx, pydantic.BaseModel": "import httpx; from pydantic import BaseModel",
    "import httpx, pydantic, AsyncClient()": "import httpx, pydantic; httpx.AsyncClient()",
    "import aiohttp": "import aiohttp",
    "import openai, AsyncOpenAI(…)": "import openai; openai.AsyncOpenAI(api_key='key')",
    "import highlevel, HighLevel(…)": "import highlevel; highlevel.HighLevel(private_integration_token='key')",
}
"""By what is shown: the program. The module that it needs is its second word. pydantic loads most of itself when
something of it is first used, so that its bare import is cheap."""


def imports(times: int) -> dict[str, list[float]]:
    """Return CPU milliseconds of each program, by its name."""
    programs = {name: code for name, code in IMPORTS.items() if find_spec(code.split()[1].strip(",;")) is not None}
    found = dict[str, list[float]]((name, []) for name in programs)
    for turn in range(times + 1):
        own = _cpu(NOTHING)
        for name, code in programs.items():
            took = _cpu(code) - own
            if turn:  # the first is spent on writing bytecode and filling the system's cache
                found[name].append(took)
    return found


def _cpu(code: str) -> float:
    program = f"{code}\nimport time; print(time.process_time() * 1e3)"
    done = subprocess.run(
        [sys.executable, "-c", program], env=_environment(), check=True, capture_output=True, text=True
    )
    return float(done.stdout.split()[-1])


def first_calls(names: Sequence[str], url: str, times: int) -> dict[str, list[tuple[float, float]]]:
    """Return CPU and wall milliseconds until each contestant's first answer is decoded."""
    found = dict[str, list[tuple[float, float]]]((name, []) for name in names)
    for turn in range(times + 1):
        own = _first("nothing", url)
        for name in names:
            took = _first(name, url)
            if turn:
                found[name].append((took[0] - own[0], took[1] - own[1]))
    return found


def _first(name: str, url: str) -> tuple[float, float]:
    command = [sys.executable, "-m", "benchmarks.peers.first", name, url, str(time.monotonic_ns())]
    done = subprocess.run(
        command, env=_environment(), check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    cpu, wall = map(float, done.stdout.split()[-2:])
    return cpu, wall


def _environment() -> dict[str, str]:
    """Return an environment in which bytecode is kept: no installer has made it for sources that are edited."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
