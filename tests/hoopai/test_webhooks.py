"""HoopAI's webhooks: its four signatures, its envelopes, its events."""

from __future__ import annotations

import inspect
import json
import pickle
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any, get_args, get_type_hints

import anyio.lowlevel
import pytest

import dialogkit
from dialogkit import (
    ConfigurationError,
    Drift,
    MemoryDedupeStore,
    RedisDedupeStore,
    WebhookEvent,
    WebhookVerificationError,
)
from dialogkit.hoopai import models, webhooks
from dialogkit.hoopai._generated.webhooks import EVENTS
from dialogkit.testing import WebhookSigner

yaml = pytest.importorskip("yaml")

NOW = 1_800_000_000.0
SIGNER = WebhookSigner(clock=lambda: NOW)
OTHER = WebhookSigner(clock=lambda: NOW)
ALL: dict[str, Any] = {
    "public_key": SIGNER.public_key,
    "rsa_public_key": SIGNER.rsa_public_key,
    "secret": SIGNER.secret,
    "now": NOW,
}
PAYLOAD = {"type": "ConversationEscalated", "locationId": "loc_1", "conversationId": "c1", "reason": "asked"}
DELIVERY = SIGNER.sign(PAYLOAD)
BODY = DELIVERY.body
ED25519 = DELIVERY.headers["X-GHL-Signature"]
RSA = SIGNER.sign(BODY, scheme="rsa").headers["x-wh-signature"]
HMAC = SIGNER.sign(BODY, scheme="hmac").headers["x-wl-signature"]


def reason(headers: Any, body: bytes = BODY, **options: Any) -> str:
    with pytest.raises(WebhookVerificationError) as caught:
        webhooks.verify(body, headers, **{**ALL, **options})
    return caught.value.reason


def scheme(headers: Any, **options: Any) -> str:
    return webhooks.receive(BODY, headers, **{**ALL, **options}).scheme


def examples() -> dict[str, dict[str, Any]]:
    """Return the example of each event in the document."""
    document = Path(__file__).resolve().parents[2] / "openapi" / "hoopai.yaml"
    events = yaml.safe_load(document.read_text())["webhooks"]
    return {
        name: event["post"]["requestBody"]["content"]["application/json"]["example"] for name, event in events.items()
    }


EXAMPLES = examples()


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("wrapper", [None, "body", "data"])
def test_every_documented_event_is_typed_in_every_envelope(name: str, wrapper: str | None) -> None:
    example = EXAMPLES[name]
    envelope = {"type", "locationId", "timestamp", "webhookId"}
    payload = example
    if wrapper is not None:
        outside = {key: value for key, value in example.items() if key in envelope}
        payload = {**outside, wrapper: {key: value for key, value in example.items() if key not in envelope}}
    drifts: list[Drift] = []
    delivery = SIGNER.sign(payload)
    event = webhooks.verify(
        delivery.body, delivery.headers, public_key=SIGNER.public_key, tolerance=None, on_drift=drifts.append
    )
    assert type(event) is EVENTS[name]()
    assert event.type == name
    assert drifts == []
    sent = event.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert sent.keys() == json.loads(delivery.body).keys() - {wrapper} | example.keys()


def test_the_union_names_every_event() -> None:
    source = Path(webhooks.__file__).read_text()
    union = source[source.index("Event: TypeAlias = (") : source.index("Event = Model")]
    assert [model().__name__ for model in EVENTS.values()] == [
        word.removeprefix("models.") for word in union.split() if word.startswith("models.")
    ]


def test_a_message_s_text_is_no_envelope() -> None:
    delivery = SIGNER.sign({"type": "InboundMessage", "locationId": "loc_1", "body": "Hello!"})
    event = webhooks.verify(delivery.body, delivery.headers, **ALL)
    assert isinstance(event, models.InboundMessageEvent)
    assert event.body == "Hello!"


def test_what_the_wire_really_sends_is_taken() -> None:
    drifts: list[Drift] = []
    payload = {
        "type": "OutboundMessage",
        "locationId": "loc_1",
        "to": ["a@example.com", "b@example.com"],
        "callDuration": "12",
        "attachments": None,
        "messageTypeId": 3,
        "messageTypeString": "TYPE_EMAIL",
    }
    delivery = SIGNER.sign(payload)
    event = webhooks.verify(delivery.body, delivery.headers, on_drift=drifts.append, **ALL)
    assert isinstance(event, models.OutboundMessageEvent)
    assert event.call_duration == 12
    assert drifts == []


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "NoteCreate", "locationId": "loc_1", "contactId": "c1", "message": "Hi"},
        {"type": "ContactCreate", "locationId": "loc_1", "data": {"nested": [1, {"deep": None}]}},
        {"locationId": "loc_1", "what": "is this?"},
    ],
)
def test_an_unknown_event_is_generic_and_whole(payload: dict[str, Any]) -> None:
    delivery = SIGNER.sign({**payload, "webhookId": "w1"})
    event = webhooks.verify(delivery.body, delivery.headers, **ALL)
    assert isinstance(event, webhooks.OtherEvent)
    assert isinstance(event, WebhookEvent)
    assert (event.type, event.location_id, event.webhook_id) == (payload.get("type", ""), "loc_1", "w1")
    assert event.model_extra == {key: value for key, value in payload.items() if key not in {"type", "locationId"}}


def test_each_signature_proves_a_delivery_and_the_strongest_decides() -> None:
    ed25519, rsa, hmac = {"X-GHL-Signature": ED25519}, {"x-wh-signature": RSA}, {"x-wl-signature": HMAC}
    assert scheme({**hmac, **rsa, **ed25519}) == scheme(ed25519) == "ed25519"
    assert scheme({**hmac, **rsa}) == scheme({**rsa, "x-ghl-signature": "N/A"}) == "rsa-sha256"
    assert scheme(hmac) == scheme({"X-Hook-Signature": HMAC.removeprefix("sha256=")}) == "hmac-sha256"


def test_what_a_stronger_signature_refuses_no_weaker_one_saves() -> None:
    wrong = OTHER.sign(BODY).headers["X-GHL-Signature"]
    assert reason({"X-GHL-Signature": wrong, "x-wh-signature": RSA, "x-wl-signature": HMAC}) == "bad_signature"
    assert reason({"x-wh-signature": wrong, "x-wl-signature": HMAC}) == "bad_signature"
    assert reason({"x-wl-signature": wrong, "X-Hook-Signature": HMAC}) == "bad_signature"
    assert reason({"X-GHL-Signature": RSA}) == reason({"X-GHL-Signature": HMAC}) == "bad_signature"


def test_only_what_is_configured_is_accepted() -> None:
    headers = {"x-wh-signature": RSA, "x-wl-signature": HMAC}
    assert reason(headers, rsa_public_key=None, secret=None) == "missing_signature"
    assert reason({"x-wh-signature": RSA}, rsa_public_key=None) == "missing_signature"
    assert reason({"X-GHL-Signature": ED25519}, public_key=None) == "missing_signature"
    assert reason({}) == "missing_signature"
    assert scheme({"X-GHL-Signature": "junk", "x-wl-signature": HMAC}, public_key=None) == "hmac-sha256"
    with pytest.raises(WebhookVerificationError, match=r"x-wh-signature: pass rsa_public_key=webhooks.RSA_PUBLIC_KEY"):
        webhooks.verify(BODY, headers)
    with pytest.raises(ConfigurationError, match="cannot be verified"):
        webhooks.verify(BODY, headers, public_key=None)


def test_the_published_keys_are_read_and_accept_nobody_else() -> None:
    assert reason({"X-GHL-Signature": ED25519}, public_key=webhooks.PUBLIC_KEY) == "bad_signature"
    assert reason({"x-wh-signature": RSA}, rsa_public_key=webhooks.RSA_PUBLIC_KEY) == "bad_signature"
    with pytest.raises(WebhookVerificationError, match="X-GHL-Signature is not that of the body"):
        webhooks.verify(BODY, {"X-GHL-Signature": ED25519})  # the default


def test_keys_may_be_several_while_one_replaces_another() -> None:
    keys = [webhooks.PUBLIC_KEY, OTHER.public_key, SIGNER.public_key]
    assert scheme({"X-GHL-Signature": ED25519}, public_key=keys) == "ed25519"
    rsa = [webhooks.RSA_PUBLIC_KEY, SIGNER.rsa_public_key]
    assert scheme({"x-wh-signature": RSA}, rsa_public_key=rsa) == "rsa-sha256"
    assert scheme({"x-wl-signature": HMAC}, secret=["older", SIGNER.secret]) == "hmac-sha256"


def test_headers_may_have_other_names() -> None:
    assert scheme({"X-A": ED25519}, public_key_header="X-A") == "ed25519"
    assert scheme({"X-B": RSA}, rsa_header="X-B") == "rsa-sha256"
    assert scheme({"X-C": HMAC}, secret_header="X-C") == "hmac-sha256"
    assert scheme({"X-D": HMAC}, secret_header=["X-C", "X-D"]) == "hmac-sha256"
    assert reason({"X-GHL-Signature": ED25519}, public_key_header="X-A") == "missing_signature"


DAY = 86_400.0


@pytest.mark.parametrize("age", [0, 600, DAY, 3 * DAY])
def test_what_the_platform_still_repeats_is_accepted(age: float) -> None:
    assert scheme(DELIVERY.headers, now=NOW + age) == "ed25519"


def test_a_replayed_delivery_is_stale() -> None:
    assert reason(DELIVERY.headers, now=NOW + webhooks.TOLERANCE + 1) == "stale"
    assert reason(DELIVERY.headers, now=NOW - 302) == "stale"
    assert reason(DELIVERY.headers, now=NOW + 301, tolerance=300) == "stale"
    assert scheme(DELIVERY.headers, now=NOW + 7 * DAY, tolerance=None) == "ed25519"


@pytest.mark.parametrize("store", [MemoryDedupeStore, RedisDedupeStore])
def test_a_store_remembers_for_longer_than_a_delivery_may_be_old(store: Any) -> None:
    remembered = inspect.signature(store).parameters["ttl"].default
    assert remembered > webhooks.TOLERANCE + 300 + DAY, "a replay would be handled again"


VOICE_CALL = {"id": "call_1", "locationId": "loc_1", "agentId": "vagent_1", "transcript": "", "duration": 12}


@pytest.mark.parametrize(
    ("payload", "event", "name"),
    [
        (VOICE_CALL, models.VoiceAiCallEndEvent, "VoiceAiCallEnd"),
        ({"type": None, **VOICE_CALL}, models.VoiceAiCallEndEvent, "VoiceAiCallEnd"),
        ({"locationId": "loc_1", "body": VOICE_CALL}, models.VoiceAiCallEndEvent, "VoiceAiCallEnd"),
        ({"type": "New", **VOICE_CALL}, webhooks.OtherEvent, "New"),
        ({"id": "1", "locationId": "loc_1", "agentId": "vagent_1"}, webhooks.OtherEvent, ""),
        (
            {"type": "Custom", "locationId": "l", "phone": "+15550100", "message": "Hi"},
            models.ProviderSmsEvent,
            "Custom",
        ),
        ({"type": "Custom", "locationId": "l", "emailTo": "a@example.com"}, models.ProviderEmailEvent, "Custom"),
        ({"type": "Custom", "locationId": "l", "data": {"html": "<p>Hi</p>"}}, models.ProviderEmailEvent, "Custom"),
        ({"type": "Custom", "locationId": "l", "emailTo": "", "message": "Hi"}, models.ProviderSmsEvent, "Custom"),
    ],
)
def test_an_event_whose_name_does_not_say_what_it_is_is_recognised(payload: Any, event: type[Any], name: str) -> None:
    drifts: list[Drift] = []
    delivery = SIGNER.sign(payload)
    received = webhooks.receive(delivery.body, delivery.headers, on_drift=drifts.append, **ALL)
    assert (type(received.event), received.type, received.event.type, drifts) == (event, name, name, [])


def test_a_custom_provider_s_own_fields_are_typed() -> None:
    own = {"conversationProviderId": "provider_1", "replyToAltId": "alt_1"}
    delivery = SIGNER.sign({"type": "Custom", "locationId": "loc_1", "message": "Hi", **own})
    event = webhooks.verify(delivery.body, delivery.headers, **ALL)
    assert isinstance(event, models.ProviderSmsEvent)
    assert (event.conversation_provider_id, event.reply_to_alt_id) == ("provider_1", "alt_1")


# ------------------------------------------------------------------------------------------- whose deliveries are taken


async def asked(location_id: str) -> bool:
    await anyio.lowlevel.checkpoint()
    return location_id == "loc_1"


TAKERS: list[Any] = [["loc_1"], {"loc_2", "loc_1"}, ("loc_1",), "loc_1", {"loc_1": 1}.keys(), "loc_1".__eq__]


@pytest.mark.parametrize("location_ids", [*TAKERS, asked])
@pytest.mark.parametrize(
    ("payload", "mine"),
    [
        (PAYLOAD, True),
        ({"type": "ConversationEscalated", "body": {"locationId": "loc_1"}}, True),
        ({"type": "ContactCreate", "locationId": "loc_1"}, True),
        ({"type": "ContactCreate", "data": {"locationId": "loc_1"}}, True),
        ({**PAYLOAD, "locationId": "loc_9"}, False),
        ({**PAYLOAD, "locationId": "loc_9", "body": {"locationId": "loc_1"}}, False),
        ({**PAYLOAD, "locationId": "loc"}, False),
        ({**PAYLOAD, "locationId": ""}, False),
        ({**PAYLOAD, "locationId": ["loc_1"]}, False),
        ({"type": "UNINSTALL", "companyId": "loc_1"}, False),
    ],
)
async def test_a_verifier_takes_its_own_locations_deliveries(location_ids: Any, payload: Any, mine: bool) -> None:
    verifier = webhooks.verifier(public_key=SIGNER.public_key, clock=lambda: NOW, location_ids=location_ids)
    signed = SIGNER.sign(payload)
    if mine:
        assert (await verifier.receive_async(signed.body, signed.headers)).payload == json.loads(signed.body)
        if location_ids is not asked:
            assert verifier.receive(signed.body, signed.headers).payload == json.loads(signed.body)
        return
    with pytest.raises(WebhookVerificationError, match=r"about .*, whom location_ids does not take") as caught:
        await verifier.receive_async(signed.body, signed.headers)
    assert (caught.value.reason, caught.value.status) == ("foreign", 200)


async def test_what_is_not_proven_is_nobody_s() -> None:
    verifier = webhooks.verifier(public_key=SIGNER.public_key, clock=lambda: NOW, location_ids=[])
    with pytest.raises(WebhookVerificationError) as caught:
        await verifier.receive_async(BODY + b" ", DELIVERY.headers)
    assert caught.value.reason == "bad_signature"


def test_an_async_function_wants_to_be_awaited() -> None:
    verifier = webhooks.verifier(public_key=SIGNER.public_key, clock=lambda: NOW, location_ids=asked)
    with pytest.raises(ConfigurationError, match=r"await receive_async\(\)"):
        verifier.receive(BODY, DELIVERY.headers)


def test_a_foreign_location_forges_no_line() -> None:
    signed = SIGNER.sign({**PAYLOAD, "locationId": "x\n2027 CRITICAL forged\x1b[2J" + "y" * 500})
    with pytest.raises(WebhookVerificationError) as caught:
        webhooks.verify(signed.body, signed.headers, location_ids=["loc_1"], **ALL)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("location_ids", [5, [5], [""], [None]])
def test_locations_that_make_no_sense_are_refused(location_ids: Any) -> None:
    with pytest.raises(ConfigurationError, match="location_ids takes ids"):
        webhooks.verifier(location_ids=location_ids)


def test_a_verifier_is_made_once() -> None:
    verifier = webhooks.verifier(public_key=SIGNER.public_key, clock=lambda: NOW, max_body=len(BODY))
    received = verifier.receive(BODY, DELIVERY.headers)
    assert isinstance(received.event, models.ConversationEscalatedEvent)
    assert received.key == f"hoopai:id:{received.event.webhook_id}"
    with pytest.raises(WebhookVerificationError, match=f"no more than {len(BODY)} are read"):
        verifier.verify(BODY + b" ", DELIVERY.headers)


def test_an_unknown_option_is_refused() -> None:
    options: Any = {"secrets": "x"}
    with pytest.raises(TypeError, match="'secrets'"):
        webhooks.verifier(**options)


def test_no_secret_is_shown() -> None:
    hush = "hush-" + "0123456789abcdef"
    verifier = webhooks.verifier(secret=hush)
    assert hush not in repr(verifier)
    with pytest.raises(TypeError):
        pickle.dumps(verifier)
    for call in (webhooks.verify, webhooks.receive):
        with pytest.raises(WebhookVerificationError) as caught:
            call(BODY, {"x-wl-signature": "0" * 64}, secret=hush)
        trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        own = [frame for frame in trace.stack if frame.filename != __file__]
        assert len(own) > 2
        assert not [frame.name for frame in own if hush in str(frame.locals)]


def test_annotations_can_be_read_at_run_time() -> None:
    assert get_type_hints(webhooks.verify)["return"] is webhooks.Event
    assert str in get_args(get_type_hints(webhooks.VerifierOptions)["public_key"])


def test_cryptography_and_models_are_loaded_only_when_needed() -> None:
    code = """
import sys
from dialogkit.hoopai import webhooks
heavy = {"cryptography", "redis", "dialogkit.hoopai._generated.models"}
print(sorted(heavy & sys.modules.keys()))
webhooks.verifier(public_key=None, secret="s")
print("cryptography" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.stdout.split("\n"), result.stderr) == (["[]", "False", ""], "")


def test_the_public_names_are_there() -> None:
    for name in ("WebhookEvent", "WebhookDelivery", "WebhookProof", "WebhookVerifier", "WebhookVerificationError"):
        assert hasattr(dialogkit, name)
    assert all(hasattr(webhooks, name) for name in webhooks.__all__)
