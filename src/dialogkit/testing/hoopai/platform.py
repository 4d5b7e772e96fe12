"""HoopAI, as the sandbox stands in for it."""

from __future__ import annotations

from typing import Final

from dialogkit.hoopai import webhooks
from dialogkit.testing.engine.platform import Platform
from dialogkit.testing.hooks.signer import Signatures
from dialogkit.testing.hoopai import errors, events, limits, seeds
from dialogkit.testing.hoopai.calls import counted_location, with_location
from dialogkit.testing.hoopai.handlers import HANDLERS
from dialogkit.testing.hoopai.state import HoopAIState

PLATFORM: Final = Platform(
    name="HoopAI",
    document="hoopai.yaml",
    handlers=HANDLERS,
    keys=("sandbox-key",),
    tiers=limits.TIERS,
    own_limits=limits.OWN_LIMITS,
    limit_headers=limits.headers,
    counted_with=counted_location,
    required_headers=("Version",),
    prepare=with_location,
    error_body=errors.body,
    new_state=HoopAIState,
    seed=seeds.fill,
    envelope=events.envelope,
    signatures=Signatures(
        headers={
            "ed25519": webhooks.ED25519_HEADER,
            "rsa": webhooks.RSA_HEADER,
            "hmac": webhooks.SECRET_HEADERS[0],
        },
        id_key="webhookId",
    ),
    client_options={"location_id": "location_id"},
    environment=frozenset({"location_id"}),
)
