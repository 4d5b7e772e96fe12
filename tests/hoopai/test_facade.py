from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import yaml

from dialogkit import ConfigurationError, Drift, HoopAI, InvalidArgumentError, Page, RateLimit
from dialogkit._core.call import Operation
from dialogkit._core.client import Namespace
from dialogkit.hoopai import TIERS, models, namespaces
from tests.support.backends import on_every_backend
from tests.support.wire import shape

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT: dict[str, Any] = yaml.load((ROOT / "openapi" / "hoopai.yaml").read_text(), yaml.CSafeLoader)
KEY = "pit-0123456789abcdef"

# The public names, as the design fixes them.
TABLE = {
    "conversations": "create search list get update delete",
    "messages": "list send inject get add_inbound add_outbound_call upload update_status cancel_scheduled recording "
    "transcription download_transcription",
    "emails": "get cancel_scheduled",
    "live_chat": "typing",
    "bots": "list get create update delete set_status",
    "bots.knowledge": "list add delete",
    "agents": "create search get update delete update_followup_settings",
    "agents.actions": "create list get update delete",
    "generations": "get",
    "voice_calls": "list transcript recording",
}


class Wire:
    """Answers every request with the same JSON, and keeps the requests."""

    def __init__(self, answer: Any = None, status: int = 200) -> None:
        self.requests: list[httpx.Request] = []
        self.answer: Any = answer or {}
        self.status = status

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(self.status, json=self.answer)

    @property
    def last(self) -> httpx.Request:
        return self.requests[-1]


def client(wire: Callable[[httpx.Request], httpx.Response], **options: Any) -> HoopAI:
    settings: dict[str, Any] = {"location_id": "loc_1", "rate_limit": None, "on_drift": ignore, **options}
    return HoopAI(KEY, http_client=httpx.AsyncClient(transport=httpx.MockTransport(wire)), **settings)


def ignore(drift: Drift) -> None:
    """Answers here are as short as the test allows."""


def operations() -> Iterator[tuple[str, str, str]]:
    for path, item in DOCUMENT["paths"].items():
        for method in item.keys() & {"get", "put", "post", "patch", "delete"}:
            yield item[method]["operationId"], method.upper(), path


@pytest.mark.parametrize("name", TABLE)
def test_the_table_of_public_names(name: str) -> None:
    namespace: Any = client(Wire())
    for part in name.split("."):
        namespace = getattr(namespace, part)
    assert isinstance(namespace, Namespace)
    for method in TABLE[name].split():
        assert callable(getattr(namespace, method)), f"{name}.{method}"
        assert inspect.getdoc(getattr(type(namespace), method)), f"{name}.{method} has no docstring"


def bound_functions() -> dict[str, str]:
    """Return the operations that namespaces bind, and the place of each."""
    found: dict[str, str] = {}
    for cls in vars(namespaces).values():
        if isinstance(cls, type) and issubclass(cls, Namespace) and cls is not Namespace:
            for name, member in vars(cls).items():
                if inspect.isfunction(member):
                    found[member.__name__] = f"{cls.__name__}.{name}"
    return found


def test_every_operation_of_the_document_is_bound_once() -> None:
    assert set(bound_functions()) == {operation for operation, _, _ in operations()}
    assert len(list(operations())) == 83


def constants() -> Iterator[Operation[Any]]:
    for tag in {tag["name"] for tag in DOCUMENT["tags"]} - {"webhooks"}:
        module = import_module(f"dialogkit.hoopai._generated.{tag}")
        yield from (value for value in vars(module).values() if isinstance(value, Operation))


def test_every_operation_is_what_the_document_says_and_its_types_build() -> None:
    generated = {each.function: each for each in constants()}
    for operation, method, path in operations():
        constant = generated[operation]
        assert (constant.method, shape(constant.path)) == (method, shape(path))
        assert constant.result_adapter is not None
        for adapter in (constant.query_adapter, constant.headers_adapter, constant.body_adapter):
            if adapter is not None:
                adapter.rebuild()


def test_lists_are_paginated() -> None:
    for operation, method, path in operations():
        if "x-items" in DOCUMENT["paths"][path][method.lower()]:
            cls, _, name = bound_functions()[operation].partition(".")
            method_ = getattr(getattr(namespaces, cls), name)
            assert inspect.signature(method_).return_annotation.__name__ == "Pager", operation


async def test_headers_and_location_are_filled_in() -> None:
    wire = Wire({"conversations": [], "total": 0})
    async with client(wire) as hoop:
        await hoop.conversations.list()
        assert wire.last.headers["Version"] == "2021-07-28"
        assert wire.last.headers["Authorization"] == f"Bearer {KEY}"
        assert str(wire.last.url) == "https://services.leadconnectorhq.com/conversations/?locationId=loc_1"
        await hoop.conversations.list(location_id="loc_2")
        assert wire.last.url.params["locationId"] == "loc_2"
        await hoop.for_location("loc_3").conversations.list()
        assert wire.last.url.params["locationId"] == "loc_3"
        await hoop.with_options(api_version="2021-04-15").conversations.list()
        assert wire.last.headers["Version"] == "2021-04-15"


async def test_the_location_is_filled_into_bodies_and_paths() -> None:
    wire = Wire({"id": "bot_1"})
    async with client(wire) as hoop:
        await hoop.bots.create(name="Sales", system_prompt="Sell.", temperature=0.7, max_tokens=500)
        assert json.loads(wire.last.content) == {
            "locationId": "loc_1",
            "name": "Sales",
            "systemPrompt": "Sell.",
            "temperature": 0.7,
            "maxTokens": 500,
        }
        await hoop.messages.recording("m 1/2")
        assert wire.last.url.raw_path == b"/conversations/messages/m%201%2F2/locations/loc_1/recording"


async def test_a_location_that_is_needed_and_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOPAI_LOCATION_ID", raising=False)
    wire = Wire()
    async with client(wire, location_id=None) as hoop:
        with pytest.raises(ConfigurationError, match=r"location_id.*HOOPAI_LOCATION_ID"):
            await hoop.messages.recording("m1")
        await hoop.conversations.list()  # which the platform also answers without one
        assert "locationId" not in wire.last.url.params
    assert len(wire.requests) == 1


def test_without_a_credential_the_error_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOPAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="HOOPAI_API_KEY"):
        HoopAI()


def test_everything_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOPAI_API_KEY", KEY)
    monkeypatch.setenv("HOOPAI_LOCATION_ID", "loc_env")
    monkeypatch.setenv("HOOPAI_BASE_URL", "http://127.0.0.1:9")
    assert repr(HoopAI()) == "HoopAI(base_url='http://127.0.0.1:9', location_id='loc_env')"


def test_tiers() -> None:
    assert client(Wire(), rate_limit=TIERS["agency"])._settings.limits == (RateLimit(120, per=60), RateLimit(20, per=1))
    assert HoopAI(KEY)._settings.limits == (RateLimit(60, per=60), RateLimit(10, per=1))
    assert HoopAI(KEY, tier="agency")._settings.limits == (RateLimit(120, per=60), RateLimit(20, per=1))
    assert HoopAI(KEY, tier=None)._settings.limiter is None
    gold: Any = "gold"
    with pytest.raises(ConfigurationError, match="standard, agency, marketplace"):
        HoopAI(KEY, tier=gold)
    enterprise: Any = "enterprise"
    with pytest.raises(ConfigurationError, match="Enterprise, are given as rate_limit="):
        HoopAI(KEY, tier=enterprise)


@on_every_backend
async def test_it_works_on_every_event_loop() -> None:
    wire = Wire({"agents": [{"id": "a1", "name": "Ada"}], "totalCount": 1, "count": 1})
    async with client(wire) as hoop:
        page = await hoop.agents.search(limit=20)
        assert isinstance(page, Page)
        assert [agent.name for agent in page] == ["Ada"]
        assert [agent.id async for agent in hoop.agents.search(limit=20)] == ["a1"]


async def test_a_closed_client_says_so() -> None:
    hoop = client(Wire({"id": "c1"}))
    view = hoop.for_location("loc_2")
    await hoop.aclose()
    await hoop.aclose()
    for closed in (hoop, view):
        with pytest.raises(ConfigurationError, match="closed"):
            await closed.conversations.get("c1")


def test_one_client_for_two_event_loops_says_so() -> None:
    hoop = client(Wire({"id": "c1"}))
    anyio.run(hoop.conversations.get, "c1")
    with pytest.raises(ConfigurationError, match="event loop"):
        anyio.run(hoop.conversations.get, "c1")


@pytest.mark.parametrize("bad", ["", ".", ".."])
async def test_an_id_that_is_no_segment_is_refused(bad: str) -> None:
    wire = Wire()
    async with client(wire) as hoop:
        with pytest.raises(InvalidArgumentError, match="conversation_id"):
            await hoop.conversations.get(bad)
    assert not wire.requests


WRONG: list[tuple[Callable[[Any], Any], str]] = [
    (lambda hoop: hoop.conversations.list(limit=101), "limit"),
    (lambda hoop: hoop.conversations.list(limit="10"), "limit"),
    (lambda hoop: hoop.conversations.list(limit=True), "limit"),
    (lambda hoop: hoop.conversations.get(7), "conversation_id"),
    (lambda hoop: hoop.messages.send(type="SMS", contact_id=None, message="x"), "contact_id"),
    (lambda hoop: hoop.messages.send(type="SMS", message="x"), "contact_id"),
    (lambda hoop: hoop.voice_agents.create(max_call_duration=1000), "max_call_duration"),
    (lambda hoop: hoop.agents.actions.create("a1", type="stopBot", name="Stop", details={}), "details"),
    (lambda hoop: hoop.voice_agents.list(page_size=51), "page_size"),
    (lambda hoop: hoop.call_logs.list(start_date=1), "end_date"),
]


@pytest.mark.parametrize(("call", "argument"), WRONG)
async def test_a_wrong_argument_is_named_before_anything_is_sent(call: Callable[[HoopAI], Any], argument: str) -> None:
    wire = Wire()
    async with client(wire) as hoop:
        with pytest.raises(InvalidArgumentError, match=argument) as caught:
            await call(hoop)
    assert "othing was sent" in str(caught.value)
    assert not wire.requests


@pytest.mark.parametrize("name", ["locationid", "api_key_", "max_retries"])
def test_an_unknown_keyword_is_a_type_error(name: str) -> None:
    unknown: Any = {name: "x"}
    with pytest.raises(TypeError, match=f"HoopAI got an unexpected keyword argument '{name}'"):
        HoopAI(KEY, **unknown)
    with pytest.raises(TypeError, match=name):
        HoopAI(KEY).with_options(**unknown)


@pytest.mark.parametrize(
    "option", [{"rate_limit": 5}, {"rate_limit": [5]}, {"retry": 5}, {"timeout": "1"}, {"tier": 1}]
)
def test_an_option_of_the_wrong_type_is_named(option: Any) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(option))):
        HoopAI(KEY, **option)


async def test_a_file_that_cannot_be_sent_is_named_as_the_caller_wrote_it() -> None:
    wire = Wire()
    files: Any = ["a.txt"]
    async with client(wire) as hoop:
        with pytest.raises(InvalidArgumentError, match="`files` is a plain string") as caught:
            await hoop.messages.upload(conversation_id="c1", files=files)
    assert caught.value.argument == "files"
    assert not wire.requests


async def test_a_missing_argument_is_a_type_error() -> None:
    send: Any = client(Wire()).messages.send
    with pytest.raises(TypeError, match="type"):
        await send(message="x")


async def test_absent_and_null_differ() -> None:
    wire = Wire({"id": "a1"})
    async with client(wire) as hoop:
        await hoop.agents.update("a1", auto_pilot_max_messages=10)
        assert json.loads(wire.last.content) == {"autoPilotMaxMessages": 10}
        await hoop.agents.update("a1", auto_pilot_max_messages=10, sleep_time=None)
        assert json.loads(wire.last.content) == {"autoPilotMaxMessages": 10, "sleepTime": None}


async def test_a_union_body_takes_models_and_mappings() -> None:
    wire = Wire({"data": {"id": "x1", "name": "Stop", "type": "stopBot"}, "success": True})
    details = models.StopBotDetails(
        stop_bot_detection_type="Goodbye",
        stop_bot_trigger_condition="The contact says goodbye",
        reactivate_enabled=False,
        enabled=True,
        stop_bot_examples=["bye", "see you"],
        final_message="Bye!",
    )
    async with client(wire) as hoop:
        action = await hoop.agents.actions.create("a1", type="stopBot", name="Stop", details=details)
        first = json.loads(wire.last.content)
        await hoop.agents.actions.create(
            "a1", type="stopBot", name="Stop", details=details.model_dump(exclude_unset=True)
        )
        assert json.loads(wire.last.content) == first
    assert first["type"] == "stopBot"
    assert first["details"]["stopBotExamples"] == ["bye", "see you"]
    assert isinstance(action, models.StopBotAction)
    assert action.id == "x1"


async def test_an_unknown_kind_of_action_arrives_whole() -> None:
    wire = Wire({"data": [{"id": "x1", "name": "New", "type": "teleport", "details": {"to": "Mars"}}], "success": True})
    async with client(wire) as hoop:
        (action,) = await hoop.agents.actions.list("a1")
    assert action.type == "teleport"
    assert action.model_dump()["details"] == {"to": "Mars"}


def test_importing_builds_no_model_and_loads_no_client() -> None:
    program = (
        "import sys, dialogkit\n"
        "assert not [m for m in sys.modules if m.startswith(('httpx', 'aiohttp', 'pydantic'))]\n"
        "dialogkit.HoopAI\n"
        "assert 'dialogkit.hoopai._generated.models' not in sys.modules\n"
        "assert 'dialogkit.testing' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
