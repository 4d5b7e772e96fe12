"""A scheme of another kind is one class: Standard Webhooks, which signs an id and a moment in headers of their own.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping

import pytest

from dialogkit import MemoryDedupeStore, SignatureScheme, WebhookProof, WebhookVerificationError, WebhookVerifier
from dialogkit.hoopai import webhooks


class StandardWebhooks:
    """HMAC-SHA256 over `id.timestamp.body`, in base64; several signatures may stand side by side."""

    name = "standard-webhooks-v1"
    header = "webhook-signature"

    def __init__(self, *secrets: str) -> None:
        self._keys = [base64.b64decode(secret.removeprefix("whsec_")) for secret in secrets]

    def prove(self, body: bytes, headers: Mapping[str, str]) -> WebhookProof | None:
        id_, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not id_ or not sent.isdecimal() or len(sent) > 11:
            return None
        content = f"{id_}.{sent}.".encode() + body
        expected = [b"v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)) for key in self._keys]
        given = headers[self.header].encode().split()
        results = [hmac.compare_digest(one, other) for one in expected for other in given]
        if not any(results):
            return None
        return WebhookProof(self.name, moment=float(sent), id=id_)


# The example of the specification's libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, SENT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
HEADERS = {"webhook-id": ID, "webhook-timestamp": str(SENT), "webhook-signature": SIGNATURE}


def verifier(*secrets: str) -> WebhookVerifier[webhooks.Event]:
    scheme: SignatureScheme = StandardWebhooks(*secrets or (SECRET,))
    return WebhookVerifier(webhooks.FORMAT, [scheme], clock=lambda: float(SENT))


def test_the_example_of_the_standard_is_proven() -> None:
    received = verifier().receive(BODY, HEADERS)
    assert received.payload == json.loads(BODY)
    assert (received.scheme, received.id, received.key) == ("standard-webhooks-v1", ID, f"hoopai:id:{ID}")


def test_secrets_and_signatures_may_be_several_while_one_replaces_another() -> None:
    other = "whsec_" + base64.b64encode(b"another key").decode()
    assert verifier(other, SECRET).receive(BODY, HEADERS).id == ID
    assert verifier().receive(BODY, {**HEADERS, "webhook-signature": f"v1,AAAA {SIGNATURE} v1a,BBBB"}).id == ID


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "msg_other"},
        {"webhook-id": ""},
        {"webhook-timestamp": str(SENT + 1)},
        {"webhook-timestamp": "now"},
        {"webhook-signature": SIGNATURE.removeprefix("v1,")},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "\u00fc"},
    ],
)
def test_all_that_is_signed_counts(changed: dict[str, str]) -> None:
    with pytest.raises(WebhookVerificationError) as caught:
        verifier().receive(BODY, {**HEADERS, **changed})
    assert caught.value.reason == "bad_signature"


def test_the_signed_moment_says_how_old_it_is() -> None:
    assert verifier().receive(BODY, HEADERS, now=SENT + 300).id == ID
    for now in (SENT + 301, SENT - 301):
        with pytest.raises(WebhookVerificationError) as caught:
            verifier().receive(BODY, HEADERS, now=now)
        assert caught.value.reason == "stale"


async def test_a_replay_with_another_id_is_no_new_delivery() -> None:
    store = MemoryDedupeStore()
    assert await store.claim(verifier().receive(BODY, HEADERS).key)
    with pytest.raises(WebhookVerificationError):
        verifier().receive(BODY, {**HEADERS, "webhook-id": "msg_new"})
    assert not await store.claim(verifier().receive(BODY, {**HEADERS, "idempotency-key": "new"}).key)
