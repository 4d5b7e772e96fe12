"""HoverBot's operations under the names that users see: each is the generated function, bound by naming it."""

from __future__ import annotations

from dialogkit._core.client import Namespace
from dialogkit.hoverbot._generated import conversations, escalations, knowledge_sources, messages


class Conversations(Namespace):
    """Sessions between a bot and one user of yours."""

    create = conversations.create_conversation
    get = conversations.get_conversation


class Messages(Namespace):
    """What users write, and what the assistant replies."""

    send = messages.send_message


class KnowledgeSources(Namespace):
    """What the assistant looks answers up in."""

    upsert = knowledge_sources.upsert_knowledge_source


class Escalations(Namespace):
    """Conversations that are handed to a human."""

    create = escalations.create_escalation
