"""HoopAI's webhooks: prove that a delivery comes from the platform, and read its event.

    event = webhooks.verify(await request.body(), request.headers)
    match event:
        case models.InboundMessageEvent():
            print(event.body)

Make a `verifier` once if you receive many, or if you need a delivery's id or key; it offers `verify`, `receive` and
`receive_async`.

What a signature proves: the platform has sent exactly this body. What it does not: that it was sent to you, or now. The
platform signs everybody's deliveries with one key, so whoever has an app there holds deliveries that are proven; pass
`location_ids=` to take your own only. And it repeats a delivery for up to three days with the body and signature of the
first time, so one may be as old as that; a `DedupeStore`, which remembers for longer, tells what is repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypedDict

from typing_extensions import Unpack

from dialogkit._core.codec.models import Model
from dialogkit._core.events import DriftHandler
from dialogkit._core.webhooks.schemes import (
    Ed25519Scheme,
    HmacScheme,
    Keys,
    RsaScheme,
    Secrets,
    SignatureScheme,
    sealed,
)
from dialogkit._core.webhooks.verifier import (
    DEFAULT_MAX_BODY,
    Accounts,
    WebhookDelivery,
    WebhookEvent,
    WebhookFormat,
    WebhookHeaders,
    WebhookVerifier,
)
from dialogkit.hoopai._generated.webhooks import EVENTS

__all__ = [
    "FORMAT",
    "PUBLIC_KEY",
    "RSA_PUBLIC_KEY",
    "TOLERANCE",
    "Event",
    "OtherEvent",
    "VerifierOptions",
    "WebhookDelivery",
    "WebhookVerifier",
    "receive",
    "verifier",
    "verify",
]

PUBLIC_KEY: Final = "MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg="
"""The Ed25519 key that the platform publishes for `X-GHL-Signature`."""

RSA_PUBLIC_KEY: Final = """\
-----BEGIN PUBLIC KEY-----
MIICIjANBgkqhkiG9w0BAQEFAAOCAg8AMIICCgKCAgEAokvo/r9tVgcfZ5DysOSC
Frm602qYV0MaAiNnX9O8KxMbiyRKWeL9JpCpVpt4XHIcBOK4u3cLSqJGOLaPuXw6
dO0t6Q/ZVdAV5Phz+ZtzPL16iCGeK9po6D6JHBpbi989mmzMryUnQJezlYJ3DVfB
csedpinheNnyYeFXolrJvcsjDtfAeRx5ByHQmTnSdFUzuAnC9/GepgLT9SM4nCpv
uxmZMxrJt5Rw+VUaQ9B8JSvbMPpez4peKaJPZHBbU3OdeCVx5klVXXZQGNHOs8gF
3kvoV5rTnXV0IknLBXlcKKAQLZcY/Q9rG6Ifi9c+5vqlvHPCUJFT5XUGG5RKgOKU
J062fRtN+rLYZUV+BjafxQauvC8wSWeYja63VSUruvmNj8xkx2zE/Juc+yjLjTXp
IocmaiFeAO6fUtNjDeFVkhf5LNb59vECyrHD2SQIrhgXpO4Q3dVNA5rw576PwTzN
h/AMfHKIjE4xQA1SZuYJmNnmVZLIZBlQAF9Ntd03rfadZ+yDiOXCCs9FkHibELhC
HULgCsnuDJHcrGNd5/Ddm5hxGQ0ASitgHeMZ0kcIOwKDOzOU53lDza6/Y09T7sYJ
PQe7z0cvj7aE4B+Ax1ZoZGPzpJlZtGXCsu9aTEGEnKzmsFqwcSsnw3JB31IGKAyk
T1hhTiaCeIY/OwwwNUY2yvcCAwEAAQ==
-----END PUBLIC KEY-----
"""
"""The RSA key that the platform publishes for `x-wh-signature`, which it has announced to end on 2026-09-01."""

ED25519_HEADER: Final = "X-GHL-Signature"
RSA_HEADER: Final = "x-wh-signature"
SECRET_HEADERS: Final = ("x-wl-signature", "X-Hook-Signature")
"""Two pages of the platform name two headers; the second one says "or similar"."""
TOLERANCE: Final = 3 * 86_400.0 + 300.0
"""Seconds for which a delivery is accepted: the platform repeats what was not acknowledged for up to three days, with
the same signed body. To refuse a repetition is to lose it, and counts against the app. So use a `DedupeStore`, which
tells what is repeated."""


class OtherEvent(WebhookEvent):
    """An event that the document does not know: its name and envelope, and all else that came, in `model_extra`."""

    location_id: str | None = None
    """The location the event happened in."""
    timestamp: datetime | None = None
    """When the event was sent."""
    webhook_id: str | None = None
    """Id of the delivery. The same on a repeated one."""


if TYPE_CHECKING:
    from dialogkit.hoopai._generated import models

    Event: TypeAlias = (
        models.ConversationBotMessageEvent
        | models.ConversationEscalatedEvent
        | models.BotStatusChangedEvent
        | models.VoiceCallCompletedEvent
        | models.VoiceCallEscalatedEvent
        | models.KnowledgeBaseUpdatedEvent
        | models.InboundMessageEvent
        | models.OutboundMessageEvent
        | models.ConversationUnreadUpdateEvent
        | models.ProviderSmsEvent
        | models.ProviderEmailEvent
        | models.LcEmailStatsEvent
        | models.InstallEvent
        | models.UninstallEvent
        | models.PlanChangeEvent
        | models.VoiceAiCallEndEvent
        | OtherEvent
    )
else:
    Event = Model  # so that nothing builds the models before the first event does


def _known_name(name: str, fields: Mapping[str, Any]) -> str:
    if name == "Custom":  # a message for an app's own provider, of whatever channel
        return "Email" if fields.get("emailTo") or fields.get("html") else "SMS"
    if not name and fields.keys() >= {"id", "agentId", "transcript"}:  # its page shows no name
        return "VoiceAiCallEnd"
    return name


FORMAT: Final = WebhookFormat(
    platform="HoopAI",
    events=EVENTS,
    other=lambda: OtherEvent,
    wrappers=("body", "data"),
    id_keys=("webhookId",),
    account_keys=("locationId",),
    accounts_argument="location_ids",
    known_name=_known_name,
)


class VerifierOptions(TypedDict, total=False):
    """How deliveries are proven."""

    public_key: Keys | None
    """Ed25519 keys, PEM or base64; the published one unless given, `None` accepts no such signature. A list of the old
    key and the new one bridges a change. Needs the extra `webhooks`."""
    secret: Secrets | None
    """Webhook secrets, for deliveries signed by HMAC; none unless given."""
    rsa_public_key: Keys | None
    """RSA keys, PEM or base64, of 2048 bits or more; none unless given, since the platform has announced the end of
    these signatures for 2026-09-01. `webhooks.RSA_PUBLIC_KEY` is the published one."""
    public_key_header: str
    """The header of the Ed25519 signature; `X-GHL-Signature` unless given."""
    rsa_header: str
    """The header of the RSA signature; `x-wh-signature` unless given."""
    secret_header: str | Sequence[str]
    """The headers of the HMAC; `x-wl-signature`, then `X-Hook-Signature`, unless given."""
    tolerance: float | None
    """How many seconds old a delivery may be by its `timestamp`, and at most 300 from the future; `TOLERANCE` unless
    given, `None` does not look at it. A delivery without a timestamp is accepted."""
    location_ids: Accounts | None
    """Whose deliveries are taken: the ids of locations, or a function that says of an id whether it is one of yours. An
    async function is for `verifier(...).receive_async`, which the router of `dialogkit.fastapi` uses. A delivery about
    another location, or about none, is refused as `foreign`; so an app that others install looks into its token store,
    which knows a location from the OAuth callback on, and not from an `INSTALL`. Everybody's are taken unless given."""
    max_body: int
    """The most bytes that a body may have; 1,048,576 unless given."""
    on_drift: DriftHandler | None
    """Told where an event differs from the document; warnings of the logger `dialogkit` unless given."""
    clock: Callable[[], float]
    """Returns the seconds since 1970; `time.time` unless given."""


def verify(
    body: bytes, headers: WebhookHeaders, *, now: float | None = None, **options: Unpack[VerifierOptions]
) -> Event:
    """Return the event that a delivery holds, if it is proven to come from the platform.

    An Ed25519 signature decides when there is one, then an RSA signature, then an HMAC, each if its key is given. What
    one refuses, no other is asked about. An event that the document does not know arrives as an `OtherEvent`; `SMS` and
    `Email`, which are channels rather than events, as `ProviderSmsEvent` and `ProviderEmailEvent`, and so does
    `Custom`, by what it holds. A `VoiceAiCallEnd` need not have a name.

    Args:
        body: The request's body, byte by byte as it came.
        headers: The request's headers: a mapping, or pairs of names and values.
        now: The present in seconds since 1970, in place of the clock's.
        options: How deliveries are proven.

    Raises:
        WebhookVerificationError: It is not proven, too old, too large, cannot be read, or is somebody else's; `reason`
            says which, and `status` what to answer.
        ConfigurationError: An option makes no sense, or the package cryptography is missing.
    """
    options = _sealed(options)  # so that no traceback that shows local variables shows the secret
    return receive(body, headers, now=now, **options).event


def receive(
    body: bytes, headers: WebhookHeaders, *, now: float | None = None, **options: Unpack[VerifierOptions]
) -> WebhookDelivery[Event]:
    """Do what `verify` does, and return the event with what came with it: its id, and a key for a `DedupeStore`."""
    options = _sealed(options)  # as above
    return verifier(**options).receive(body, headers, now=now)


def verifier(**options: Unpack[VerifierOptions]) -> WebhookVerifier[Event]:
    """Return what verifies deliveries, always in the same way. Make one and keep it.

    Args:
        options: How deliveries are proven.

    Raises:
        ConfigurationError: An option makes no sense, or the package cryptography is missing.
    """
    options = _sealed(options)
    for unknown in options.keys() - VerifierOptions.__optional_keys__:
        raise TypeError(f"webhooks of HoopAI are not verified by {unknown!r}; there is no such option")
    schemes, hints = _schemes(options)
    return WebhookVerifier[Event](
        FORMAT,
        schemes,
        tolerance=options.get("tolerance", TOLERANCE),
        max_body=options.get("max_body", DEFAULT_MAX_BODY),
        on_drift=options.get("on_drift"),
        clock=options.get("clock", time.time),
        hints=hints,
        accounts=options.get("location_ids"),
    )


def _sealed(options: VerifierOptions) -> VerifierOptions:
    secret = options.get("secret")
    return options if secret is None else {**options, "secret": sealed(secret)}


def _schemes(options: VerifierOptions) -> tuple[list[SignatureScheme], dict[str, str]]:
    """Return how deliveries may be signed, the strongest first, and what to do about all other headers."""
    schemes: list[SignatureScheme] = []
    hints: dict[str, str] = {}
    header = options.get("public_key_header", ED25519_HEADER)
    if (keys := options.get("public_key", PUBLIC_KEY)) is not None:
        schemes.append(Ed25519Scheme(header, keys))
    else:
        hints[header] = "leave out public_key=None to accept it"
    header = options.get("rsa_header", RSA_HEADER)
    if (keys := options.get("rsa_public_key")) is not None:
        schemes.append(RsaScheme(header, keys))
    else:
        hints[header] = "pass rsa_public_key=webhooks.RSA_PUBLIC_KEY if you still want to accept it"
    given = options.get("secret_header", SECRET_HEADERS)
    secret = options.get("secret")
    for each in (given,) if isinstance(given, str) else given:
        if secret is not None:
            schemes.append(HmacScheme(each, secret))
        else:
            hints[each] = "pass secret= to accept it"
    return schemes, hints
