from __future__ import annotations

from typing import Any

import httpx
import pytest

from dialogkit.testing import Sandbox
from tests.testing.tools import ok, refused

AGENTS = "/conversation-ai/agents"
NEW = {"name": "Booker", "personality": "Kind", "goal": "Book", "instructions": "Ask"}
STOP = {
    "stopBotDetectionType": "Goodbye",
    "stopBotTriggerCondition": "They say goodbye",
    "reactivateEnabled": False,
    "enabled": True,
    "stopBotExamples": ["bye", "see you"],
    "finalMessage": "Bye!",
}
BOOK = {
    "calendarId": "c",
    "onlySendLink": False,
    "triggerWorkflow": False,
    "sleepAfterBooking": False,
    "transferBot": False,
    "rescheduleEnabled": False,
    "cancelEnabled": False,
}
HAND_OVER = {
    "enabled": True,
    "triggerCondition": "t",
    "reactivateEnabled": False,
    "finalMessage": "f",
    "handoverType": "lackOfInformation",
}
TRANSFER = {"transferBotType": "Default", "transferToBot": "b", "enabled": True}
STEP = {"id": 1, "followupTime": 1, "followupTimeUnit": "hours"}
FOLLOW_UP = {"enabled": True, "scenarioId": "contactIsBusy", "followupSequence": [STEP]}


def test_an_agent_lives_and_dies(api: httpx.Client) -> None:
    agent = ok(api.post(AGENTS, json=NEW))
    assert (agent["mode"], agent["waitTime"], agent["waitTimeUnit"], agent["isPrimary"]) == ("off", 2, "seconds", False)
    assert "respondToImages" not in agent
    path = f"{AGENTS}/{agent['id']}"
    changed = ok(api.put(path, json={"autoPilotMaxMessages": 5, "mode": "auto-pilot"}))
    assert changed == {**agent, "autoPilotMaxMessages": 5, "mode": "auto-pilot"}
    refused(api.put(path, json={"mode": "off"}), 400)
    assert ok(api.get(path)) == changed
    assert ok(api.delete(path)) == {"success": True, "id": agent["id"]}
    refused(api.get(path), 404)


def test_the_first_agent_is_primary_and_there_is_only_one(api: httpx.Client) -> None:
    assert ok(api.get(f"{AGENTS}/agent_1"))["isPrimary"] is True
    second = ok(api.post(AGENTS, json={**NEW, "isPrimary": True}))
    assert second["isPrimary"] is True
    assert ok(api.get(f"{AGENTS}/agent_1"))["isPrimary"] is False
    assert "mode" in refused(api.put(f"{AGENTS}/{second['id']}", json={"autoPilotMaxMessages": 5}), 400)
    ok(api.put(f"{AGENTS}/agent_1", json={"autoPilotMaxMessages": 5}))


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"waitTime": 5, "waitTimeUnit": "minutes"}, 201),
        ({"waitTime": 6, "waitTimeUnit": "minutes"}, 422),
        ({"waitTime": 301}, 422),
        ({"sleepEnabled": True}, 400),
        ({"sleepEnabled": True, "sleepTime": None, "sleepTimeUnit": None}, 201),
        ({"sleepEnabled": True, "sleepTime": 48, "sleepTimeUnit": "hours"}, 201),
        ({"sleepEnabled": True, "sleepTime": 49, "sleepTimeUnit": "hours"}, 422),
        ({"autoPilotMaxMessages": 101}, 422),
        ({"channels": ["SMS", "Live_Chat"]}, 201),
        ({"channels": ["LIVE_CHAT"]}, 422),
    ],
)
def test_rules_for_agents(api: httpx.Client, settings: dict[str, Any], status: int) -> None:
    assert api.post(AGENTS, json={**NEW, **settings}).status_code == status


def test_search_pages_by_the_last_id(api: httpx.Client, sandbox: Sandbox) -> None:
    ids = ["agent_1", *sandbox.add_agents(24)]
    first = ok(api.get(f"{AGENTS}/search"))
    assert (first["count"], first["totalCount"]) == (20, 25)
    second = ok(api.get(f"{AGENTS}/search", params={"startAfter": first["agents"][-1]["id"]}))
    assert [row["id"] for row in [*first["agents"], *second["agents"]]] == ids
    assert ok(api.get(f"{AGENTS}/search", params={"startAfter": "", "limit": 3}))["count"] == 3
    found = ok(api.get(f"{AGENTS}/search", params={"query": "agent 2"}))
    assert (found["count"], found["totalCount"]) == (6, 25)
    assert ok(api.get(f"{AGENTS}/search", params={"query": "Agent 2"}))["count"] == 0, "it must be in lower case"
    assert found["agents"][0]["goal"] == {"prompt": "Book appointments.", "type": "prompt", "actionId": None}
    refused(api.get(f"{AGENTS}/search", params={"startAfter": "nobody"}), 404)


def test_deleting_an_agent_erases_its_conversations(api: httpx.Client, sandbox: Sandbox) -> None:
    (id_,) = sandbox.add_conversations(1, agentId="agent_1")
    ok(api.delete(f"{AGENTS}/agent_1"))
    refused(api.get(f"/conversations/{id_}"), 404)
    refused(api.get("/conversations/conversation_2"), 404)
    refused(api.get("/conversations/messages/message_2"), 404)
    ok(api.get("/conversations/conversation_1"))


def test_an_action_lives_and_dies(api: httpx.Client) -> None:
    path = f"{AGENTS}/agent_1/actions"
    action = ok(api.post(path, json={"type": "stopBot", "name": "Stop", "details": STOP}))["data"]
    assert ok(api.get(f"{AGENTS}/agent_1"))["actions"] == [{"id": action["id"], "type": "stopBot"}]
    assert ok(api.get(f"{path}/list"))["data"] == [action]
    changed = {"type": "transferBot", "name": "Pass on", "details": TRANSFER}
    assert ok(api.put(f"{path}/{action['id']}", json=changed))["data"] == {**action, **changed}
    assert ok(api.get(f"{path}/{action['id']}"))["data"]["type"] == "transferBot"
    other = ok(api.post(AGENTS, json=NEW))["id"]
    refused(api.get(f"{AGENTS}/{other}/actions/{action['id']}"), 404)
    assert ok(api.delete(f"{path}/{action['id']}"))["data"] == {"id": action["id"]}
    refused(api.get(f"{path}/{action['id']}"), 404)
    assert ok(api.get(f"{AGENTS}/agent_1"))["actions"] == []


@pytest.mark.parametrize(
    ("kind", "details", "status"),
    [
        ("stopBot", {**STOP, "stopBotExamples": ["bye"]}, 422),
        ("stopBot", {**STOP, "reactivateEnabled": True}, 400),
        ("stopBot", {**STOP, "reactivateEnabled": True, "sleepTime": 1, "sleepTimeUnit": "days"}, 201),
        ("appointmentBooking", BOOK, 201),
        ("appointmentBooking", {**BOOK, "triggerWorkflow": True}, 400),
        ("appointmentBooking", {**BOOK, "triggerWorkflow": True, "workflowIds": ["w"]}, 201),
        ("appointmentBooking", {**BOOK, "sleepAfterBooking": True}, 400),
        ("appointmentBooking", {**BOOK, "transferBot": True}, 400),
        ("appointmentBooking", {**BOOK, "onlySendLink": True, "cancelEnabled": True}, 422),
        ("humanHandOver", HAND_OVER, 201),
        ("humanHandOver", {**HAND_OVER, "handoverType": "custom"}, 400),
        ("humanHandOver", {**HAND_OVER, "handoverType": "custom", "examples": ["e"]}, 201),
        ("transferBot", {**TRANSFER, "transferBotType": "Custom"}, 400),
        (
            "transferBot",
            {
                **TRANSFER,
                "transferBotType": "Custom",
                "transferBotTriggerCondition": "c",
                "transferBotExamples": ["e"],
            },
            422,
        ),
        ("advancedFollowup", FOLLOW_UP, 201),
        ("advancedFollowup", {**FOLLOW_UP, "followupSequence": [{**STEP, "followupTime": 25}]}, 422),
        ("advancedFollowup", {**FOLLOW_UP, "followupSequence": [{**STEP, "aiEnabledMessage": False}]}, 400),
        ("advancedFollowup", {**FOLLOW_UP, "followupSequence": [{**STEP, "triggerWorkflow": True}]}, 400),
        ("updateContactField", {"contactFieldId": "f", "description": "d"}, 201),
        ("triggerWorkflow", {"workflowIds": ["w"]}, 400),
        ("singASong", {}, 422),
    ],
)
def test_rules_for_actions(api: httpx.Client, kind: str, details: dict[str, Any], status: int) -> None:
    answer = api.post(f"{AGENTS}/agent_1/actions", json={"type": kind, "name": "A", "details": details})
    assert answer.status_code == status, answer.text


def test_followup_settings(api: httpx.Client) -> None:
    path, settings = f"{AGENTS}/agent_1", {"dynamicChannelSwitching": True, "timezoneToUse": "contact"}
    actions = [
        ok(api.post(f"{path}/actions", json={"type": kind, "name": "A", "details": details}))["data"]["id"]
        for kind, details in (("advancedFollowup", FOLLOW_UP), ("advancedFollowup", FOLLOW_UP), ("stopBot", STOP))
    ]
    body = {"actionIds": actions[:2], "followupSettings": settings}
    assert ok(api.patch(f"{path}/followup-settings", json=body))["data"]["id"] == actions[1]
    rows = ok(api.get(f"{path}/actions/list"))["data"]
    assert [row["details"].get("followupSettings") for row in rows] == [settings, settings, None]
    for wrong, status in ((actions, 422), ([], 422), (["nothing"], 404)):
        refused(api.patch(f"{path}/followup-settings", json={**body, "actionIds": wrong}), status)


def test_a_generation_shows_what_came_before(api: httpx.Client) -> None:
    sent = ok(api.post("/conversations/messages", json={"type": "SMS", "contactId": "contact_1", "message": "Yes"}))
    query = {"messageId": sent["messageId"], "source": "conversation"}
    generation = ok(api.get("/conversation-ai/generations", params=query))
    assert (generation["responseMessage"], generation["history"][0]) == (
        "Yes",
        {"role": "user", "content": "Are you open today?"},
    )
    refused(api.get("/conversation-ai/generations", params={**query, "messageId": "nothing"}), 404)
    refused(api.get("/conversation-ai/generations", params={**query, "source": "dream"}), 422)
