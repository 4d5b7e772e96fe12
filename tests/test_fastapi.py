"""The client in a FastAPI backend: opened and closed by the lifespan, used by the handlers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI, Request

from dialogkit import ConfigurationError, HoopAI
from dialogkit.testing import Sandbox
from tests.support.backends import on_every_backend


def backend(sandbox: Sandbox) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with HoopAI(sandbox.api_key, base_url=sandbox.url, location_id=sandbox.location_id) as hoop:
            app.state.hoop = hoop
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/greet/{contact_id}")
    async def greet(contact_id: str, request: Request) -> dict[str, str | None]:  # pyright: ignore[reportUnusedFunction]
        hoop: HoopAI = request.app.state.hoop
        sent = await hoop.messages.send(type="SMS", contact_id=contact_id, message="Hello!")
        return {"message_id": sent.message_id}

    return app


@on_every_backend
async def test_the_lifespan_opens_and_closes_the_client() -> None:
    with Sandbox() as sandbox:
        app = backend(sandbox)
        transport = httpx.ASGITransport(app)
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport) as browser:
            answers = [await browser.post("http://backend/greet/contact_1") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert len({answer.json()["message_id"] for answer in answers}) == 3
        hoop: HoopAI = app.state.hoop
        with pytest.raises(ConfigurationError, match="closed"):
            await hoop.bots.list()
