"""`WebhookSigner`: deliveries as the platform would send them, for the tests of your own handlers."""

from __future__ import annotations

import time
from collections.abc import Callable

from dialogkit import ConfigurationError
from dialogkit.testing.hooks.signer import Scheme, Signer
from dialogkit.testing.platforms import NAMES, platform_named


class WebhookSigner(Signer):
    """Signs deliveries with keys of its own, which you give to `verify` in place of the platform's.

    Keys are made when they are first needed. Those for `ed25519` and `rsa` need the extra `webhooks`. Example::

        signer = WebhookSigner()
        delivery = signer.sign({"type": "InboundMessage", "locationId": "loc_1", "body": "Hello!"})
        event = webhooks.verify(delivery.body, delivery.headers, public_key=signer.public_key)

    Args:
        platform: Whose deliveries: `hoopai`, `hoverbot` or `convoai`.
        scheme: How they are signed, the platform's usual way unless given.
        secret: The webhook secret for `hmac`, made up unless given.
        clock: Returns the seconds since 1970, for `timestamp`.

    Raises:
        ConfigurationError: There is no such platform, or it does not sign in this way.
    """

    def __init__(
        self,
        platform: str = "hoopai",
        *,
        scheme: Scheme | None = None,
        secret: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if platform not in NAMES:
            raise ConfigurationError(f"WebhookSigner knows {', '.join(NAMES)}, not {platform!r}")
        super().__init__(platform_named(platform).signatures, scheme=scheme, secret=secret, clock=clock)
