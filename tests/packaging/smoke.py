"""What a user does first, run against the installed wheel from outside the checkout."""

from __future__ import annotations

import asyncio
import sys
from importlib.metadata import version
from pathlib import Path

import dialogkit
from dialogkit import HoopAI
from dialogkit.testing import Sandbox


async def main() -> None:
    """Create a bot, read it back, and iterate."""
    assert "site-packages" in Path(dialogkit.__file__).parts, "this is not the installed package"
    async with Sandbox() as sandbox:
        async with HoopAI(sandbox.api_key, base_url=sandbox.url, location_id=sandbox.location_id) as hoop:
            bot = await hoop.bots.create(name="Smoke", system_prompt="Answer.", status="draft")
            assert (await hoop.bots.get(bot.id)).name == "Smoke"
            names = [each.name async for each in hoop.bots.list()]
            assert "Smoke" in names, names
    versions = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "httpx", "pydantic"))
    print(f"the wheel works on Python {sys.version.split()[0]} with {versions}")


asyncio.run(main())
