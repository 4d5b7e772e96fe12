from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from dialogkit import ConfigurationError, WebhookVerificationError
from dialogkit.hoopai import models, webhooks
from dialogkit.testing import SignedWebhook, WebhookSigner
from dialogkit.testing.hooks.signer import Scheme

SIGNER = WebhookSigner(clock=lambda: 1_800_000_000.0)
KEYS: dict[Scheme, dict[str, Any]] = {
    "ed25519": {"public_key": SIGNER.public_key},
    "rsa": {"rsa_public_key": SIGNER.rsa_public_key},
    "hmac": {"secret": SIGNER.secret},
}


@pytest.mark.parametrize("scheme", KEYS)
def test_what_it_signs_is_verified(scheme: Scheme) -> None:
    delivery = SIGNER.sign({"type": "InboundMessage", "locationId": "loc_1", "body": "Grüß dich"}, scheme=scheme)
    event = webhooks.verify(delivery.body, delivery.headers, now=1_800_000_000, **KEYS[scheme])
    assert isinstance(event, models.InboundMessageEvent)
    assert event.body == "Grüß dich"
    tampered = replace(delivery, body=delivery.body.replace(b"dich", b"mich"))
    for wrong in (tampered, WebhookSigner(scheme=scheme).sign(delivery.body)):
        with pytest.raises(WebhookVerificationError):
            webhooks.verify(wrong.body, wrong.headers, now=1_800_000_000, **KEYS[scheme])


def test_an_event_gets_a_moment_and_an_id_of_its_own() -> None:
    first, second = (json.loads(SIGNER.sign({"type": "X"}).body) for _ in range(2))
    assert first["timestamp"] == second["timestamp"] == "2027-01-15T08:00:00.000Z"
    assert first["webhookId"] != second["webhookId"]
    given = {"type": "X", "timestamp": "2020-01-01T00:00:00Z", "webhookId": "w1"}
    assert json.loads(SIGNER.sign(given).body) == given
    assert json.loads(SIGNER.sign({"type": "X", "timestamp": None, "webhookId": None, "y": None}).body) == {
        "type": "X",
        "y": None,
    }


def test_models_and_bytes_can_be_signed() -> None:
    event = models.InboundMessageEvent(location_id="loc_1", from_="Ada", body="Hi")
    fields = json.loads(SIGNER.sign(event).body)
    assert fields.keys() == {"type", "locationId", "from", "body", "timestamp", "webhookId"}
    assert fields["type"] == "InboundMessage"
    assert SIGNER.sign(b"\xff not json").body == b"\xff not json"


def test_headers_can_be_added_and_replaced() -> None:
    delivery = SIGNER.sign({}, headers={"X-More": "1", "X-GHL-Signature": "N/A"})
    assert delivery == SignedWebhook(
        delivery.body, {"Content-Type": "application/json", "X-GHL-Signature": "N/A", "X-More": "1"}
    )


def test_what_the_platform_does_not_do_is_refused() -> None:
    wrong: Any = "md5"
    with pytest.raises(ConfigurationError, match="ed25519, rsa, hmac"):
        WebhookSigner(scheme=wrong)
    with pytest.raises(ConfigurationError, match="hoopai"):
        WebhookSigner("nobody")


def test_the_secret_and_the_keys_are_not_shown() -> None:
    signer = WebhookSigner(secret="hush-hush")
    assert signer.secret == "hush-hush"
    assert "hush" not in repr(signer)


def test_it_needs_neither_the_sandbox_s_packages_nor_for_hmac_cryptography() -> None:
    code = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"starlette", "uvicorn", "jsonschema", "yaml", "cryptography"}:
            raise ImportError(name)
sys.meta_path.insert(0, Without())
from dialogkit import ConfigurationError
from dialogkit.hoopai import webhooks
from dialogkit.testing import WebhookSigner
signer = WebhookSigner(scheme="hmac")
delivery = signer.sign({"type": "X"})
print(webhooks.verify(delivery.body, delivery.headers, public_key=None, secret=signer.secret).type)
for attempt in (lambda: signer.public_key, lambda: signer.rsa_public_key, lambda: signer.sign(b"", scheme="rsa")):
    try:
        attempt()
    except ConfigurationError as error:
        print("dialogkit[webhooks]" in str(error))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.stdout.split(), result.stderr) == (["X", "True", "True", "True"], "")
