"""Helpers that put rows into a sandbox, for what the platform's API cannot make or makes one at a time."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any

from dialogkit.testing import inbox, seeds, tables
from dialogkit.testing.handlers.agents import new_agent
from dialogkit.testing.handlers.voice_agents import new_voice_agent
from dialogkit.testing.handlers.voice_calls import new_voice_call
from dialogkit.testing.state import Grant, State


class Seeding:
    """The part of `Sandbox` that adds rows. All of it may be called while the sandbox runs.

    Args:
        state: Returns the current state.
        lock: Guards it.

    """

    def __init__(self, state: Callable[[], State], lock: RLock) -> None:
        self._state = state
        self._lock = lock

    @property
    def client_id(self) -> str:
        """The OAuth client id that `/oauth/token` accepts."""
        return self._state().client_id

    @property
    def client_secret(self) -> str:
        """The OAuth client secret that `/oauth/token` accepts."""
        return self._state().client_secret

    @property
    def company_id(self) -> str:
        """The agency that owns the locations."""
        return self._state().company_id

    def add_location(self, location_id: str) -> str:
        """Add a location, within reach of the API key and of company tokens, and return its id."""
        with self._lock:
            locations = self._state().locations
            if location_id not in locations:
                locations.append(location_id)
        return location_id

    def add_conversations(self, count: int, *, location_id: str | None = None, **values: Any) -> list[str]:
        """Add conversations, each with a new contact and one inbound SMS, and return their ids, oldest first.

        Args:
            count: How many.
            location_id: Where; the sandbox's own location unless given.
            values: Values for all of them, by their names on the wire: `status`, `botId`, `agentId`, `assignedTo`,
                `starred`, `followers`, `mentions`, `scores` (a mapping from score profile to score), `dueAt`,
                `overdueAt`, `type` (4 is a review).

        """
        ids: list[str] = []
        with self._lock:
            state = self._state()
            for _ in range(count):
                contact_id = state.ids.mint("contact")
                place = location_id or state.default_location
                row = inbox.open_conversation(state, place, contact_id)
                text = f"Message {len(tables.messages(state)) + 1}"
                inbox.append_message(state, row, "TYPE_SMS", "inbound", body=text, source="app")
                row.update(values)
                ids.append(row["id"])
        return ids

    def add_messages(
        self, conversation_id: str, count: int, *, channel: str = "SMS", direction: str = "inbound"
    ) -> list[str]:
        """Add messages to a conversation, and return their ids, oldest first.

        Args:
            conversation_id: The conversation.
            count: How many.
            channel: Their channel, as `send_message` takes it; `Call` for calls.
            direction: `inbound` or `outbound`.

        Raises:
            LookupError: There is no such conversation.

        """
        ids: list[str] = []
        with self._lock:
            state = self._state()
            if conversation_id not in tables.conversations(state):
                raise LookupError(f"The sandbox has no conversation {conversation_id!r}.")
            conversation = tables.conversations(state).get(conversation_id)
            for n in range(count):
                more: dict[str, Any] = {"source": "app", "body": f"Message {n + 1}"}
                if channel == "Email":
                    body = {"subject": more.pop("body"), "html": f"<p>Message {n + 1}</p>"}
                    message, _ = inbox.append_email(state, conversation, direction, body, **more)
                else:
                    if channel == "Call":
                        more |= {"body": "", "status": "completed"}
                        more["meta"] = {"call": {"duration": 12, "status": "completed"}}
                    kind = inbox.MESSAGE_TYPES[channel]
                    message = inbox.append_message(state, conversation, kind, direction, **more)
                ids.append(message["id"])
        return ids

    def add_agents(self, count: int, *, location_id: str | None = None, **values: Any) -> list[str]:
        """Add Conversation AI agents, named `Agent 1` and so on, and return their ids, oldest first.

        Args:
            count: How many.
            location_id: Where; the sandbox's own location unless given.
            values: Values for all of them, by their names on the wire.

        """
        with self._lock:
            state = self._state()
            place = location_id or state.default_location
            settings = ({"name": f"Agent {n + 1}", **seeds.AGENT, **values} for n in range(count))
            return [new_agent(state, place, each)["id"] for each in settings]

    def add_voice_call(self, *, agent_id: str | None = None, location_id: str | None = None, **values: Any) -> str:
        """Add a call of a Voice AI agent, and return its id.

        Args:
            agent_id: The agent; a new one unless given.
            location_id: Where; the sandbox's own location unless given.
            values: Values of the call, by their names on the wire: `direction`, `duration` (seconds), `contactId`,
                `fromNumber`, `trialCall`, `summary`, `transcript`, `extractedData`, `executedCallActions`.

        """
        with self._lock:
            state = self._state()
            place = location_id or state.default_location
            agent = agent_id or new_voice_agent(state, place, {})["id"]
            return str(new_voice_call(state, place, agent, **values)["id"])

    def authorize(self, *, user_type: str = "Location", location_id: str | None = None) -> str:
        """Return an authorization code, as if a user had installed the app: it can be exchanged for tokens once.

        Args:
            user_type: `Location` or `Company`.
            location_id: The location; the sandbox's own unless given.

        """
        with self._lock:
            state = self._state()
            code = state.ids.secret("code")
            state.codes[code] = Grant(user_type, location_id or state.default_location)
            return code
