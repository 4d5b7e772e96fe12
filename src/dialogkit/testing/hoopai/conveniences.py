"""What a sandbox of HoopAI offers beyond others: rows that the platform's API cannot make, or makes one at a time."""

from __future__ import annotations

from collections.abc import Collection
from threading import RLock
from typing import Any, Protocol

from dialogkit.testing.engine.platform import Platform
from dialogkit.testing.engine.state import Credential
from dialogkit.testing.errors import SandboxError
from dialogkit.testing.hooks.webhooks import Webhooks
from dialogkit.testing.hoopai import inbox, seeds, tables
from dialogkit.testing.hoopai.events import message_events
from dialogkit.testing.hoopai.handlers.agents import new_agent
from dialogkit.testing.hoopai.handlers.voice_agents import new_voice_agent
from dialogkit.testing.hoopai.handlers.voice_calls import new_voice_call
from dialogkit.testing.hoopai.state import Grant, HoopAIState


class _App(Protocol):
    """What of a sandbox's app is used here."""

    webhooks: Webhooks
    lock: RLock

    def spend_day(self, account: str | None) -> None: ...

    @property
    def state(self) -> HoopAIState: ...


class _HoopAISandbox(Protocol):
    """A sandbox of HoopAI: type checkers refuse the conveniences of any other."""

    @property
    def platform(self) -> Platform[HoopAIState]: ...

    @property
    def app(self) -> _App: ...


class Conveniences:
    """The part of `Sandbox` that is for HoopAI alone. All of it may be used while the sandbox runs.

    On a sandbox of another platform all of it raises `SandboxError`.
    """

    @property
    def location_id(self: _HoopAISandbox) -> str:
        """The location that the key is for."""
        return _app(self).state.account

    @property
    def client_id(self: _HoopAISandbox) -> str:
        """The OAuth client id that `/oauth/token` accepts."""
        return _app(self).state.client_id

    @property
    def client_secret(self: _HoopAISandbox) -> str:
        """The OAuth client secret that `/oauth/token` accepts."""
        return _app(self).state.client_secret

    @property
    def company_id(self: _HoopAISandbox) -> str:
        """The agency that owns the locations."""
        return _app(self).state.company_id

    def spend_day(self: _HoopAISandbox, location_id: str | None = None) -> None:
        """Let the day be spent: each call for a location is answered 429, until 24 hours after its first one.

        Args:
            location_id: The location; the sandbox's own unless given.

        Raises:
            SandboxError: The sandbox has no limits, for its `tier` is None.

        """
        app = _app(self)
        app.spend_day(location_id or app.state.account)

    def add_token(
        self: _HoopAISandbox, *scopes: str, location_id: str | None = None, expires_in: float | None = None
    ) -> str:
        """Add a private integration token, and return it.

        Args:
            scopes: What it allows, `conversations.readonly` for example; everything unless given.
            location_id: The only location that it is good for; the sandbox's own unless given.
            expires_in: Seconds for which it is good; for good unless given, as the platform's are.

        """
        app = _app(self)
        with app.lock:
            state = app.state
            token, allowed = state.ids.secret("pit"), frozenset(scopes) or None
            expires = None if expires_in is None else state.clock() + expires_in
            name = f"private integration token {len(state.tokens)}"
            state.tokens[token] = Credential(name, location_id or state.account, expires, allowed)
            return token

    def add_location(self: _HoopAISandbox, location_id: str) -> str:
        """Add a location, within reach of the API key and of company tokens, and return its id."""
        app = _app(self)
        with app.lock:
            locations = app.state.locations
            if location_id not in locations:
                locations.append(location_id)
        return location_id

    def add_conversations(
        self: _HoopAISandbox, count: int, *, location_id: str | None = None, **values: Any
    ) -> list[str]:
        """Add conversations, each with a new contact and one inbound SMS, and return their ids, oldest first.

        Args:
            count: How many.
            location_id: Where; the sandbox's own location unless given.
            values: Values for all of them, by their names on the wire: `status`, `botId`, `agentId`, `assignedTo`,
                `starred`, `followers`, `mentions`, `scores` (a mapping from score profile to score), `dueAt`,
                `overdueAt`, `type` (4 is a review).

        """
        app, ids = _app(self), list[str]()
        with app.lock:
            state = app.state
            for _ in range(count):
                contact_id = state.ids.mint("contact")
                place = location_id or state.account
                row = inbox.open_conversation(state, place, contact_id)
                text = f"Message {len(tables.messages(state)) + 1}"
                inbox.append_message(state, row, "TYPE_SMS", "inbound", body=text, source="app")
                row.update(values)
                ids.append(row["id"])
            _announce_newest(app, len(ids))
        return ids

    def add_messages(
        self: _HoopAISandbox, conversation_id: str, count: int, *, channel: str = "SMS", direction: str = "inbound"
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
        app, ids = _app(self), list[str]()
        with app.lock:
            state = app.state
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
            _announce_newest(app, len(ids))
        return ids

    def add_agents(self: _HoopAISandbox, count: int, *, location_id: str | None = None, **values: Any) -> list[str]:
        """Add Conversation AI agents, named `Agent 1` and so on, and return their ids, oldest first.

        Args:
            count: How many.
            location_id: Where; the sandbox's own location unless given.
            values: Values for all of them, by their names on the wire.

        """
        app = _app(self)
        with app.lock:
            state = app.state
            place = location_id or state.account
            settings = ({"name": f"Agent {n + 1}", **seeds.AGENT, **values} for n in range(count))
            return [new_agent(state, place, each)["id"] for each in settings]

    def add_voice_call(
        self: _HoopAISandbox, *, agent_id: str | None = None, location_id: str | None = None, **values: Any
    ) -> str:
        """Add a call of a Voice AI agent, and return its id.

        Args:
            agent_id: The agent; a new one unless given.
            location_id: Where; the sandbox's own location unless given.
            values: Values of the call, by their names on the wire: `direction`, `duration` (seconds), `contactId`,
                `fromNumber`, `trialCall`, `summary`, `transcript`, `extractedData`, `executedCallActions`.

        """
        app = _app(self)
        with app.lock:
            state = app.state
            place = location_id or state.account
            agent = agent_id or new_voice_agent(state, place, {})["id"]
            return str(new_voice_call(state, place, agent, **values)["id"])

    def authorize(
        self: _HoopAISandbox,
        *,
        user_type: str = "Location",
        location_id: str | None = None,
        scopes: Collection[str] | None = None,
    ) -> str:
        """Return an authorization code, as if a user had installed the app: it can be exchanged for tokens once.

        Args:
            user_type: `Location` or `Company`.
            location_id: The location; the sandbox's own unless given.
            scopes: What the tokens allow; everything unless given.

        """
        app = _app(self)
        with app.lock:
            state = app.state
            code = state.ids.secret("code")
            allowed = None if scopes is None else frozenset(scopes)
            state.codes[code] = Grant(user_type, location_id or state.account, allowed)
            return code


def _app(sandbox: _HoopAISandbox) -> _App:
    if not isinstance(sandbox.app.state, HoopAIState):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SandboxError(f"A sandbox of {sandbox.platform.name} has only what its API can make: this is for HoopAI.")
    return sandbox.app


def _announce_newest(app: _App, count: int) -> None:
    """Tell whoever is registered of the messages that were added last."""
    if count and app.webhooks.registrations:
        app.webhooks.announce(message_events(app.state, *list(tables.messages(app.state))[-count:]))
