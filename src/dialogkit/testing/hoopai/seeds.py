"""The rows that a sandbox starts with: a few, with fixed ids, so that something can be read at once."""

from __future__ import annotations

from dialogkit.testing.engine.state import Row, State
from dialogkit.testing.hoopai import inbox, tables
from dialogkit.testing.hoopai.handlers.agents import new_agent
from dialogkit.testing.hoopai.handlers.knowledge_bases import new_knowledge_base
from dialogkit.testing.hoopai.handlers.voice_agents import new_voice_agent
from dialogkit.testing.hoopai.handlers.voice_calls import new_voice_call

AGENT = {
    "businessName": "Sandbox Ltd.",
    "personality": "Friendly and brief.",
    "goal": "Book appointments.",
    "instructions": "Ask for a day, then for a time.",
}
"""What an agent needs besides its name."""


def fill(state: State) -> None:
    """Put the rows into a new state."""
    location = state.account
    first = inbox.open_conversation(state, location, "contact_1", "conversation_1", botId="bot_1")
    inbox.append_message(state, first, "TYPE_SMS", "inbound", id_="message_1", body="Are you open today?", source="app")
    letter = {"subject": "Our hours", "html": "<p>We are open from 9 to 5.</p>"}
    inbox.append_email(state, first, "outbound", letter, id_="email_1")
    talk: Row = {"status": "completed", "source": "app", "meta": {"call": {"duration": 12, "status": "completed"}}}
    inbox.append_message(state, first, "TYPE_CALL", "inbound", id_="message_call", **talk)
    second = inbox.open_conversation(state, location, "contact_2", "conversation_2", agentId="agent_1")
    inbox.append_message(state, second, "TYPE_WHATSAPP", "outbound", id_="message_2", body="Shall we say Tuesday?")
    now = state.now()
    bot = {"name": "Front desk", "systemPrompt": "Be brief.", "model": "gpt-4", "temperature": 0.7, "maxTokens": 500}
    dates = {"createdAt": now, "updatedAt": now}
    tables.bots(state).add({"locationId": location, **bot, "status": "active", **dates}, "bot_1")
    new_agent(state, location, {"name": "Booking agent", **AGENT}, "agent_1")
    new_voice_agent(state, location, {"agentName": "Receptionist"}, "voice_agent_1")
    new_voice_call(state, location, "voice_agent_1", "call_1")
    new_knowledge_base(state, location, "Handbook", id_="knowledge_base_1")
