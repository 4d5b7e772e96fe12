"""`python -m dialogkit.testing`: the sandbox by hand, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dialogkit.testing import LoggedRequest, Sandbox, Tier

_TIERS: Final[Mapping[str, Tier | None]] = {"standard": "standard", "agency": "agency", "none": None}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sandbox until SIGINT or SIGTERM, with a line for each request.

    Args:
        arguments: Command line, without the program; the process's own unless given.

    Returns:
        The exit status: 0, or 1 if the sandbox could not start.

    """
    options = _parse(arguments)
    try:
        from dialogkit.testing import Sandbox, SandboxError  # noqa: PLC0415 - `--help` works without the extra, too
    except ImportError as error:
        return _fail(str(error))
    sandbox = Sandbox(
        host=options.host, port=options.port, tier=_TIERS[options.tier], seed=not options.empty, on_request=_report
    )
    stopped = threading.Event()

    def stop(_: int, __: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        with sandbox:
            _say(_greeting(sandbox, options.tier))
            stopped.wait()
    except SandboxError as error:
        return _fail(str(error))
    _say("Stopped.")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m dialogkit.testing", description="A stand-in for the HoopAI platform on loopback."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="port to bind, 0 for any (default: %(default)s)")
    parser.add_argument("--tier", choices=tuple(_TIERS), default="standard", help="rate limits (default: %(default)s)")
    parser.add_argument("--empty", action="store_true", help="start without the rows that have fixed ids")
    return parser.parse_args(arguments)


def _greeting(sandbox: Sandbox, tier: str) -> str:
    return f"""\
HoopAI sandbox at {sandbox.url}, rate limits: {tier}

  API key      {sandbox.api_key}
  location id  {sandbox.location_id}

Point a client at it:

  HoopAI("{sandbox.api_key}", base_url="{sandbox.url}", location_id="{sandbox.location_id}")

or set the environment and call HoopAI():

  export HOOPAI_API_KEY={sandbox.api_key}
  export HOOPAI_LOCATION_ID={sandbox.location_id}
  export HOOPAI_BASE_URL={sandbox.url}

Requests appear below. Ctrl-C stops it.
"""


def _report(request: LoggedRequest) -> None:
    _say(f"{request.status or '---'} {request.method:6} {request.path}  {request.operation_id or '-'}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _fail(text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
