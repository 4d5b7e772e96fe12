"""The example backend in a process of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

from dialogkit.testing import Sandbox

EXAMPLES = Path(__file__).parents[2] / "examples"
TOKEN = "token-of/the backend"
"""Known to colleagues only."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def backend(sandbox: Sandbox, port: int) -> Generator[str]:
    """Run it until the block ends, and give its URL."""
    environment = os.environ | {
        "HOOPAI_API_KEY": sandbox.api_key,
        "HOOPAI_BASE_URL": sandbox.url,
        "HOOPAI_LOCATION_ID": sandbox.location_id,
        "BACKEND_TOKEN": TOKEN,
        "WEBHOOK_PUBLIC_KEY": sandbox.webhooks.public_key,
    }
    command = [sys.executable, "-m", "uvicorn", "backend:app", "--app-dir", str(EXAMPLES), "--port", str(port)]
    process = subprocess.Popen([*command, "--no-access-log"], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if "Uvicorn running on" in line:
                break
        else:
            raise AssertionError(f"the backend does not start:\n{said}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=60)
