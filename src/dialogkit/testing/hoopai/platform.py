"""HoopAI, as the sandbox stands in for it."""

from __future__ import annotations

from typing import Final

from dialogkit.hoopai import webhooks
from dialogkit.testing.engine.platform import Platform
from dialogkit.testing.hooks.deliveries import Persistence
from dialogkit.testing.hooks.signer import Signatures
from dialogkit.testing.hoopai import errors, events, limits, live, seeds
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
    daily=limits.DAILY,
    limit_headers=limits.headers,
    counted_with=counted_location,
    check_headers=errors.check_version,
    refuses_strangers=True,
    prepare=with_location,
    finish=errors.with_trace_id,
    error_body=errors.body,
    new_state=HoopAIState,
    seed=seeds.fill,
    further_seeds={"live": live.fill},
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
    # Up to 12 attempts, farther and farther apart, over up to three days; every ten minutes when told to slow down.
    persistence=Persistence(5.0, backoff=120.0, attempts=12, slow_down=600.0),
    lenient={
        "limit_headers": limits.lenient_headers,
        "check_headers": errors.require_version,
        "refuses_strangers": False,
        "finish": errors.as_it_is,
    },
    environment=frozenset({"location_id"}),
)
