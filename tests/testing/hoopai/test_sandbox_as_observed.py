"""Answers in the shapes that were observed of the live platform in November 2026, rather than documented."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from dialogkit.testing import Sandbox
from tests.testing.tools import HERE, client_of, ok

LIVE = "conversation_live"
SEND = "/conversations/messages"


@pytest.fixture(scope="module")
def live() -> Iterator[httpx.Client]:
    with Sandbox(tier=None, seed="live", validate_responses=True) as sandbox, client_of(sandbox) as api:
        yield api


@pytest.fixture(scope="module")
def lenient() -> Iterator[httpx.Client]:
    with Sandbox(tier=None, lenient=True) as sandbox, client_of(sandbox) as api:
        yield api


@pytest.mark.parametrize(
    "path", ["/conversations/conversation_1", "/conversations/search", "/conversation-ai/agents/agent_1", "/nowhere"]
)
def test_every_body_has_the_id_of_the_request(api: httpx.Client, path: str) -> None:
    assert len({api.get(path).json()["traceId"] for _ in range(2)}) == 2


def test_an_email_is_wrapped(api: httpx.Client, lenient: httpx.Client) -> None:
    assert api.get(f"{SEND}/email/email_1").json().keys() == {"emailMessage", "traceId"}
    assert lenient.get(f"{SEND}/email/email_1").json()["id"] == "email_1"


def test_rows_of_a_search_carry_their_cursor(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.add_conversations(5, scores={"p": 7})  # which no date can page
    query: dict[str, Any] = {**HERE, "limit": 3, "sortBy": "score_profile", "sortScoreProfile": "p"}
    seen: list[str] = []
    page = ok(api.get("/conversations/search", params=query))
    while rows := page["conversations"]:
        seen += [row["id"] for row in rows]
        page = ok(api.get("/conversations/search", params={**query, "startAfterDate": rows[-1]["sort"]}))
    assert len(seen) == len(set(seen)) == page["total"] == 7


def test_a_search_shows_live_rows(live: httpx.Client) -> None:
    (row,) = ok(live.get("/conversations/search", params={**HERE, "id": LIVE}))["conversations"]
    assert row["lastMessageType"] == "TYPE_NO_SHOW"
    assert not {"lastMessageBody", "email", "phone"} & row.keys()


def test_a_conversation_is_shown_in_part(live: httpx.Client) -> None:
    got = ok(live.get(f"/conversations/{LIVE}"))
    assert not {"unreadCount", "inbox"} & got.keys()
    assert got["lastMessageType"] == 100
    assert got["lastMessageDate"].keys() == {"seconds", "nanoseconds"}
    changed = ok(live.put(f"/conversations/{LIVE}", json={**HERE, "starred": True}))["conversation"]
    assert changed["lastMessageType"] == 100
    assert changed["lastMessageDate"] == changed["dateAdded"]  # ISO 8601, as it was recorded here
    assert not {"unreadCount", "inbox"} & changed.keys()


def test_messages_are_shown_in_part_and_with_ends(live: httpx.Client) -> None:
    shown = ok(live.get(f"/conversations/{LIVE}/messages"))["messages"]["messages"]
    rows: dict[str, Any] = {row["id"]: row for row in shown}
    text, call, activity = (rows[f"message_live{more}"] for more in ("", "_call", "_activity"))
    assert (text["from"], text["to"]) == ("+15551234567", "+15557654321")
    assert "contentType" not in call
    assert activity["activity"].keys() == {"title", "type", "data"}


def test_other_rows_stay_whole(live: httpx.Client) -> None:
    assert {"unreadCount", "inbox"} <= ok(live.get("/conversations/conversation_1")).keys()


def test_a_call_that_was_not_recorded(live: httpx.Client) -> None:
    recording = live.get(f"{SEND}/message_live_call/locations/loc_sandbox/recording")
    assert (recording.status_code, recording.json()["message"]) == (400, "CONVERSATIONS_MSG_RECORDING_NOT_FOUND")
    path = "/conversations/locations/loc_sandbox/messages/message_live_call/transcription"
    assert live.get(path).status_code == live.get(f"{path}/download").status_code == 422


def test_a_custom_message_without_a_provider_comes_to_nothing(api: httpx.Client, lenient: httpx.Client) -> None:
    body = {"type": "Custom", "conversationId": "conversation_1", "message": "Hello!"}
    before = ok(api.get("/conversations/conversation_1/messages"))
    answer = api.post(f"{SEND}/inbound", json=body)
    assert (answer.status_code, answer.content) == (201, b"")
    assert ok(api.get("/conversations/conversation_1/messages")) == before
    assert ok(lenient.post(f"{SEND}/inbound", json=body))["messageId"]


def test_a_call_log_says_whether_it_was_passed_on(api: httpx.Client) -> None:
    assert ok(api.get("/voice-ai/dashboard/call-logs/call_1", params=HERE))["agentTransferOccurred"] is False


def test_a_location_s_token_can_be_refreshed(api: httpx.Client, sandbox: Sandbox) -> None:
    form = {"client_id": sandbox.client_id, "client_secret": sandbox.client_secret, "grant_type": "client_credentials"}
    company = ok(api.post("/oauth/token", data=form))["access_token"]
    with client_of(sandbox, company) as agency:
        wanted = {"companyId": sandbox.company_id, **HERE}
        token = ok(agency.post("/oauth/locationToken", data=wanted))["refresh_token"]
    renewed = ok(api.post("/oauth/token", data={**form, "grant_type": "refresh_token", "refresh_token": token}))
    assert renewed["locationId"] == "loc_sandbox"


def test_scopes_are_granted_and_told(api: httpx.Client, sandbox: Sandbox) -> None:
    code = sandbox.authorize(scopes=["conversations.readonly"])
    form = {"client_id": sandbox.client_id, "client_secret": sandbox.client_secret, "grant_type": "authorization_code"}
    token = ok(api.post("/oauth/token", data={**form, "code": code}))
    assert token["scope"] == "conversations.readonly"
    with client_of(sandbox, token["access_token"]) as client:
        ok(client.get("/conversations/conversation_1"))
        answer = client.get("/conversations/messages/message_1")
    assert (answer.status_code, answer.json()["message"]) == (401, "The token is not authorized for this scope.")


def test_only_hoopai_has_live_rows() -> None:
    with pytest.raises(ValueError, match="ConvoAI has no seed 'live'"):
        Sandbox(platform="convoai", seed="live")
