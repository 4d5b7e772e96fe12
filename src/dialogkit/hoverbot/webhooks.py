"""HoverBot's webhooks: prove that a delivery comes from the platform, and read its event.

    event = webhooks.verify(await request.body(), request.headers, secret=secret)
    match event:
        case models.LeadQualifiedEvent():
            print(event.lead_score)

Make a `verifier` once if you receive many, or if you need a delivery's id or key; it offers `verify` and `receive`.

A signature proves that whoever knows the secret has sent exactly this body; it does not prove when, nor by what id. The
platform repeats a delivery for up to a day, so one may be as old as that. A `DedupeStore` tells what is repeated, by an
id in the body, else by the body: the header `Idempotency-Key` is not signed, and anybody could write another one.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeAlias

from dialogkit._core.codec.models import Model
from dialogkit._core.webhooks.by_secret import SecretVerifierOptions as VerifierOptions
from dialogkit._core.webhooks.by_secret import SecretWebhooks
from dialogkit._core.webhooks.verifier import WebhookDelivery, WebhookEvent, WebhookFormat, WebhookVerifier
from dialogkit.hoverbot._generated.webhooks import EVENTS

__all__ = [
    "FORMAT",
    "HEADER",
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

HEADER: Final = "X-HoverBot-Signature"
"""The platform documents how it signs, but no header; pass `secret_header=` if yours arrive with another."""

TOLERANCE: Final = 86_700.0
"""Seconds for which a delivery is accepted: the platform repeats one for up to 24 hours, and does not say that it gets
a new timestamp then. So use a `DedupeStore`, which tells what is repeated."""


class OtherEvent(WebhookEvent):
    """An event that the document does not know: its name and envelope, and all else that came, in `model_extra`."""

    tenant_id: str | None = None
    """The tenant that the event is about."""
    workspace_id: str | None = None
    """The workspace that the event is about."""
    conversation_id: str | None = None
    """The conversation that the event is about."""
    timestamp: datetime | None = None
    """When the event was sent."""


if TYPE_CHECKING:
    from dialogkit.hoverbot._generated import models

    Event: TypeAlias = (
        models.ConversationCreatedEvent
        | models.MessageRespondedEvent
        | models.LeadQualifiedEvent
        | models.EscalationCreatedEvent
        | models.ConversationEscalatedEvent
        | models.ConversationCompletedEvent
        | models.ConversationFeedbackEvent
        | models.GuardrailTriggeredEvent
        | OtherEvent
    )
else:
    Event = Model  # so that nothing builds the models before the first event does

FORMAT: Final = WebhookFormat(
    platform="HoverBot",
    events=EVENTS,
    other=lambda: OtherEvent,
    type_keys=("event", "type"),
    wrappers=("data", "lead"),
    outside_only=("id",),  # in a wrapper it is that of a lead, say
    id_keys=("idempotencyKey", "id"),
    id_headers=("Idempotency-Key",),
)

_WEBHOOKS: Final = SecretWebhooks[Event](FORMAT, HEADER, tolerance=TOLERANCE)
verify = _WEBHOOKS.verify
receive = _WEBHOOKS.receive
verifier = _WEBHOOKS.verifier
