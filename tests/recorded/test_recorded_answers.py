"""What others recorded of the live platform, held against the client and against the sandbox.

A file of `answers/` is one exchange: the fact it shows, where and when it was recorded, the call that makes it, the
request, and the answer, with made-up values that the sandbox knows. The client has to send that request and to read
that answer without finding anything odd; the sandbox has to answer that request in the same shape. Else both would
only be held against each other, and could be wrong together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, cast

import httpx
import pytest

import dialogkit
from dialogkit import HoopAI
from dialogkit.testing import Sandbox

FILES: Final = sorted((Path(__file__).parent / "answers").glob("*.json"))
OPEN: Final = frozenset({"data", "extractedData", "meta", "metadata"})
"""Properties that hold whatever there is."""


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
        keywords: dict[str, Any] = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
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


async def test_an_empty_success_has_happened_for_whoever_is_not_strict() -> None:
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(201)))
    drifts: list[dialogkit.Drift] = []
    async with HoopAI("key", location_id="loc_1", http_client=http, on_drift=drifts.append) as hoop:
        added: Any = await hoop.messages.add_inbound(type="Custom", conversation_id="c", message="Hello!")
    assert added.message_id is None
    assert drifts


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


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed="live", tier="marketplace", validate_responses=True) as running:
        yield running


@every
def test_the_sandbox_answers_the_request_in_the_same_shape(recording: Recording, sandbox: Sandbox) -> None:
    if recording.sandbox is not None:
        return  # it says why
    answered = ask(sandbox, recording)
    assert answered.status_code == recording.answer["status"], answered.text
    assert recording.answer["headers"].keys() <= dict(answered.headers).keys()
    wanted = recording.answer["body"]
    if wanted is None:
        assert answered.content == b""
        return
    body = answered.json()
    if isinstance(wanted, dict) and recording.error is None:
        assert cast("dict[str, Any]", body).keys() >= {"traceId"}
    assert list(differences(wanted, body, "")) == []
    assert [path for path in recording.absent if found(body, path.split("."))] == []


def ask(sandbox: Sandbox, recording: Recording) -> httpx.Response:
    token = sandbox.api_key
    if recording.setup == "scope":
        token = sandbox.add_token("conversation-ai.readonly")
    elif recording.setup == "agency":
        form = {"client_id": sandbox.client_id, "client_secret": sandbox.client_secret}
        answer = httpx.post(f"{sandbox.url}/oauth/token", data={**form, "grant_type": "client_credentials"})
        token = answer.json()["access_token"]
    request = recording.request
    headers = {"Authorization": f"Bearer {token}", "Version": "2021-07-28", **request.get("headers", {})}
    return httpx.request(
        request["method"],
        sandbox.url + request["path"],
        params=request.get("query"),
        data=request.get("form"),
        json=request.get("body"),
        headers={name: value for name, value in headers.items() if value is not None},
    )


def differences(recorded: Any, answered: Any, path: str) -> Iterator[str]:
    """Tell where an answer lacks what was recorded, or has another type of JSON there."""
    if recorded is None:
        return
    if kind(recorded) != kind(answered):
        yield f"{path or 'the whole'}: {kind(answered)}, recorded was {kind(recorded)}"
    elif isinstance(recorded, dict):
        for name, value in cast("dict[str, Any]", recorded).items():
            if name not in answered:
                yield f"{path}.{name}: missing".lstrip(".")
            elif name not in OPEN:
                yield from differences(value, answered[name], f"{path}.{name}".lstrip("."))
    elif isinstance(recorded, list):
        yield from row_differences([*recorded], [*answered], path)


def row_differences(recorded: list[Any], answered: list[Any], path: str) -> Iterator[str]:
    """Compare each row that was recorded with the one that is most like it."""
    for number, value in enumerate(recorded):
        alternatives = [list(differences(value, row, f"{path}[{number}]")) for row in answered]
        yield from min(alternatives, key=len, default=[f"{path}[{number}]: missing"])


def kind(value: Any) -> str:
    """Return the type that JSON gives a value."""
    kinds: dict[Any, str] = {
        bool: "boolean",
        int: "number",
        float: "number",
        str: "string",
        list: "array",
        dict: "object",
    }
    return kinds.get(cast("Any", type(value)), "null")


def found(body: Any, steps: list[str]) -> bool:
    """Say whether there is anything at the end of a path; a star is any element."""
    if not steps:
        return True
    step, *rest = steps
    if step == "*":
        return any(found(each, rest) for each in body)
    return isinstance(body, dict) and step in body and found(cast("dict[str, Any]", body)[step], rest)
