"""Bots, and the knowledge they answer from."""

from __future__ import annotations

from typing import Final

from dialogkit.testing.engine.document import Json
from dialogkit.testing.engine.refusals import not_found, wrong
from dialogkit.testing.engine.registry import Outcome, Registry, pick
from dialogkit.testing.engine.state import Row
from dialogkit.testing.hoopai import tables
from dialogkit.testing.hoopai.calls import Call
from dialogkit.testing.hoopai.events import bot_status_changed, knowledge_changed

REGISTRY: Final = Registry()
_handles: Final = REGISTRY.handles

_SETTINGS: Final = ("name", "systemPrompt", "model", "temperature", "maxTokens", "status")
_MODELS: Final = ("gpt-", "claude-", "gemini-", "o1", "o3", "o4", "llama-", "mistral-")


def _bot(call: Call) -> Row:
    return call.row(tables.bots(call.state), call.path["botId"])


def _check_model(call: Call) -> None:
    model: str = call.body.get("model", "gpt-4")
    if not model.startswith(_MODELS):
        raise wrong(f"model {model} is not known")


@_handles("list_bots")
def list_bots(call: Call) -> Json:
    """Return all bots of the location at once."""
    rows = call.rows(tables.bots(call.state))
    return {"bots": rows, "total": len(rows)}


@_handles("create_bot")
def create_bot(call: Call) -> Row:
    """Add a bot, a draft unless said otherwise. A model whose name has no known beginning is refused."""
    _check_model(call)
    now = call.state.now()
    defaults = {"systemPrompt": "", "model": "gpt-4", "temperature": 0.7, "maxTokens": 500, "status": "draft"}
    row = {
        "locationId": call.location_id,
        **defaults,
        **pick(call.body, *_SETTINGS),
        "createdAt": now,
        "updatedAt": now,
    }
    return tables.bots(call.state).add(row)


@_handles("get_bot")
def get_bot(call: Call) -> Row:
    """Return a bot."""
    return _bot(call)


@_handles("update_bot")
def update_bot(call: Call) -> Outcome:
    """Change what is sent."""
    bot = _bot(call)
    _check_model(call)
    before = bot["status"]
    bot.update(pick(call.body, *_SETTINGS), updatedAt=call.state.now())
    return Outcome(bot, bot_status_changed(bot, before))


@_handles("delete_bot")
def delete_bot(call: Call) -> Json:
    """Remove a bot with its knowledge; its conversations stay, without pointing to it."""
    bot = _bot(call)
    tables.bots(call.state).remove(bot["id"])
    tables.bot_knowledge(call.state).remove_all(botId=bot["id"])
    for conversation in tables.conversations(call.state).find(botId=bot["id"]):
        del conversation["botId"]
    return {"success": True, "id": bot["id"]}


@_handles("set_bot_status")
def set_bot_status(call: Call) -> Outcome:
    """Set the status and nothing else."""
    bot = _bot(call)
    before = bot["status"]
    bot.update(status=call.body["status"], updatedAt=call.state.now())
    return Outcome(pick(bot, "id", "status"), bot_status_changed(bot, before))


@_handles("list_bot_knowledge")
def list_bot_knowledge(call: Call) -> Json:
    """Return all entries of a bot at once."""
    return {"entries": tables.bot_knowledge(call.state).find(botId=_bot(call)["id"])}


@_handles("add_bot_knowledge")
def add_bot_knowledge(call: Call) -> Outcome:
    """Add a text, or a page whose content the sandbox makes up."""
    bot, now = _bot(call), call.state.now()
    entry = pick(call.body, "type", "title", "content", "url")
    if entry["type"] == "url":
        entry = {"title": entry["url"], "content": f"The text of {entry['url']}.", **entry}
    row = {"botId": bot["id"], "locationId": bot["locationId"], **entry, "createdAt": now, "updatedAt": now}
    entry = tables.bot_knowledge(call.state).add(row)
    return Outcome(entry, knowledge_changed(entry, "added"))


@_handles("delete_bot_knowledge")
def delete_bot_knowledge(call: Call) -> Outcome:
    """Remove an entry of a bot."""
    table, bot = tables.bot_knowledge(call.state), _bot(call)
    entry = call.row(table, call.path["entryId"])
    if entry["botId"] != bot["id"]:
        raise not_found(table.kind, entry["id"])
    table.remove(entry["id"])
    return Outcome({"success": True, "id": entry["id"]}, knowledge_changed(entry, "deleted"))
