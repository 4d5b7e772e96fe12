"""A user's own test with the fixture that the wheel's pytest plugin offers."""

from __future__ import annotations

import asyncio

from dialogkit import HoopAI
from dialogkit.testing import Sandbox


def test_the_plugin_offers_the_sandbox(dialogkit_sandbox: Sandbox) -> None:
    async def talk() -> str:
        async with HoopAI(
            dialogkit_sandbox.api_key, base_url=dialogkit_sandbox.url, location_id=dialogkit_sandbox.location_id
        ) as hoop:
            sent = await hoop.messages.send(type="SMS", contact_id="contact_1", message="Hello")
            assert sent.message_id
            return (await hoop.messages.get(sent.message_id)).body or ""

    assert asyncio.run(talk()) == "Hello"
