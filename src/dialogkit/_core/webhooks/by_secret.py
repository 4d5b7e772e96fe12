"""Webhooks of the platforms that sign by HMAC, with a secret that you share with them, and in no other way."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic

from typing_extensions import Required, TypedDict, Unpack

from dialogkit._core.events import DriftHandler
from dialogkit._core.webhooks.schemes import HmacScheme, Secrets, sealed
from dialogkit._core.webhooks.verifier import (
    DEFAULT_MAX_BODY,
    DEFAULT_TOLERANCE,
    EventT_co,
    WebhookDelivery,
    WebhookFormat,
    WebhookHeaders,
    WebhookVerifier,
)


class SecretVerifierOptions(TypedDict, total=False):
    """How deliveries are proven."""

    secret: Required[Secrets]
    """The webhook secret. A list of the old one and the new one bridges a change."""
    secret_header: str | Sequence[str]
    """The headers that may carry the signature; the platform's own unless given."""
    tolerance: float | None
    """How many seconds old a delivery may be by its `timestamp`, and at most 300 from the future; `TOLERANCE` unless
    given, `None` does not look at it. A delivery without a timestamp is accepted."""
    max_body: int
    """The most bytes that a body may have; 1,048,576 unless given."""
    on_drift: DriftHandler | None
    """Told where an event differs from the document; warnings of the logger `dialogkit` unless given."""
    clock: Callable[[], float]
    """Returns the seconds since 1970; `time.time` unless given."""


OPTION_NAMES: Final = SecretVerifierOptions.__required_keys__ | SecretVerifierOptions.__optional_keys__


class SecretWebhooks(Generic[EventT_co]):
    """What a facade offers as `verify`, `receive` and `verifier`.

    Signatures are `sha256=` and the hex digits of the HMAC-SHA256 of the raw body; without that prefix they are
    refused.

    Args:
        format: What deliveries look like.
        header: The header that carries the signature, unless the user names another.
        tolerance: How many seconds old a delivery may be, unless the user says otherwise.
    """

    def __init__(
        self,
        format: WebhookFormat,  # noqa: A002 - it is one
        header: str,
        *,
        tolerance: float = DEFAULT_TOLERANCE,
    ) -> None:
        self._format = format
        self._header = header
        self._tolerance = tolerance

    def verify(
        self,
        body: bytes,
        headers: WebhookHeaders,
        *,
        now: float | None = None,
        **options: Unpack[SecretVerifierOptions],
    ) -> EventT_co:
        """Return the event that a delivery holds, if it is proven to come from the platform.

        An event that the document does not know arrives as an `OtherEvent`, with all that came.

        Args:
            body: The request's body, byte by byte as it came.
            headers: The request's headers: a mapping, or pairs of names and values.
            now: The present in seconds since 1970, in place of the clock's.
            options: How deliveries are proven; `secret` must be given.

        Raises:
            WebhookVerificationError: It is not proven, too old, too large, or cannot be read; `reason` says which, and
                `status` what to answer.
            ConfigurationError: An option makes no sense.
        """
        options = _sealed(options)  # so that no traceback that shows local variables shows the secret
        return self.receive(body, headers, now=now, **options).event

    def receive(
        self,
        body: bytes,
        headers: WebhookHeaders,
        *,
        now: float | None = None,
        **options: Unpack[SecretVerifierOptions],
    ) -> WebhookDelivery[EventT_co]:
        """Do what `verify` does, and return the event with what came with it: its id, and a key for a `DedupeStore`."""
        options = _sealed(options)  # as above
        return self.verifier(**options).receive(body, headers, now=now)

    def verifier(self, **options: Unpack[SecretVerifierOptions]) -> WebhookVerifier[EventT_co]:
        """Return what verifies deliveries, always in the same way. Make one and keep it.

        Args:
            options: How deliveries are proven; `secret` must be given.

        Raises:
            ConfigurationError: An option makes no sense.
        """
        options = _sealed(options)
        platform = self._format.platform
        for unknown in options.keys() - OPTION_NAMES:
            raise TypeError(f"webhooks of {platform} are not verified by {unknown!r}; there is no such option")
        if not _has_secret(options):
            raise TypeError(f"webhooks of {platform} are verified by their secret: pass secret=")
        given = options.get("secret_header", self._header)
        names = (given,) if isinstance(given, str) else given
        return WebhookVerifier[EventT_co](
            self._format,
            [HmacScheme(name, options["secret"], prefix_required=True) for name in names],
            tolerance=options.get("tolerance", self._tolerance),
            max_body=options.get("max_body", DEFAULT_MAX_BODY),
            on_drift=options.get("on_drift"),
            clock=options.get("clock", time.time),
        )


def _sealed(options: SecretVerifierOptions) -> SecretVerifierOptions:
    if _has_secret(options):
        return {**options, "secret": sealed(options["secret"])}
    return options


def _has_secret(options: Mapping[str, object]) -> bool:
    # The type says that it is there; whoever does not check types is told when it is not.
    return "secret" in options
