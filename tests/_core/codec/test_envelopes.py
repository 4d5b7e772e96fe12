"""An answer is read whether the platform wraps it or not, wherever its document says that it might."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from dialogkit._core.call import Operation
from dialogkit._core.codec.decoding import decode
from dialogkit._core.codec.models import Model
from dialogkit._core.events import Drift

ROOT = Path(__file__).resolve().parents[3]
PLATFORMS = ("hoopai", "hoverbot", "convoai")


class Thing(Model):
    id: str | None = None
    status: str | None = None


class ThingPage(Model):
    things: list[Thing] | None = None


def operation(result: Callable[[], Any] = lambda: Thing, **options: Any) -> Operation[Any]:
    given = {"also_wrapped_in": ("thing", "data"), **options}
    return Operation(id="get_thing", method="GET", path="/things/{thing_id}", retry="safe", result=result, **given)


def read(of: Operation[Any], answer: Any, *, strict: bool = True) -> tuple[Any, list[Drift]]:
    drifts: list[Drift] = []
    content = json.dumps(answer).encode()
    return decode(of, content, strict=strict, on_drift=drifts.append, request_id=None), drifts


@pytest.mark.parametrize(
    "answer",
    [
        {"id": "t1", "traceId": "q"},
        {"thing": {"id": "t1"}, "traceId": "q"},
        {"data": {"id": "t1"}, "success": True},
        {"thing": None, "data": {"id": "t1"}},
        {"id": "t1", "data": {"id": "another"}},  # it has its own id, so `data` is a field like others
    ],
)
def test_both_forms_are_read(answer: Any) -> None:
    found, drifts = read(operation(), answer)
    assert (found.id, drifts) == ("t1", [])


@pytest.mark.parametrize("answer", [{}, {"traceId": "q"}, {"data": "text"}, {"data": []}, {"other": {"id": "t1"}}])
def test_what_is_no_envelope_is_read_as_it_stands(answer: Any) -> None:
    found, drifts = read(operation(), answer)
    assert (found.id, found.model_extra, drifts) == (None, answer, [])


def test_an_envelope_that_the_document_shows_may_have_another_name() -> None:
    wrapped = operation(unwrap="thing", also_wrapped_in=("data",))
    for answer in ({"thing": {"id": "t1"}}, {"data": {"id": "t1"}}, {"id": "t1"}):
        assert read(wrapped, answer)[0].id == "t1"


@pytest.mark.parametrize(
    "answer",
    [
        {"things": [{"id": "t1"}]},
        [{"id": "t1"}],
        {"data": {"things": [{"id": "t1"}]}, "success": True},
        {"data": [{"id": "t1"}]},
    ],
)
def test_a_list_is_read_in_each_of_its_forms(answer: Any) -> None:
    page, drifts = read(operation(lambda: ThingPage, items="things"), answer)
    assert ([thing.id for thing in page.things], drifts) == (["t1"], [])


def test_what_is_different_inside_an_envelope_is_reported_where_it_stands() -> None:
    found, drifts = read(operation(), {"data": {"id": "t1", "status": {"odd": 1}}}, strict=False)
    assert found.status == {"odd": 1}
    assert [each.location for each in drifts] == ["status"]


def documented() -> list[Any]:
    """Every operation of every document that answers with an object, with what its document says of it."""
    found: list[Any] = []
    for platform in PLATFORMS:
        document = yaml.safe_load((ROOT / "openapi" / f"{platform}.yaml").read_text(encoding="utf-8"))
        for item in document["paths"].values():
            operations = [raw for raw in item.values() if isinstance(raw, dict)]
            found += [pytest.param(platform, raw, id=f"{platform}-{raw['operationId']}") for raw in operations]
    return found


def constant(platform: str, raw: Mapping[str, Any]) -> Operation[Any]:
    module = import_module(f"dialogkit.{platform}._generated.{raw['tags'][0]}")
    found: Operation[Any] = getattr(module, raw["operationId"].upper())
    return found


NEVER_WRAPPED = {
    # Recorded or documented bare, by many and of one voice.
    "send_message", "add_inbound_message", "add_outbound_call", "update_message_status", "reply_to_review",
    "upload_files", "get_access_token", "get_location_token", "list_installed_locations",
    "cancel_scheduled_message", "cancel_scheduled_email",
    # Nothing comes back but that it worked.
    "delete_bot", "delete_bot_knowledge", "delete_conversation", "delete_agent", "delete_agent_action",
    "set_live_chat_typing", "update_knowledge_base", "delete_knowledge_base", "update_faq", "delete_faq",
    "delete_crawled_pages", "train_pages",
    # The answer is given as it comes.
    "list_custom_subtypes", "create_custom_subtype", "update_custom_subtype", "get_unsubscription_status",
    "change_unsubscription",
    # Wrapped by what the document shows, and nothing else is to be expected.
    "list_messages", "list_agent_actions", "list_knowledge_bases", "discover_pages", "get_crawl_status",
    # Arrays.
    "get_message_transcription",
}  # fmt: skip


@pytest.mark.parametrize(("platform", "raw"), documented())
def test_every_operation_whose_answer_may_come_wrapped_reads_both_forms(platform: str, raw: Mapping[str, Any]) -> None:
    made = constant(platform, raw)
    if (
        made.answer != "json"
        or (platform == "hoopai" and raw["operationId"] in NEVER_WRAPPED)
        or raw["operationId"] == "delete_agent"
    ):
        assert made.also_wrapped_in == ()
        return
    names = [*made.also_wrapped_in, *([made.unwrap] if made.unwrap else [])]
    assert names
    bare: Any = {made.items: []} if made.items else {"id": "x1", "_id": "x1"}
    wanted, _ = read(made, bare, strict=False)
    for name in names:
        found, _ = read(made, {name: bare, "traceId": "q"}, strict=False)
        assert found == wanted, name
