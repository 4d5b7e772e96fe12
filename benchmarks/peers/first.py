"""Make one call and say what it took since the interpreter started: CPU and wall time in milliseconds.

    python -m benchmarks.peers.first NAME URL BEGAN

NAME is a contestant, or `nothing`; BEGAN is `time.monotonic_ns()` of whoever started the process.
"""

from __future__ import annotations

import sys
import time


def main() -> None:
    _, name, url, began = sys.argv
    if name != "nothing":
        call(name, url)
    print(time.process_time() * 1e3, (time.monotonic_ns() - int(began)) / 1e6)


def call(name: str, url: str) -> None:
    import asyncio  # noqa: PLC0415 - not a part of starting the interpreter

    from benchmarks.peers.contestants import CONTESTANTS, SCENARIOS  # noqa: PLC0415 - as above

    async def run() -> None:
        entry = CONTESTANTS[name]
        if entry.bare:
            from pydantic import BaseModel  # noqa: PLC0415 - as above

            from benchmarks.peers.twins import twins  # noqa: PLC0415 - as above

            client = entry.open(url, models=twins(BaseModel))
        else:
            client = entry.open(url)
        proof = await client.page()
        if proof != SCENARIOS["page"][1]:
            sys.exit(f"{name} got {proof}")

    asyncio.run(run())


if __name__ == "__main__":
    main()
