"""The HoverBot client."""

from __future__ import annotations

import os
from functools import cached_property

from typing_extensions import Self, Unpack

from dialogkit._core.client import BaseClient, ClientOptions, Platform, Secret
from dialogkit.hoverbot import namespaces
from dialogkit.hoverbot.limits import LIMITS

BASE_URL = "https://api.hoverbot.ai"


class HoverBotOptions(ClientOptions, total=False):
    """Keywords of `HoverBot`."""


class HoverBot(BaseClient[HoverBotOptions]):
    """HoverBot's chatbot sessions, knowledge and handoffs.

        async with HoverBot() as hover:
            conversation = await hover.conversations.create(channel="web")
            reply = await hover.messages.send(conversation.id, text="Where is my parcel?")

    Make one client for each event loop, keep it, and close it: it holds the connection pool and the rate limiter.

    Args:
        api_key: An API key of a workspace, or an OAuth access token; `HOVERBOT_API_KEY` unless given.
        options: See `HoverBotOptions`. `base_url` falls back to `HOVERBOT_BASE_URL`.

    Raises:
        ConfigurationError: There is no credential, or an option makes no sense.

    Any call can end in `InvalidArgumentError` (nothing was sent); in an `APIStatusError`, by what the platform answers:
    `BadRequestError` (400), `AuthenticationError` (401), `PermissionDeniedError` (403), `NotFoundError` (404),
    `UnprocessableEntityError` (422), `RateLimitError` (429), `ServerError` (500 and more); in an `APIConnectionError`
    when no answer comes; or in another `DialogkitError`. The methods' own `Raises:` say what is particular to them.
    """

    _option_names = frozenset(HoverBotOptions.__optional_keys__)

    conversations = cached_property(namespaces.Conversations)
    messages = cached_property(namespaces.Messages)
    knowledge_sources = cached_property(namespaces.KnowledgeSources)
    escalations = cached_property(namespaces.Escalations)

    def __init__(self, api_key: str | Secret | None = None, **options: Unpack[HoverBotOptions]) -> None:
        api_key = Secret.of(api_key)  # first of all, so that no traceback that shows local variables shows it
        super().__init__(api_key, options)

    def with_options(self, **options: Unpack[HoverBotOptions]) -> Self:
        """Return a view of this client with other options, over the same connections, limiter and credential.

        Closing a view closes nothing.
        """
        return self._view(options)

    @classmethod
    def _platform(cls, options: HoverBotOptions) -> Platform:  # noqa: ARG003 - they change nothing here
        return Platform(
            name="HoverBot",
            base_url=os.environ.get("HOVERBOT_BASE_URL") or BASE_URL,
            api_key_env="HOVERBOT_API_KEY",
            limits=LIMITS,
        )
