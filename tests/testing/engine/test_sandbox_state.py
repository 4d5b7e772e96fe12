from __future__ import annotations

import io
import re
import wave

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from dialogkit.testing import Sandbox
from dialogkit.testing.engine.ids import Ids
from dialogkit.testing.engine.paging import after_id, numbered
from dialogkit.testing.engine.refusals import Refusal
from dialogkit.testing.engine.state import State, Table, iso, parse_iso
from dialogkit.testing.hoopai.wav import RATE, tone
from tests.testing.tools import HERE, client_of, ok


def test_ids_look_like_the_platforms() -> None:
    ids = Ids()
    minted = [ids.mint("conv") for _ in range(1000)]
    assert len(set(minted)) == 1000
    assert all(re.fullmatch(r"conv_[A-Za-z0-9]{15}", id_) for id_ in minted)
    assert [Ids().mint("conv"), Ids().uuid("trace")] == [minted[0], ids.uuid("trace")]


def test_time_never_stands_still() -> None:
    state = State("loc", lambda: 5.0)
    assert [state.now_ms(), state.now_ms(), state.now()] == [5000, 5001, "1970-01-01T00:00:05.002Z"]


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_dates_survive(milliseconds: int) -> None:
    assert parse_iso(iso(milliseconds)) == milliseconds


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:01.5Z", 1500),
        ("1970-01-01t00:00:01.123456789z", 1123),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00", 0),
    ],
)
def test_dates_come_in_many_forms(text: str, milliseconds: int) -> None:
    assert parse_iso(text) == milliseconds


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_what_is_no_date(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the wording is datetime's
        parse_iso(text)


def test_tables_find_by_values() -> None:
    table = Table("thing", "thing", Ids())
    table.add({"colour": "red"}, "a")
    table.add({"colour": "blue"}, "b")
    assert [row["id"] for row in table.find(colour="blue")] == ["b"]
    assert ("a" in table, "c" in table, len(table)) == (True, False, 2)
    table.remove_all(colour="red")
    with pytest.raises(Refusal, match="404"):
        table.get("a")


@given(st.lists(st.integers(), max_size=50), st.integers(1, 10))
def test_numbered_pages_are_the_whole(rows: list[int], size: int) -> None:
    pages = [numbered(rows, n, size) for n in range(1, len(rows) // size + 3)]
    assert [row for page in pages for row in page] == rows


@given(st.integers(0, 50), st.integers(1, 10))
def test_pages_by_id_are_the_whole(count: int, limit: int) -> None:
    rows = [{"id": str(n)} for n in range(count)]
    found: list[str] = []
    more, last = True, None
    while more:
        page, more = after_id(rows, last, limit, "thing")
        found += [row["id"] for row in page]
        last = page[-1]["id"] if page else None
    assert found == [row["id"] for row in rows]


@pytest.mark.parametrize(("seconds", "lasts"), [(0, 0), (0.5, 0.5), (12, 12), (3600, 60)])
def test_a_tone_is_a_wav_file(seconds: float, lasts: float) -> None:
    with wave.open(io.BytesIO(tone(seconds))) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, RATE)
        assert sound.getnframes() / RATE == lasts


def test_helpers_that_have_no_place_to_go(sandbox: Sandbox) -> None:
    with pytest.raises(LookupError, match="no conversation 'nowhere'"):
        sandbox.add_messages("nowhere", 1)


def test_helpers_add_to_any_location(sandbox: Sandbox) -> None:
    place = {"locationId": sandbox.add_location("loc_other")}
    sandbox.add_location("loc_other")
    (conversation,) = sandbox.add_conversations(1, location_id="loc_other")
    sandbox.add_messages(conversation, 1, channel="Call", direction="outbound")
    sandbox.add_agents(2, location_id="loc_other")
    call = sandbox.add_voice_call(location_id="loc_other", agent_id="gone")
    with client_of(sandbox) as api:
        assert ok(api.get("/conversations/", params=place))["total"] == 1
        assert [row["id"] for row in ok(api.get("/voice-ai/calls", params=place))["calls"]] == [call]
        assert len(ok(api.get(f"/conversations/{conversation}/messages"))["messages"]["messages"]) == 2
    with client_of(sandbox, sandbox.add_token(location_id="loc_other")) as api:
        assert ok(api.get("/conversation-ai/agents/search"))["totalCount"] == 2


class Inbox(RuleBasedStateMachine):
    """Whatever is sent, read and deleted in any order, what can be read is what was sent and not deleted."""

    conversations: Bundle[str] = Bundle("conversations")
    api: httpx.Client

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, list[str]] = {}

    @rule(target=conversations)
    def open(self) -> str:
        id_: str = ok(self.api.post("/conversations/", json={**HERE, "contactId": "c"}))["conversation"]["id"]
        self.kept[id_] = []
        return id_

    @rule(id_=conversations, inbound=st.booleans())
    def write(self, id_: str, *, inbound: bool) -> None:
        body = {"type": "SMS", "conversationId": id_, **({"direction": "inbound"} if inbound else {})}
        sent = ok(self.api.post(f"/conversations/messages{'/inbound' if inbound else ''}", json=body))
        self.kept[id_].append(sent["messageId"])

    @rule(id_=consumes(conversations))
    def delete(self, id_: str) -> None:
        ok(self.api.delete(f"/conversations/{id_}"))
        for message in self.kept.pop(id_):
            assert self.api.get(f"/conversations/messages/{message}").status_code == 404

    @invariant()
    def what_is_listed_is_what_was_kept(self) -> None:
        rows = ok(self.api.get("/conversations/search", params={**HERE, "limit": 100}))["conversations"]
        assert {row["id"] for row in rows} == set(self.kept)
        for id_, messages in self.kept.items():
            page = ok(self.api.get(f"/conversations/{id_}/messages", params={"limit": 100}))["messages"]
            assert [row["id"] for row in page["messages"]] == messages[::-1]


def test_an_inbox_in_any_order() -> None:
    with Sandbox(tier=None, seed=False, validate_responses=True) as sandbox, client_of(sandbox) as api:

        class Machine(Inbox):
            def __init__(self) -> None:
                sandbox.reset()
                self.api = api
                super().__init__()

        limits = settings(max_examples=15, stateful_step_count=20, derandomize=True, deadline=None, database=None)
        run_state_machine_as_test(Machine, settings=limits)
