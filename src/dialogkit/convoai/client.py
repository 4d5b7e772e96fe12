"""The ConvoAI client."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Final

from typing_extensions import Self, Unpack

from dialogkit._core.client import BaseClient, ClientOptions, Platform, Secret
from dialogkit._core.errors import ConfigurationError
from dialogkit.convoai import namespaces
from dialogkit.convoai.limits import HEADERS, OPERATION_LIMITS, PLANS, Plan

BASE_URL = "https://app.convoai.cloud/api/v1"
_KEY_VARIABLE: Final = "CONVOAI_API_KEY"
_TEST_KEY: Final = "ck_test_"


class ConvoAIOptions(ClientOptions, total=False):
    """Keywords of `ConvoAI`."""

    plan: Plan | None
    """The account's plan, whose limits the client keeps below, `free` unless given; `None` keeps below none."""


class ConvoAI(BaseClient[ConvoAIOptions]):
    """ConvoAI's WhatsApp agents, their knowledge, messages and webhooks.

        async with ConvoAI(plan="pro") as convo:
            async for agent in convo.agents.list():
                await convo.messages.send(agent.id, to="+14155550199", type="text", text="Hello!")

    Make one client for each event loop, keep it, and close it: it holds the connection pool and the rate limiter.

    An operation that ConvoAI announces to end is reported once as a `DeprecationWarning`.

    Args:
        api_key: A key, live (`ck_live_...`) or for tests (`ck_test_...`); `CONVOAI_API_KEY` unless given.
        options: See `ConvoAIOptions`. `base_url` falls back to `CONVOAI_BASE_URL`.

    Raises:
        ConfigurationError: There is no credential, or an option makes no sense.

    Any call can end in `InvalidArgumentError` (nothing was sent); in an `APIStatusError`, by what the platform answers:
    `BadRequestError` (400), `AuthenticationError` (401), `PermissionDeniedError` (403), `NotFoundError` (404),
    `UnprocessableEntityError` (422), `RateLimitError` (429), `ServerError` (500 and more); in an `APIConnectionError`
    when no answer comes; or in another `DialogkitError`. The methods' own `Raises:` say what is particular to them.
    """

    _option_names = frozenset(ConvoAIOptions.__optional_keys__)

    me = cached_property(namespaces.Me)
    agents = cached_property(namespaces.Agents)
    knowledge = cached_property(namespaces.Knowledge)
    messages = cached_property(namespaces.Messages)
    webhooks = cached_property(namespaces.Webhooks)

    def __init__(self, api_key: str | Secret | None = None, **options: Unpack[ConvoAIOptions]) -> None:
        api_key = Secret.of(api_key)  # first of all, so that no traceback that shows local variables shows it
        if api_key is None and options.get("auth") is None:  # read here, since `is_sandbox` has to know it
            api_key = Secret.of(os.environ.get(_KEY_VARIABLE) or None)
        super().__init__(api_key, options)

    @property
    def is_sandbox(self) -> bool:
        """Whether the key is one for tests, with which no WhatsApp message goes out.

        With an `auth` of your own nobody can tell, and this is `False`: take it for live.
        """
        return self._api_key is not None and self._api_key.reveal().startswith(_TEST_KEY)

    def with_options(self, **options: Unpack[ConvoAIOptions]) -> Self:
        """Return a view of this client with other options, over the same connections, limiter and credential.

        Closing a view closes nothing.
        """
        return self._view(options)

    @classmethod
    def _platform(cls, options: ConvoAIOptions) -> Platform:
        plan = options.get("plan", "free")
        if plan is not None and plan not in PLANS:
            raise ConfigurationError(f"plan: ConvoAI has {', '.join(PLANS)}, or None for no limits; not {plan!r}")
        return Platform(
            name="ConvoAI",
            base_url=os.environ.get("CONVOAI_BASE_URL") or BASE_URL,
            api_key_env=_KEY_VARIABLE,
            limits=() if plan is None else PLANS[plan],
            operation_limits={} if plan is None else OPERATION_LIMITS[plan],
            rate_limit_headers=HEADERS,
            deprecation_header="deprecation",
        )
