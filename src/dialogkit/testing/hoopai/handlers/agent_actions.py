"""What Conversation AI agents do besides answering."""

from __future__ import annotations

from typing import Final

from dialogkit.testing.engine.document import Json
from dialogkit.testing.engine.refusals import not_found, wrong
from dialogkit.testing.engine.registry import Registry, pick
from dialogkit.testing.engine.state import Row
from dialogkit.testing.hoopai import tables
from dialogkit.testing.hoopai.calls import Call
from dialogkit.testing.hoopai.handlers.agent_rules import check_action
from dialogkit.testing.hoopai.handlers.agents import find_agent

REGISTRY: Final = Registry()
_handles: Final = REGISTRY.handles


def _action(call: Call) -> Row:
    agent = find_agent(call)
    return _of_agent(call, agent, call.path["actionId"])


def _of_agent(call: Call, agent: Row, id_: str) -> Row:
    table = tables.agent_actions(call.state)
    action = table.get(id_)
    if action["agentId"] != agent["id"]:
        raise not_found(table.kind, id_)
    return action


@_handles("create_agent_action")
def create_agent_action(call: Call) -> Json:
    """Add an action to an agent."""
    agent = find_agent(call)
    check_action(call.body)
    action = pick(call.body, "type", "name", "details")
    return {"data": tables.agent_actions(call.state).add({**action, "agentId": agent["id"]}), "success": True}


@_handles("list_agent_actions")
def list_agent_actions(call: Call) -> Json:
    """Return all actions of an agent at once."""
    return {"data": tables.agent_actions(call.state).find(agentId=find_agent(call)["id"]), "success": True}


@_handles("get_agent_action")
def get_agent_action(call: Call) -> Json:
    """Return an action."""
    return {"data": _action(call), "success": True}


@_handles("update_agent_action")
def update_agent_action(call: Call) -> Json:
    """Replace an action."""
    action = _action(call)
    check_action(call.body)
    action.update(pick(call.body, "type", "name", "details"))
    return {"data": action, "success": True}


@_handles("delete_agent_action")
def delete_agent_action(call: Call) -> Json:
    """Remove an action."""
    action = _action(call)
    tables.agent_actions(call.state).remove(action["id"])
    return {"data": {"id": action["id"]}, "success": True}


@_handles("update_followup_settings")
def update_followup_settings(call: Call) -> Json:
    """Give some follow-up actions of an agent the same settings, and return the last of them."""
    agent = find_agent(call)
    actions = [_of_agent(call, agent, id_) for id_ in call.body["actionIds"]]
    if not actions:
        raise wrong("actionIds must contain at least 1 elements")
    if any(action["type"] != "advancedFollowup" for action in actions):
        raise wrong("each value in actionIds must be the id of an action of type advancedFollowup")
    for action in actions:
        action["details"] = {**action["details"], "followupSettings": call.body["followupSettings"]}
    return {"data": actions[-1], "success": True}
