"""Voice AI agents and their actions."""

from __future__ import annotations

from typing import Any, Final

from dialogkit.testing.engine.document import Json
from dialogkit.testing.engine.paging import matches, numbered
from dialogkit.testing.engine.refusals import not_found, wrong
from dialogkit.testing.engine.registry import Registry, pick
from dialogkit.testing.engine.state import Row, State
from dialogkit.testing.hoopai import tables
from dialogkit.testing.hoopai.calls import Call

REGISTRY: Final = Registry()
_handles: Final = REGISTRY.handles

_SETTINGS: Final = (
    *("agentName", "businessName", "welcomeMessage", "agentPrompt", "voiceId", "language", "patienceLevel"),
    *("maxCallDuration", "sendUserIdleReminders", "reminderAfterIdleTimeSeconds", "inboundNumber", "numberPoolId"),
    *("callEndWorkflowIds", "sendPostCallNotificationTo", "agentWorkingHours", "timezone"),
    *("isAgentAsBackupDisabled", "translation"),
)
_ACTION: Final = ("actionType", "name", "actionParameters")


def new_voice_agent(state: State, location_id: str, settings: Row, id_: str | None = None) -> Row:
    """Add a Voice AI agent; what is left out is made up."""
    table = tables.voice_agents(state)
    defaults: Row = {
        "agentName": f"My Agent {100 + len(table)}",
        "businessName": "Sandbox Ltd.",
        "welcomeMessage": "Hello, how can I help?",
        "agentPrompt": "You answer the phone.",
        "voiceId": "voice_sandbox",
        "language": "en-US",
        "patienceLevel": "high",
        "maxCallDuration": 300,
        "sendUserIdleReminders": True,
        "reminderAfterIdleTimeSeconds": 8,
        "inboundNumber": None,
        "numberPoolId": None,
        "callEndWorkflowIds": [],
        "agentWorkingHours": [],
        "timezone": "Europe/Berlin",
        "isAgentAsBackupDisabled": False,
    }
    return table.add({"locationId": location_id, **defaults, **settings}, id_)


def _agent(call: Call) -> Row:
    return call.row(tables.voice_agents(call.state), call.path["agentId"])


def _with_actions(call: Call, agent: Row) -> Row:
    actions = tables.voice_actions(call.state).find(agentId=agent["id"])
    shown = [{"_id": row["id"], **pick(row, *(["id"] if call.lenient else []), *_ACTION)} for row in actions]
    return {**agent, "actions": shown}


def _check_translation(settings: Row) -> None:
    translation: Row = settings.get("translation", {})
    spoken, target = settings.get("language", "en-US"), translation.get("language", "en-US")
    if not translation.get("enabled"):
        return
    if spoken == "en-US":
        raise wrong("translation.enabled must be false for an agent that speaks en-US")
    if target not in {spoken, "en-US"}:
        raise wrong(f"translation.language must be one of the following values: {spoken}, en-US")


@_handles("create_voice_agent")
def create_voice_agent(call: Call) -> Row:
    """Add a Voice AI agent."""
    settings = pick(call.body, *_SETTINGS)
    _check_translation(settings)
    return new_voice_agent(call.state, call.location_id, settings)


@_handles("list_voice_agents")
def list_voice_agents(call: Call) -> Json:
    """Return a numbered page of agents with their actions."""
    page: int = call.query.get("page", 1)
    size: int = call.query.get("pageSize", 10)
    rows = call.rows(tables.voice_agents(call.state))
    found = [row for row in rows if matches(call.query.get("query"), row["agentName"])]
    shown = [_with_actions(call, row) for row in numbered(found, page, size)]
    return {"total": len(found), "page": page, "pageSize": size, "agents": shown}


@_handles("get_voice_agent")
def get_voice_agent(call: Call) -> Row:
    """Return an agent with its actions."""
    return _with_actions(call, _agent(call))


@_handles("update_voice_agent")
def update_voice_agent(call: Call) -> Row:
    """Change what is sent."""
    agent = _agent(call)
    settings = pick(call.body, *_SETTINGS)
    _check_translation({**agent, **settings})
    agent.update(settings)
    return agent


@_handles("delete_voice_agent")
def delete_voice_agent(call: Call) -> None:
    """Remove an agent with its actions; the logs of its calls stay, marked."""
    agent = _agent(call)
    tables.voice_actions(call.state).remove_all(agentId=agent["id"])
    for row in tables.voice_calls(call.state).find(agentId=agent["id"]):
        row["isAgentDeleted"] = True
    tables.voice_agents(call.state).remove(agent["id"])


def _action(call: Call, agent_id: str | None = None) -> Row:
    table, id_ = tables.voice_actions(call.state), call.path["actionId"]
    action = call.row(table, id_)
    if agent_id is not None and action["agentId"] != agent_id:
        raise not_found(table.kind, id_)
    return action


def _action_view(action: Row) -> Row:
    return pick(action, "id", *_ACTION)


def _check_paths(body: Row) -> None:
    """A custom action that asks (GET) says what it reads from the answer; one that tells (POST) reads nothing."""
    if body["actionType"] != "CUSTOM_ACTION":
        return
    parameters: dict[str, Any] = body["actionParameters"]
    asks, paths = parameters["apiDetails"]["method"] == "GET", parameters.get("selectedPaths", [])
    if asks and not paths:
        raise wrong("actionParameters.selectedPaths must contain at least 1 elements when the method is GET")
    if paths and not asks:
        raise wrong("actionParameters.selectedPaths must be empty when the method is POST")


@_handles("create_voice_action")
def create_voice_action(call: Call) -> Row:
    """Add an action to an agent."""
    agent = call.row(tables.voice_agents(call.state), call.body["agentId"])
    _check_paths(call.body)
    row = {"locationId": call.location_id, "agentId": agent["id"], **pick(call.body, *_ACTION)}
    return _action_view(tables.voice_actions(call.state).add(row))


@_handles("get_voice_action")
def get_voice_action(call: Call) -> Row:
    """Return an action, without the agent that it belongs to."""
    return _action_view(_action(call))


@_handles("update_voice_action")
def update_voice_action(call: Call) -> Row:
    """Replace an action."""
    action = _action(call, call.body["agentId"])
    _check_paths(call.body)
    action.update(pick(call.body, *_ACTION))
    return _action_view(action)


@_handles("delete_voice_action")
def delete_voice_action(call: Call) -> None:
    """Remove an action of an agent."""
    action = _action(call, call.query["agentId"])
    tables.voice_actions(call.state).remove(action["id"])
