"""Conversation AI agents, and how their messages came about."""

from __future__ import annotations

from typing import Final

from dialogkit.testing.engine.document import Json
from dialogkit.testing.engine.paging import after_id
from dialogkit.testing.engine.refusals import missing, strangers, wrong
from dialogkit.testing.engine.registry import Registry, pick
from dialogkit.testing.engine.state import Row, State
from dialogkit.testing.hoopai import inbox, tables
from dialogkit.testing.hoopai.calls import Call
from dialogkit.testing.hoopai.handlers.messages import find_message

REGISTRY: Final = Registry()
_handles: Final = REGISTRY.handles

_SETTINGS: Final = (
    *("name", "businessName", "mode", "channels", "isPrimary", "personality", "goal", "instructions"),
    *("knowledgeBaseIds", "waitTime", "waitTimeUnit", "autoPilotMaxMessages", "respondToImages", "respondToAudio"),
    *("sleepOnManualMessage", "sleepOnWorkflowMessage", "sleepEnabled", "sleepTime", "sleepTimeUnit"),
)
_NOT_SHOWN: Final = {"locationId", "respondToImages", "respondToAudio", "createdAt", "updatedAt"}
_NOT_LISTED: Final = {"locationId", "respondToImages", "respondToAudio", "personality", "instructions", "goal"}
_LONGEST_WAIT: Final = {"minutes": 5, "seconds": 300}
_LONGEST_SLEEP: Final = {"hours": 48, "minutes": 2880, "seconds": 172_800}


def find_agent(call: Call) -> Row:
    """Return the agent that the path names, or refuse with 404."""
    return call.row(tables.agents(call.state), call.path["agentId"])


def new_agent(state: State, location_id: str, settings: Row, id_: str | None = None) -> Row:
    """Add an agent; the first one of a location is its primary agent."""
    table = tables.agents(state)
    now = state.now()
    row: Row = {
        "locationId": location_id,
        "mode": "off",
        "channels": [],
        "isPrimary": False,
        "waitTime": 2,
        "waitTimeUnit": "seconds",
        "autoPilotMaxMessages": 75,
        "knowledgeBaseIds": [],
        "sleepEnabled": False,
        **settings,
        "createdAt": now,
        "updatedAt": now,
    }
    if not table.find(locationId=location_id):
        row["isPrimary"] = True
    agent = table.add(row, id_)
    _keep_one_primary(state, agent)
    return agent


def _keep_one_primary(state: State, agent: Row) -> None:
    if agent["isPrimary"]:
        for other in tables.agents(state).find(locationId=agent["locationId"]):
            other["isPrimary"] = other is agent


def _actions(call: Call, agent: Row) -> list[Row]:
    return [pick(row, "id", "type") for row in tables.agent_actions(call.state).find(agentId=agent["id"])]


def _view(call: Call, agent: Row) -> Row:
    shown = {name: value for name, value in agent.items() if name not in _NOT_SHOWN}
    return {**shown, "actions": _actions(call, agent)}


def _list_view(call: Call, agent: Row) -> Row:
    shown = {name: value for name, value in agent.items() if name not in _NOT_LISTED}
    goal = {"prompt": agent.get("goal", ""), "type": "prompt", "actionId": None}
    return {**shown, "goal": goal, "actions": _actions(call, agent)}


def _check(settings: Row) -> None:
    """Refuse what the platform forbids in prose, where the document's schema cannot say it."""
    if settings.get("sleepEnabled"):
        absent = [name for name in ("sleepTime", "sleepTimeUnit") if name not in settings]
        if absent:
            raise missing(*(f"{name} should not be empty when sleepEnabled is true" for name in absent))
    problems: list[str] = []
    wait, wait_unit = settings.get("waitTime", 0), settings.get("waitTimeUnit", "seconds")
    if wait > _LONGEST_WAIT[wait_unit]:
        problems.append(f"waitTime must not be greater than {_LONGEST_WAIT[wait_unit]} {wait_unit}")
    sleep, sleep_unit = settings.get("sleepTime"), settings.get("sleepTimeUnit")
    if sleep is not None and sleep_unit is not None and sleep > _LONGEST_SLEEP[sleep_unit]:
        problems.append(f"sleepTime must not be greater than {_LONGEST_SLEEP[sleep_unit]} {sleep_unit}")
    if problems:
        raise wrong(*problems)


@_handles("create_agent")
def create_agent(call: Call) -> Row:
    """Add an agent."""
    settings = pick(call.body, *_SETTINGS)
    _check(settings)
    return _view(call, new_agent(call.state, call.location_id, settings))


@_handles("search_agents")
def search_agents(call: Call) -> Json:
    """Return agents after the last one received. `totalCount` ignores the filter.

    A query with capitals finds nothing: the platform wants it in lower case. A `locationId`, which HoopAI's overview
    shows, is refused as it was observed.
    """
    if "locationId" in call.query and not call.lenient:
        raise strangers("locationId")
    everything = call.rows(tables.agents(call.state))
    query: str = call.query.get("query", "")
    found = [row for row in everything if query in row["name"].lower()]
    page, _ = after_id(found, call.query.get("startAfter"), call.query.get("limit", 20), "agent")
    rows = [_list_view(call, row) for row in page]
    return {"agents": rows, "totalCount": len(everything), "count": len(rows)}


@_handles("get_agent")
def get_agent(call: Call) -> Row:
    """Return an agent."""
    return _view(call, find_agent(call))


@_handles("update_agent")
def update_agent(call: Call) -> Row:
    """Change what is sent; `mode` must be sent if the agent is the primary one."""
    agent = find_agent(call)
    settings = pick(call.body, *_SETTINGS)
    if agent["isPrimary"] and "mode" not in settings:
        raise missing("mode should not be empty for the primary agent")
    _check({**agent, **settings})
    agent.update(settings, updatedAt=call.state.now())
    _keep_one_primary(call.state, agent)
    return _view(call, agent)


@_handles("delete_agent")
def delete_agent(call: Call) -> Json:
    """Remove an agent with its actions and the conversations that it led."""
    agent = find_agent(call)
    for conversation in tables.conversations(call.state).find(agentId=agent["id"]):
        inbox.erase(call.state, conversation)
    tables.agent_actions(call.state).remove_all(agentId=agent["id"])
    tables.agents(call.state).remove(agent["id"])
    return {"success": True, "id": agent["id"]}


@_handles("get_generation")
def get_generation(call: Call) -> Json:
    """Make up how an outbound message came about, from the conversation before it."""
    message = find_message(call, call.query["messageId"])
    turns = tables.messages(call.state).find(conversationId=message["conversationId"])
    before = [turn for turn in turns if turn["addedMs"] < message["addedMs"]]
    roles = {"inbound": "user", "outbound": "assistant"}
    history = [{"role": roles[turn["direction"]], "content": turn["body"]} for turn in before]
    asked = [turn["content"] for turn in history if turn["role"] == "user"]
    conversation = tables.conversations(call.state).get(message["conversationId"])
    return {
        "prompt": "You are a helpful assistant.",
        "intent": "answer",
        "input": asked[-1] if asked else "",
        "responseMessage": message["body"],
        **pick(conversation, "agentId"),
        "mode": "auto-pilot",
        "faqs": [],
        "website": [],
        "actionLogs": [],
        "history": history,
    }
