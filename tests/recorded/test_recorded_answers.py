"""What others recorded of the live platform, held against the client and against the sandbox.

A file of `answers/` is one exchange: the fact it shows, where and when it was recorded, the call that makes it, the
request, and the answer, with made-up values that the sandbox knows. The client has to send that request and to read
that answer without finding anything odd; the sandbox has to answer that request in the same shape. Else both would
only be held against each other, and could be wrong together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

import dialogkit
from dialogkit import HoopAI

FILES: Final = sorted((Path(__file__).parent / "answers").glob("*.json"))


@dataclass(frozen=True)
class Recording:
    """One exchange as it was recorded."""

    name: str
    call: list[Any]
    request: Mapping[str, Any]
    answer: Mapping[str, Any]
    reads: Mapping[str, Any]
    error: Mapping[str, str] | None
    absent: list[str]
    setup: str | None
    sandbox: str | None
    """Why the sandbox does not answer so, if it does not."""

    @property
    def content(self) -> bytes:
        """The body of the answer as bytes; there may be none."""
        body = self.answer["body"]
        return b"" if body is None else json.dumps(body).encode()

    async def made_with(self, hoop: HoopAI) -> Any:
        """Make the call."""
        method, *arguments = self.call
        keywords = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
        return await attrgetter(method)(hoop)(*arguments, **keywords)


def load(file: Path) -> Recording:
    raw = json.loads(file.read_text(encoding="utf-8"))
    assert raw["fact"]
    assert raw["what"].endswith(".")
    assert "20" in raw["source"], "a source has a date"
    known = ("call", "request", "answer")
    optional: dict[str, Any] = {"reads": {}, "absent": []}
    more = {name: raw.get(name, optional.get(name)) for name in ("reads", "error", "absent", "setup", "sandbox")}
    return Recording(file.stem, *(raw[name] for name in known), **more)


RECORDINGS: Final = [load(file) for file in FILES]
every = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda each: each.name)


@every
async def test_the_client_sends_the_request_and_reads_the_answer(recording: Recording) -> None:
    seen: list[httpx.Request] = []

    def platform(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        headers = {"content-type": "application/json; charset=utf-8", **recording.answer["headers"]}
        return httpx.Response(recording.answer["status"], headers=headers, content=recording.content)

    http = httpx.AsyncClient(transport=httpx.MockTransport(platform))
    async with HoopAI("key", location_id="loc_sandbox", http_client=http, strict=True, retry=None) as hoop:
        if recording.error is None:
            result = await recording.made_with(hoop)
            assert {path: plain(reach(result, path)) for path in recording.reads} == recording.reads
        else:
            with pytest.raises(getattr(dialogkit, recording.error["type"]), match=recording.error["says"]) as caught:
                await recording.made_with(hoop)
            assert caught.value.request_id == ("trace_1" if recording.content else None)
    (request,) = seen
    assert as_sent(request) == as_recorded(recording.request)


def reach(thing: Any, path: str) -> Any:
    for step in path.split("."):
        thing = thing[int(step)] if step.isdigit() else getattr(thing, step)
    return thing


def plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else value


def as_sent(request: httpx.Request) -> tuple[Any, ...]:
    content = request.content.decode()
    form = request.headers.get("content-type") == "application/x-www-form-urlencoded"
    body = dict(httpx.QueryParams(content)) if form else json.loads(content) if content else None
    return request.method, request.url.path, dict(request.url.params), body


def as_recorded(request: Mapping[str, Any]) -> tuple[Any, ...]:
    return request["method"], request["path"], request.get("query", {}), request.get("form", request.get("body"))
