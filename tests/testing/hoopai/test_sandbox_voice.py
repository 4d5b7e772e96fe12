from __future__ import annotations

import io
import wave
from typing import Any

import httpx
import pytest

from dialogkit.testing import Sandbox
from tests.testing.tools import HERE, Clock, ok, refused

AGENTS, ACTIONS, CALLS = "/voice-ai/agents", "/voice-ai/actions", "/voice-ai/calls"
LOGS = "/voice-ai/dashboard/call-logs"
SMS = {
    **HERE,
    "agentId": "voice_agent_1",
    "actionType": "SMS",
    "name": "Text",
    "actionParameters": {"triggerPrompt": "asks", "triggerMessage": "Sent.", "messageBody": "Hello"},
}


def test_a_voice_agent_lives_and_dies(api: httpx.Client) -> None:
    agent = ok(api.post(AGENTS, json={**HERE, "agentName": "Night shift"}))
    assert (agent["language"], agent["maxCallDuration"], agent["inboundNumber"]) == ("en-US", 300, None)
    path = f"{AGENTS}/{agent['id']}"
    changed = ok(api.patch(path, params=HERE, json={"maxCallDuration": 180, "inboundNumber": "+15550001111"}))
    assert changed == {**agent, "maxCallDuration": 180, "inboundNumber": "+15550001111"}
    assert ok(api.get(path, params=HERE)) == {**changed, "actions": []}
    deleted = api.delete(path, params=HERE)
    assert (deleted.status_code, deleted.content) == (204, b"")
    refused(api.get(path, params=HERE), 404)
    refused(api.patch(f"{AGENTS}/voice_agent_1", params=HERE, json={"maxCallDuration": 179}), 422)


def test_voice_agents_page_by_number(api: httpx.Client) -> None:
    for n in range(11):
        ok(api.post(AGENTS, json={**HERE, "agentName": f"Agent {n}"}))

    def page(**query: Any) -> dict[str, Any]:
        answer: dict[str, Any] = ok(api.get(AGENTS, params={**HERE, **query}))
        return answer

    assert [len(page(page=n)["agents"]) for n in (1, 2, 3)] == [10, 2, 0]
    assert (page()["total"], page()["page"], page()["pageSize"]) == (12, 1, 10)
    assert page(query="agent 1")["total"] == 2
    refused(api.get(AGENTS, params={**HERE, "pageSize": 51}), 422)


@pytest.mark.parametrize(
    ("language", "target", "status"),
    [("en-US", "es", 422), ("es", "en-US", 201), ("es", "es", 201), ("es", "fr", 422)],
)
def test_translation_is_to_the_own_language_or_english(
    api: httpx.Client, language: str, target: str, status: int
) -> None:
    translation = {"enabled": True, "language": target}
    answer = api.post(AGENTS, json={**HERE, "language": language, "translation": translation})
    assert answer.status_code == status


def test_a_voice_action_lives_and_dies(api: httpx.Client) -> None:
    action = ok(api.post(ACTIONS, json=SMS))
    assert set(action) == {"id", "actionType", "name", "actionParameters"}
    path = f"{ACTIONS}/{action['id']}"
    assert ok(api.get(path, params=HERE)) == action
    (attached,) = ok(api.get(f"{AGENTS}/voice_agent_1", params=HERE))["actions"]
    assert attached == {"_id": action["id"], **{name: action[name] for name in action if name != "id"}}, "as observed"
    assert ok(api.put(path, json={**SMS, "name": "Letter"}))["name"] == "Letter"
    other = ok(api.post(AGENTS, json=HERE))["id"]
    refused(api.put(path, json={**SMS, "agentId": other}), 404)
    refused(api.delete(path, params={**HERE, "agentId": other}), 404)
    assert api.delete(path, params={**HERE, "agentId": "voice_agent_1"}).status_code == 204
    refused(api.get(path, params=HERE), 404)
    refused(api.post(ACTIONS, json={**SMS, "agentId": "nobody"}), 404)


@pytest.mark.parametrize(
    ("method", "paths", "status"),
    [("GET", ["a"], 201), ("GET", [], 422), ("POST", [], 201), ("POST", ["a"], 422)],
)
def test_custom_actions_read_paths_only_from_what_they_get(
    api: httpx.Client, method: str, paths: list[str], status: int
) -> None:
    details = {"url": "https://example.com", "method": method}
    parameters = {"triggerPrompt": "p", "triggerMessage": "m", "apiDetails": details, "selectedPaths": paths}
    body = {**SMS, "actionType": "CUSTOM_ACTION", "actionParameters": parameters}
    assert api.post(ACTIONS, json=body).status_code == status


def test_calls_are_filtered(api: httpx.Client, sandbox: Sandbox) -> None:
    outbound = sandbox.add_voice_call(direction="outbound")

    def found(**query: str) -> list[str]:
        answer = ok(api.get(CALLS, params={**HERE, **query}))
        assert answer["total"] == len(answer["calls"])
        return [row["id"] for row in answer["calls"]]

    assert found() == [outbound, "call_1"]
    assert found(direction="inbound") == ["call_1"]
    assert found(agentId="voice_agent_1") == ["call_1"]
    assert found(startDate="2030-01-01T00:00:00Z") == []
    assert found(endDate="2020-01-01T00:00:00+02:00") == []
    refused(api.get(CALLS, params={**HERE, "startDate": "2030"}), 422)
    refused(api.get(CALLS, params={**HERE, "startDate": "0001-01-01T00:00:00+23:59"}), 422)


def test_a_transcript(api: httpx.Client) -> None:
    transcript = ok(api.get(f"{CALLS}/call_1/transcript", params=HERE))
    assert transcript["segments"][-1]["endTime"] == 20
    assert transcript["segments"][1]["sentiment"] == {"score": -0.6, "label": "negative"}
    refused(api.get(f"{CALLS}/nothing/transcript", params=HERE), 404)


def test_a_recording_is_a_link_for_24_hours_without_the_header(api: httpx.Client, clock: Clock) -> None:
    answer = ok(api.get(f"{CALLS}/call_1/recording", params=HERE))
    assert answer["expiresAt"] == "2027-01-16T08:00:00.000Z"
    assert "Authorization" in refused(api.get(answer["url"]), 400)
    clock.now += 24 * 3600 - 1
    sound = httpx.get(answer["url"])
    assert sound.headers["Content-Type"] == "audio/x-wav"
    with wave.open(io.BytesIO(sound.content)) as read:
        assert read.getnframes() / read.getframerate() == 20
    refused(httpx.get(answer["url"].replace("signature=", "signature=x")), 403)
    refused(httpx.get(answer["url"].partition("?")[0]), 403)
    clock.now += 1
    assert "lapsed" in refused(httpx.get(answer["url"]), 403)


def test_the_log_of_calls(api: httpx.Client, sandbox: Sandbox) -> None:
    actions = [{"actionType": "SMS", "actionName": "Text"}]
    trial = sandbox.add_voice_call(trialCall=True, duration=5, contactId="contact_9", executedCallActions=actions)
    filters: list[tuple[dict[str, Any], list[str]]] = [
        ({}, [trial, "call_1"]),
        ({"callType": "TRIAL"}, [trial]),
        ({"callType": "LIVE"}, ["call_1"]),
        ({"contactId": "contact_9,contact_8"}, [trial]),
        ({"actionType": "SMS,CALL_TRANSFER"}, [trial]),
        ({"agentId": "voice_agent_1"}, ["call_1"]),
        ({"sortBy": "duration"}, ["call_1", trial]),
        ({"sortBy": "duration", "sort": "ascend"}, [trial, "call_1"]),
        ({"sortBy": "createdAt", "sort": "ascend"}, ["call_1", trial]),
        ({"pageSize": 1, "page": 2}, ["call_1"]),
        ({"startDate": 1, "endDate": 2}, []),
    ]
    for query, found in filters:
        assert [row["id"] for row in ok(api.get(LOGS, params={**HERE, **query}))["callLogs"]] == found, query
    refused(api.get(LOGS, params={**HERE, "startDate": 2, "endDate": 2}), 422)
    refused(api.get(f"{LOGS}/nothing", params=HERE), 404)


def test_logs_outlive_the_agent(api: httpx.Client) -> None:
    ok(api.post(ACTIONS, json=SMS))
    assert ok(api.get(f"{LOGS}/call_1", params=HERE))["isAgentDeleted"] is False
    api.delete(f"{AGENTS}/voice_agent_1", params=HERE)
    assert ok(api.get(f"{LOGS}/call_1", params=HERE))["isAgentDeleted"] is True
