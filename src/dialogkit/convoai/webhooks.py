"""ConvoAI's webhooks: prove that a delivery comes from the platform, and read its event.

    event = webhooks.verify(await request.body(), request.headers, secret=secret)
    match event:
        case models.MessageReceivedEvent():
            print(event.agent_id, event.data)

The secret is that of the answer to `convo.webhooks.create(...)`. Make a `verifier` once if you receive many, or if you
need a delivery's key; it offers `verify` and `receive`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeAlias

from pydantic import Field

from dialogkit._core.codec.models import Model
from dialogkit._core.webhooks.by_secret import SecretVerifierOptions as VerifierOptions
from dialogkit._core.webhooks.by_secret import SecretWebhooks
from dialogkit._core.webhooks.verifier import (
    DEFAULT_TOLERANCE,
    WebhookDelivery,
    WebhookEvent,
    WebhookFormat,
    WebhookVerifier,
)
from dialogkit.convoai._generated.webhooks import EVENTS

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

HEADER: Final = "X-ConvoAI-Signature"

TOLERANCE: Final = DEFAULT_TOLERANCE
"""Seconds for which a delivery is accepted. The platform documents no repetition; if yours are repeated, and refused as
`stale`, pass a `tolerance=` of as long as that goes on, and use a `DedupeStore`."""


class OtherEvent(WebhookEvent):
    """An event that the document does not know: its name and envelope, and all else that came, in `model_extra`."""

    agent_id: str | None = Field(default=None, validation_alias="agent_id", serialization_alias="agent_id")
    """The agent that the event is about."""
    timestamp: datetime | None = None
    """When the event was sent."""


if TYPE_CHECKING:
    from dialogkit.convoai._generated import models

    Event: TypeAlias = (
        models.LeadQualifiedEvent
        | models.AppointmentBookedEvent
        | models.HandoffTriggeredEvent
        | models.HandoffRequestedEvent
        | models.MessageReceivedEvent
        | models.ConversationCreatedEvent
        | OtherEvent
    )
else:
    Event = Model  # so that nothing builds the models before the first event does

FORMAT: Final = WebhookFormat(platform="ConvoAI", events=EVENTS, other=lambda: OtherEvent, type_keys=("event", "type"))

_WEBHOOKS: Final = SecretWebhooks[Event](FORMAT, HEADER, tolerance=TOLERANCE)
verify = _WEBHOOKS.verify
receive = _WEBHOOKS.receive
verifier = _WEBHOOKS.verifier
