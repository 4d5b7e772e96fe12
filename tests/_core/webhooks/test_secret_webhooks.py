"""Webhooks of the platforms that sign by HMAC alone: proof, options, whatever may arrive.

`DIALOGKIT_FUZZ=20` runs twenty times as many cases.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dialogkit import ConfigurationError, Drift, WebhookEvent, WebhookVerificationError
from dialogkit.convoai import webhooks as convoai
from dialogkit.convoai._generated.webhooks import EVENTS as CONVOAI_EVENTS
from dialogkit.hoverbot import webhooks as hoverbot
from dialogkit.hoverbot._generated.webhooks import EVENTS as HOVERBOT_EVENTS
from dialogkit.testing import WebhookSigner
from tests.support.wire import document, ignore

NOW = 1_800_000_000.0
CASES = 100 * int(os.environ.get("DIALOGKIT_FUZZ", "1"))
fuzzed = settings(max_examples=CASES, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)


@dataclass(frozen=True)
class Vendor:
    """What the tests need to know of a platform."""

    name: str
    webhooks: Any
    events: Any
    signer: WebhookSigner = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "signer", WebhookSigner(self.name, clock=lambda: NOW))

    def receive(self, body: bytes, headers: Any, **options: Any) -> Any:
        return self.webhooks.receive(body, headers, **{"secret": self.signer.secret, "now": NOW, **options})

    def reason(self, body: bytes, headers: Any, **options: Any) -> str:
        with pytest.raises(WebhookVerificationError) as caught:
            self.receive(body, headers, **options)
        return caught.value.reason


HOVERBOT = Vendor("hoverbot", hoverbot, HOVERBOT_EVENTS)
CONVOAI = Vendor("convoai", convoai, CONVOAI_EVENTS)
VENDORS = [HOVERBOT, CONVOAI]
EVENTS = [(vendor, name) for vendor in VENDORS for name in vendor.events]

each_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)


@pytest.mark.parametrize(("vendor", "name"), EVENTS, ids=lambda each: getattr(each, "name", each))
def test_every_documented_event_is_typed(vendor: Vendor, name: str) -> None:
    content = document(vendor.name)["webhooks"][name]["post"]["requestBody"]["content"]["application/json"]
    drifts: list[Drift] = []
    delivery = vendor.signer.sign(content["example"])
    received = vendor.receive(delivery.body, delivery.headers, tolerance=None, on_drift=drifts.append)
    assert type(received.event) is vendor.events[name]()
    assert (received.type, received.event.type, received.scheme, drifts) == (name, name, "hmac-sha256", [])
    sent = received.event.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert sent.keys() == json.loads(delivery.body).keys()
    renamed = {"type" if key == "event" else key: value for key, value in content["example"].items()}
    delivery = vendor.signer.sign(renamed)
    assert type(vendor.receive(delivery.body, delivery.headers, tolerance=None).event) is vendor.events[name]()


@each_vendor
def test_the_union_names_every_event(vendor: Vendor) -> None:
    source = Path(vendor.webhooks.__file__).read_text()
    union = source[source.index("Event: TypeAlias = (") : source.index("Event = Model")]
    assert [model().__name__ for model in vendor.events.values()] == [
        word.removeprefix("models.") for word in union.split() if word.startswith("models.")
    ]


@each_vendor
@pytest.mark.parametrize("payload", [{"event": "contact.updated", "data": {"a": [1, {"b": None}]}}, {"what": "?"}])
def test_an_unknown_event_is_generic_and_whole(vendor: Vendor, payload: dict[str, Any]) -> None:
    delivery = vendor.signer.sign({**payload, "agent_id": "a1", "workspaceId": "w1"})
    event = vendor.receive(delivery.body, delivery.headers).event
    assert type(event) is vendor.webhooks.OtherEvent
    assert issubclass(vendor.webhooks.OtherEvent, WebhookEvent)
    assert event.type == payload.get("event", "")
    assert event.timestamp is not None
    dumped = event.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert dumped.items() >= {**payload, "agent_id": "a1", "workspaceId": "w1"}.items()


@each_vendor
def test_only_the_secret_s_owner_is_believed(vendor: Vendor) -> None:
    delivery = vendor.signer.sign({"event": "lead.qualified"})
    header = vendor.webhooks.HEADER
    signature = delivery.headers[header]
    assert vendor.receive(delivery.body, {header.lower(): signature}).type == "lead.qualified"
    assert vendor.reason(delivery.body + b" ", delivery.headers) == "bad_signature"
    assert vendor.reason(delivery.body, delivery.headers, secret="another") == "bad_signature"
    assert vendor.reason(delivery.body, {header: signature.removeprefix("sha256=")}) == "bad_signature"
    assert vendor.reason(delivery.body, {header: "sha256=" + "0" * 64}) == "bad_signature"
    assert vendor.reason(delivery.body, {}) == "missing_signature"
    assert vendor.reason(delivery.body, {"X-GHL-Signature": signature}) == "missing_signature"


@each_vendor
def test_secrets_and_headers_may_change(vendor: Vendor) -> None:
    delivery = vendor.signer.sign({"event": "x"})
    signature = delivery.headers[vendor.webhooks.HEADER]
    assert vendor.receive(delivery.body, delivery.headers, secret=["old", vendor.signer.secret]).type == "x"
    assert vendor.receive(delivery.body, {"X-Own": signature}, secret_header="X-Own").type == "x"
    assert vendor.receive(delivery.body, {"X-Own": signature}, secret_header=["X-A", "X-Own"]).type == "x"
    assert vendor.reason(delivery.body, delivery.headers, secret_header="X-Own") == "missing_signature"


@each_vendor
def test_age_and_size(vendor: Vendor) -> None:
    delivery = vendor.signer.sign({"event": "x"})
    tolerance = vendor.webhooks.TOLERANCE
    assert vendor.receive(delivery.body, delivery.headers, now=NOW + tolerance).type == "x"
    assert vendor.reason(delivery.body, delivery.headers, now=NOW + tolerance + 1) == "stale"
    assert vendor.reason(delivery.body, delivery.headers, now=NOW + 11, tolerance=10) == "stale"
    assert vendor.receive(delivery.body, delivery.headers, now=NOW * 2, tolerance=None).type == "x"
    assert vendor.reason(delivery.body, delivery.headers, max_body=10) == "too_large"
    assert vendor.webhooks.verifier(secret=vendor.signer.secret, clock=lambda: NOW).verify(
        delivery.body, delivery.headers
    )


@each_vendor
def test_what_makes_no_sense_is_refused(vendor: Vendor) -> None:
    for secret in ("", [], ["a", ""], None, 7):
        with pytest.raises(ConfigurationError, match="secret"):
            vendor.webhooks.verifier(secret=secret)
    with pytest.raises(TypeError, match="pass secret="):
        vendor.webhooks.verify(b"{}", {})
    with pytest.raises(TypeError, match="'public_key'"):
        vendor.webhooks.verifier(secret="s", public_key="k")
    with pytest.raises(ConfigurationError, match="header"):
        vendor.webhooks.verifier(secret="s", secret_header="no header")
    with pytest.raises(ConfigurationError):
        vendor.webhooks.verifier(secret="s", secret_header=[])
    for name in ("public_key", "rsa_public_key"):
        with pytest.raises(ConfigurationError, match="signs by hmac"):
            getattr(vendor.signer, name)


@each_vendor
def test_no_secret_is_shown(vendor: Vendor) -> None:
    hush = "hush-" + "0123456789abcdef"
    verifier = vendor.webhooks.verifier(secret=hush)
    assert hush not in repr(verifier)
    with pytest.raises(TypeError):
        pickle.dumps(verifier)
    for call in (vendor.webhooks.verify, vendor.webhooks.receive):
        with pytest.raises(WebhookVerificationError) as caught:
            call(b"{}", {vendor.webhooks.HEADER: "sha256=" + "0" * 64}, secret=hush)
        trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        own = [frame for frame in trace.stack if frame.filename != __file__]
        assert len(own) > 2
        assert not [frame.name for frame in own if hush in str(frame.locals)]


@each_vendor
def test_the_public_names_are_there_and_documented(vendor: Vendor) -> None:
    module: ModuleType = vendor.webhooks
    assert all(hasattr(module, name) for name in module.__all__)
    assert all(getattr(module, name).__doc__ for name in ("verify", "receive", "verifier", "VerifierOptions"))
    assert get_type_hints(module.VerifierOptions)["tolerance"]


@each_vendor
def test_models_are_loaded_only_when_needed(vendor: Vendor) -> None:
    code = f"""
import sys
from dialogkit.{vendor.name} import webhooks
webhooks.verifier(secret="s")
heavy = {{"cryptography", "redis", "dialogkit.{vendor.name}._generated.models", "dialogkit.hoopai"}}
print(sorted(heavy & sys.modules.keys()))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == ("[]\n", "")


# ------------------------------------------------------------------------------------------------ whatever arrives

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
NAMES = ("event", "type", "timestamp", "data", "lead", "id", "idempotencyKey", "agent_id", "leadScore", "policyFlags")
names = st.sampled_from([*HOVERBOT_EVENTS, *CONVOAI_EVENTS])
inner = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=6), names | anything, max_size=6)
payloads = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=6), names | inner | anything, max_size=8)
bodies = st.binary(max_size=200) | payloads.map(json.dumps).map(str.encode)
signatures = st.text(st.characters()) | st.binary(min_size=32, max_size=32).map(lambda raw: "sha256=" + raw.hex())


@each_vendor
@fuzzed
@given(body=bodies, signature=signatures)
def test_what_is_not_signed_is_refused(vendor: Vendor, body: bytes, signature: str) -> None:
    header = vendor.webhooks.HEADER
    assert vendor.reason(body, [(header, signature)]) in {"bad_signature", "missing_signature"}


@each_vendor
@fuzzed
@given(body=bodies)
def test_what_is_signed_is_an_event_or_refused(vendor: Vendor, body: bytes) -> None:
    delivery = vendor.signer.sign(body)
    options: dict[str, Any] = {"tolerance": None, "on_drift": ignore}
    try:
        received = vendor.receive(body, delivery.headers, **options)
    except WebhookVerificationError:
        assert vendor.reason(body, delivery.headers, **options) == "malformed"
        return
    payload = json.loads(body)
    assert received.payload.keys() == payload.keys()
    known = vendor.events.get(received.type)
    assert type(received.event) is (vendor.webhooks.OtherEvent if known is None else known())
    assert received.key.startswith(f"{vendor.name}:")
    assert received.key == vendor.receive(body, delivery.headers, **options).key


@each_vendor
@fuzzed
@given(payload=payloads, at=st.integers(0), bit=st.integers(0, 7))
def test_one_bit_decides(vendor: Vendor, payload: dict[str, Any], at: int, bit: int) -> None:
    delivery = vendor.signer.sign(json.dumps(payload).encode())
    changed = bytearray(delivery.body)
    changed[at % len(changed)] ^= 1 << bit
    assert vendor.reason(bytes(changed), delivery.headers) == "bad_signature"


# --------------------------------------------------------------------------------------------------- HoverBot's own


@pytest.mark.parametrize("wrapper", ["data", "lead"])
def test_hoverbot_s_envelopes_are_opened(wrapper: str) -> None:
    lead = {"email": "ada@example.com", "qualificationScore": 82, "intent": "demo"}
    delivery = HOVERBOT.signer.sign({"event": "lead.qualified", "workspaceId": "ws_1", wrapper: lead})
    event = HOVERBOT.receive(delivery.body, delivery.headers).event
    assert (event.email, event.lead_score, event.intent, event.workspace_id) == ("ada@example.com", 82, "demo", "ws_1")


def test_hoverbot_s_deliveries_have_an_id_at_the_top_or_in_a_header() -> None:
    def received(payload: dict[str, Any], in_header: str | None = None) -> Any:
        delivery = HOVERBOT.signer.sign({"event": "lead.qualified", "idempotencyKey": None, **payload})
        more = {} if in_header is None else {"Idempotency-Key": in_header}
        return HOVERBOT.receive(delivery.body, {**delivery.headers, **more})

    assert received({"idempotencyKey": "k1", "id": "e1"}, in_header="h1").key == "hoverbot:id:k1"
    assert received({"id": "e1", "data": {"id": "lead_1"}}, in_header="h1").id == "e1"
    assert received({"data": {"id": "lead_1"}}, in_header="h1").id == "h1"
    for wrapper in ("data", "lead"):
        nothing = received({wrapper: {"id": "lead_1", "intent": "demo"}})
        assert nothing.id is None
        assert nothing.key.startswith("hoverbot:sha256:")
        assert (nothing.event.idempotency_key, nothing.event.intent) == (None, "demo")
        assert nothing.event.model_extra == {wrapper: {"id": "lead_1"}}, "a lead's id, and none of the delivery"


def test_hoverbot_s_signature_in_the_body_proves_nothing() -> None:
    signature = HOVERBOT.signer.sign(b'{"event":"lead.qualified"}').headers[hoverbot.HEADER]
    body = json.dumps({"event": "lead.qualified", "signature": signature}).encode()
    assert HOVERBOT.reason(body, {}) == "missing_signature"
    delivery = HOVERBOT.signer.sign({"event": "lead.qualified", "signature": "sha256=wrong"})
    assert HOVERBOT.receive(delivery.body, delivery.headers).event.signature == "sha256=wrong"


# ---------------------------------------------------------------------------------------------------- ConvoAI's own


def test_convoai_s_deliveries_have_no_id() -> None:
    delivery = CONVOAI.signer.sign({"event": "message.received", "agent_id": "a1", "data": {"id": "m1"}})
    received = CONVOAI.receive(delivery.body, delivery.headers)
    assert json.loads(delivery.body).keys() == {"timestamp", "event", "agent_id", "data"}
    assert received.id is None
    assert received.key.startswith("convoai:sha256:")
    assert (received.event.agent_id, received.event.data) == ("a1", {"id": "m1"})


UNSIGNED = st.dictionaries(st.sampled_from(["Idempotency-Key", "webhookId", "X-Id"]), st.text(max_size=9))


@each_vendor
@fuzzed
@given(payload=payloads, unsigned=UNSIGNED)
def test_what_is_not_signed_makes_nothing_new(vendor: Vendor, payload: Any, unsigned: dict[str, str]) -> None:
    delivery = vendor.signer.sign(json.dumps(payload).encode())

    def key(headers: dict[str, str]) -> Any:
        try:
            return vendor.receive(delivery.body, headers, tolerance=None, on_drift=ignore).key
        except WebhookVerificationError:
            return None

    assert key({**delivery.headers, **unsigned}) == key(dict(delivery.headers))
