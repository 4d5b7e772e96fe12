"""Requests and answers for tests, written as httpx writes them."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from typing import Any, NamedTuple

import httpx

from dialogkit._core.http.over_httpx import HttpxAnswer, origin_and_target
from dialogkit._core.http.pool import Connection
from dialogkit._core.http.transport import Answer, Request

PATIENCE = 20.0


def request_of(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    content: bytes | AsyncIterable[bytes] | None = None,
) -> Request:
    origin, target = origin_and_target(httpx.URL(url))
    return Request(method, origin, target, {name.lower(): value for name, value in (headers or {}).items()}, content)


def answer_of(status: int = 200, **parts: Any) -> Answer:
    return HttpxAnswer(httpx.Response(status, **parts))


class Whole(NamedTuple):
    """An answer that has been read."""

    answer: Answer
    content: bytes

    @property
    def status(self) -> int:
        return self.answer.status


async def fetch(connection: Connection, request: Request) -> Whole:
    answer = await connection.send(request, timeout=PATIENCE)
    return Whole(answer, await connection.read(answer))


async def once(request: Request) -> Whole:
    connection = Connection()
    try:
        return await fetch(connection, request)
    finally:
        await connection.aclose()
