"""What each operation of HoopAI does, by operation id."""

from __future__ import annotations

from typing import Final

from dialogkit.testing.engine.registry import Registry
from dialogkit.testing.hoopai.handlers import (
    agent_actions,
    agents,
    bots,
    conversations,
    crawler,
    emails,
    exports,
    files,
    knowledge_bases,
    messages,
    oauth,
    preferences,
    recordings,
    voice_agents,
    voice_calls,
)

HANDLERS: Final = Registry(
    *(
        module.REGISTRY
        for module in (
            agent_actions,
            agents,
            bots,
            conversations,
            crawler,
            emails,
            exports,
            files,
            knowledge_bases,
            messages,
            oauth,
            preferences,
            recordings,
            voice_agents,
            voice_calls,
        )
    )
)
"""The handlers of all operations."""
