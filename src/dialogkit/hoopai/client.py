"""The HoopAI client."""

from __future__ import annotations

import os
from functools import cached_property

from typing_extensions import Self, Unpack

from dialogkit._core.client import BaseClient, ClientOptions, Default, Platform, Secret
from dialogkit._core.errors import ConfigurationError
from dialogkit.hoopai import namespaces
from dialogkit.hoopai.limits import HEADERS, OPERATION_LIMITS, TIERS, Tier

BASE_URL = "https://services.leadconnectorhq.com"
API_VERSION = "2021-07-28"


class HoopAIOptions(ClientOptions, total=False):
    """Keywords of `HoopAI`."""

    location_id: str | None
    """The location (account) that calls are about, unless they name another; `HOOPAI_LOCATION_ID` unless given."""
    api_version: str
    """The value of the `Version` header, 2021-07-28 unless given."""
    tier: Tier | None
    """The account's tier, whose limits the client keeps below, `standard` unless given; `None` keeps below none."""


class HoopAI(BaseClient[HoopAIOptions]):
    """HoopAI's Conversations, Conversation AI and Voice AI.

        async with HoopAI() as hoop:
            await hoop.messages.send(type="SMS", contact_id="contact_abc123", message="Hello!")

    Make one client for each event loop, keep it, and close it: it holds the connection pool and the rate limiter.

    Args:
        api_key: An API key, private integration token or OAuth access token; `HOOPAI_API_KEY` unless given.
        options: See `HoopAIOptions`. `base_url` falls back to `HOOPAI_BASE_URL`.

    Raises:
        ConfigurationError: There is no credential, or an option makes no sense.

    Any call can end in `InvalidArgumentError` (nothing was sent); in an `APIStatusError`, by what the platform answers:
    `BadRequestError` (400), `AuthenticationError` (401), `PermissionDeniedError` (403), `NotFoundError` (404),
    `UnprocessableEntityError` (422), `RateLimitError` (429), `ServerError` (500 and more); in an `APIConnectionError`
    when no answer comes; or in another `DialogkitError`. The methods' own `Raises:` say what is particular to them.
    """

    _option_names = frozenset(HoopAIOptions.__optional_keys__)

    conversations = cached_property(namespaces.Conversations)
    messages = cached_property(namespaces.Messages)
    emails = cached_property(namespaces.Emails)
    live_chat = cached_property(namespaces.LiveChat)
    bots = cached_property(namespaces.Bots)
    agents = cached_property(namespaces.Agents)
    generations = cached_property(namespaces.Generations)
    voice_calls = cached_property(namespaces.VoiceCalls)
    voice_agents = cached_property(namespaces.VoiceAgents)
    voice_actions = cached_property(namespaces.VoiceActions)
    call_logs = cached_property(namespaces.CallLogs)
    knowledge_bases = cached_property(namespaces.KnowledgeBases)
    faqs = cached_property(namespaces.Faqs)
    crawler = cached_property(namespaces.Crawler)
    preferences = cached_property(namespaces.Preferences)
    oauth = cached_property(namespaces.OAuth)

    def __init__(self, api_key: str | Secret | None = None, **options: Unpack[HoopAIOptions]) -> None:
        api_key = Secret.of(api_key)  # first of all, so that no traceback that shows local variables shows it
        super().__init__(api_key, options)

    def with_options(self, **options: Unpack[HoopAIOptions]) -> Self:
        """Return a view of this client with other options, over the same connections, limiter and credential.

        Closing a view closes nothing.
        """
        return self._view(options)

    def for_location(self, location_id: str) -> Self:
        """Return a view of this client for another location (account); limits are counted for each location."""
        return self._view({"location_id": location_id})

    @classmethod
    def _platform(cls, options: HoopAIOptions) -> Platform:
        tier = options.get("tier", "standard")
        if tier is not None and tier not in TIERS:
            own = "; limits by arrangement, such as those of Enterprise, are given as rate_limit=[RateLimit(...), ...]"
            raise ConfigurationError(f"tier: HoopAI has {', '.join(TIERS)}, or None for no limits, not {tier!r}{own}")
        return Platform(
            name="HoopAI",
            base_url=os.environ.get("HOOPAI_BASE_URL") or BASE_URL,
            api_key_env="HOOPAI_API_KEY",
            limits=() if tier is None else TIERS[tier],
            operation_limits={} if tier is None else OPERATION_LIMITS,
            rate_limit_headers=HEADERS,
            defaults={
                "location_id": Default(
                    keyword="location_id", env="HOOPAI_LOCATION_ID", value=options.get("location_id")
                )
            },
            account="location_id",
            version_header="Version",
            version=options.get("api_version", API_VERSION),
        )
