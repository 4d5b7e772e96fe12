"""Hooks: functions of the user's that are told of each thing that happens on the way of a call."""

from __future__ import annotations

from dataclasses import dataclass, fields

from dialogkit._core.errors import ConfigurationError
from dialogkit._core.events import (
    RateLimitEvent,
    RateLimitHook,
    RequestEvent,
    RequestHook,
    ResponseEvent,
    ResponseHook,
    RetryEvent,
    RetryHook,
)
from dialogkit._core.observing.observer import AttemptInfo, Observer


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What users want to be told.

    Raises:
        ConfigurationError: A hook cannot be called.
    """

    on_request: RequestHook | None = None
    on_response: ResponseHook | None = None
    on_retry: RetryHook | None = None
    on_rate_limit: RateLimitHook | None = None

    def __post_init__(self) -> None:
        for name in (each.name for each in fields(self)):
            hook = getattr(self, name)
            if hook is not None and not callable(hook):
                raise ConfigurationError(f"{name} takes a function or another callable, not {type(hook).__name__}")

    def __bool__(self) -> bool:
        return any(getattr(self, each.name) is not None for each in fields(self))


class HookObserver(Observer):
    """Calls hooks.

    Args:
        hooks: Which.
    """

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self._told_of_attempts = hooks.on_request is not None or hooks.on_response is not None

    def is_watching(self) -> bool:
        """Say whether a hook is for attempts."""
        return self._told_of_attempts

    def on_request(self, attempt: AttemptInfo) -> object:
        """Call the hook, if there is one."""
        hook = self._hooks.on_request
        return None if hook is None else hook(RequestEvent(**attempt.facts()))

    def on_response(self, attempt: AttemptInfo) -> object:
        """Call the hook, if there is one."""
        hook = self._hooks.on_response
        if hook is None or attempt.status is None:
            return None
        return hook(
            ResponseEvent(
                **attempt.facts(),
                status=attempt.status,
                request_id=attempt.request_id,
                headers=attempt.headers,
                elapsed=attempt.elapsed,
            )
        )

    def on_retry(self, event: RetryEvent) -> object:
        """Call the hook, if there is one."""
        hook = self._hooks.on_retry
        return None if hook is None else hook(event)

    def on_rate_limit(self, event: RateLimitEvent) -> object:
        """Call the hook, if there is one."""
        hook = self._hooks.on_rate_limit
        return None if hook is None else hook(event)
