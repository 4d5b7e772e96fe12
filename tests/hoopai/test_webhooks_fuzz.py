"""Whatever a delivery holds, it ends in an event or in a `WebhookVerificationError`, and unsigned in the latter.

`DIALOGKIT_FUZZ=20` runs twenty times as many cases.
"""

from __future__ import annotations

import base64
import json
import os
import warnings
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dialogkit import Model, WebhookDelivery, WebhookVerificationError, WebhookVerifier
from dialogkit.hoopai import models, webhooks
from dialogkit.hoopai._generated.webhooks import EVENTS
from dialogkit.testing import WebhookSigner

CASES = 200 * int(os.environ.get("DIALOGKIT_FUZZ", "1"))
fuzzed = settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    database=None,
)

NOW = 1_800_000_000.0
SIGNER = WebhookSigner(clock=lambda: NOW)
STRANGER = WebhookSigner(clock=lambda: NOW)
HEADERS = ("X-GHL-Signature", "x-wh-signature", "x-wl-signature", "X-Hook-Signature")
FIELDS = sorted(
    {
        str(field.validation_alias or field.alias or name)
        for model in EVENTS.values()
        for name, field in model().model_fields.items()
    }
    | {"body", "data", "timestamp", "webhookId", "type"}
)


def verifier_of(tolerance: float | None) -> WebhookVerifier[webhooks.Event]:
    return webhooks.verifier(
        public_key=[webhooks.PUBLIC_KEY, SIGNER.public_key],
        rsa_public_key=[webhooks.RSA_PUBLIC_KEY, SIGNER.rsa_public_key],
        secret=["old", SIGNER.secret],
        tolerance=tolerance,
        clock=lambda: NOW,
        on_drift=lambda _: None,
    )


VERIFIER, TIMELESS = verifier_of(300), verifier_of(None)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.sampled_from(["", "N/A"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
moments = st.one_of(
    st.floats(NOW - 600, NOW + 600),
    st.integers(-(10**18), 10**18),
    st.datetimes().map(lambda date: date.isoformat()),
    st.text(max_size=30),
    anything,
)
fields = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), anything, max_size=12)


def event_of(fields: dict[str, Any], type_: Any, extra: dict[str, Any]) -> dict[str, Any]:
    return {**fields, **({} if type_ is None else {"type": type_}), **extra}


def broken(payload: dict[str, Any], at: int, junk: bytes) -> bytes:
    text = json.dumps(payload).encode()
    return text[: at % (len(text) + 1)] + junk + text[at:]


def deep(depth: int, mark: bytes) -> bytes:
    return mark * depth


def encoded(payload: dict[str, Any]) -> bytes:
    return json.dumps(payload, ensure_ascii=False).encode("utf-8", "surrogatepass")


payloads = st.builds(
    event_of,
    fields,
    st.none() | st.sampled_from([*EVENTS, "Custom", "ContactCreate"]) | anything,
    st.fixed_dictionaries({}, optional={"body": fields | anything, "data": fields | anything, "timestamp": moments}),
)
fragments = st.sampled_from(
    [
        *(b"{", b"}", b"[", b"]", b":", b",", b'"', b"\\", b"\\u", b"\\ud800", b"type", b'"body"', b"null", b"NaN"),
        *(b"Infinity", b"-", b"1e9", b"9" * 400, b"\xff", b"\xc3\xa9", b"\xef\xbb\xbf", b"\x00", b"\n", b'{"a":' * 40),
    ]
)
bodies = st.one_of(
    st.binary(max_size=400),
    st.lists(fragments, max_size=40).map(b"".join),
    payloads.map(json.dumps).map(str.encode),
    payloads.map(encoded),
    st.builds(broken, payloads, st.integers(0, 500), fragments | st.binary(max_size=3)),
    st.builds(deep, st.integers(0, 3_000), st.sampled_from([b"[", b'{"a":', b"[{"])),
)
signatures = st.one_of(
    st.text(st.characters()),
    st.binary().map(lambda raw: raw.decode("latin-1")),
    st.binary(max_size=600).map(lambda raw: base64.b64encode(raw).decode()),
    st.binary(min_size=64, max_size=64).map(lambda raw: base64.b64encode(raw).decode()),
    st.binary(min_size=512, max_size=512).map(lambda raw: base64.b64encode(raw).decode()),
    st.binary(min_size=32, max_size=32).map(lambda raw: raw.hex()),
    st.binary(min_size=32, max_size=32).map(lambda raw: "sha256=" + raw.hex()),
    st.sampled_from(["N/A", "n/a", "", "sha256=", "null", "="]),
)
texts = st.sampled_from(HEADERS) | st.text(st.characters(), max_size=10)
header_lists = st.lists(
    st.tuples(texts.map(str.upper) | texts | texts.map(lambda text: text.encode("utf-8", "replace")), signatures)
    | st.tuples(texts, st.binary()),
    max_size=8,
)


def outcome(
    verifier: WebhookVerifier[Any], body: bytes, headers: Any, now: float | None = None
) -> WebhookDelivery[Any] | WebhookVerificationError:
    """Return what becomes of a delivery; whatever else is raised is a fault of ours."""
    try:
        return verifier.receive(body, headers, now=now)
    except WebhookVerificationError as error:
        return error


def check(received: WebhookDelivery[Any]) -> None:
    """See that what was accepted is of use: it can be printed, stored and written as UTF-8."""
    event = received.event
    assert isinstance(event, Model)
    assert isinstance(received.type, str)
    assert received.key.isascii()
    assert len(received.key) <= 200
    json.dumps(received.payload, allow_nan=False, ensure_ascii=False).encode()
    repr(event).encode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic remarks on values that drifted
        event.model_dump_json(by_alias=True).encode()


@fuzzed
@given(bodies, header_lists)
def test_what_nobody_has_signed_is_never_accepted(body: bytes, headers: list[tuple[Any, Any]]) -> None:
    with pytest.raises(WebhookVerificationError) as caught:
        VERIFIER.receive(body, headers)
    assert caught.value.reason in {"missing_signature", "bad_signature"}
    assert caught.value.status == 401


@fuzzed
@given(bodies, st.sampled_from(["ed25519", "hmac"]), header_lists)
def test_what_is_signed_is_read_or_refused(body: bytes, scheme: Any, others: list[tuple[Any, Any]]) -> None:
    delivery = SIGNER.sign(body, scheme=scheme)
    result = outcome(TIMELESS, body, delivery.headers)
    if isinstance(result, WebhookVerificationError):
        assert (result.reason, result.status) == ("malformed", 422)
    else:
        check(result)
    result = outcome(VERIFIER, body, [*delivery.headers.items(), *others])
    if isinstance(result, WebhookVerificationError):
        assert result.status in {401, 422}
    else:
        check(result)


@fuzzed
@given(payloads)
def test_every_json_object_that_is_signed_becomes_an_event(payload: dict[str, Any]) -> None:
    body = json.dumps(payload).encode()
    delivery = SIGNER.sign(body, scheme="hmac")
    result = outcome(TIMELESS, body, delivery.headers)
    if isinstance(result, WebhookVerificationError):
        # Numbers that JSON does not have, and lone surrogates in names; these may also become the same name.
        assert result.reason == "malformed"
        assert any(word in str(result) for word in ("NaN", "Infinity", "Unicode", "twice"))
        return
    check(result)
    name = payload.get("type")
    known = EVENTS.get(name) if isinstance(name, str) else None
    if name == "Custom":
        assert isinstance(result.event, models.ProviderSmsEvent | models.ProviderEmailEvent)
    elif not name or not isinstance(name, str):
        assert isinstance(result.event, webhooks.OtherEvent | models.VoiceAiCallEndEvent)
    else:
        assert type(result.event) is (webhooks.OtherEvent if known is None else known())


@fuzzed
@given(moments, st.floats(-(10.0**12), 10.0**12))
def test_only_a_moment_that_is_near_is_accepted(moment: Any, now: float) -> None:
    body = json.dumps({"type": "INSTALL", "timestamp": moment}).encode()
    delivery = SIGNER.sign(body, scheme="hmac")
    for at in (now, NOW):
        result = outcome(VERIFIER, body, delivery.headers, now=at)
        if isinstance(result, WebhookVerificationError):
            assert result.reason in {"stale", "malformed"}
        elif isinstance(moment, int | float) and abs(moment) < 2e10:
            assert abs(at - moment) <= 301


@fuzzed
@given(payloads, st.integers(0), st.integers(0, 7), st.sampled_from(["ed25519", "rsa", "hmac"]), st.booleans())
def test_one_bit_decides(payload: dict[str, Any], at: int, bit: int, scheme: Any, in_body: bool) -> None:
    body = json.dumps(payload).encode()
    delivery = SIGNER.sign(body, scheme=scheme)
    (name, signature) = [*delivery.headers.items()][1]
    raw = bytearray(bytes.fromhex(signature[7:]) if scheme == "hmac" else base64.b64decode(signature))
    changed = bytearray(body) if in_body else raw
    changed[at % len(changed)] ^= 1 << bit
    signature = "sha256=" + raw.hex() if scheme == "hmac" else base64.b64encode(raw).decode()
    with pytest.raises(WebhookVerificationError) as caught:
        TIMELESS.receive(bytes(changed) if in_body else body, {name: signature})
    assert caught.value.reason == "bad_signature"


@fuzzed
@given(payloads, st.permutations(["ed25519", "rsa", "hmac"]), st.data())
def test_no_set_of_signatures_downgrades(payload: dict[str, Any], order: list[Any], data: st.DataObject) -> None:
    """A delivery is accepted exactly if the strongest signature that it has is the platform's."""
    body = json.dumps({key: value for key, value in payload.items() if key != "type"}).encode()
    states = {each: data.draw(st.sampled_from(["right", "wrong", "N/A", "absent"]), each) for each in order}
    headers: list[tuple[str, str]] = []
    for each in order:
        if states[each] != "absent":
            signer = SIGNER if states[each] == "right" else STRANGER
            (name, signature) = [*signer.sign(body, scheme=each).headers.items()][1]
            headers.append((name, "N/A" if states[each] == "N/A" else signature))
    strongest = next((states[each] for each in ("ed25519", "rsa", "hmac") if states[each] in {"right", "wrong"}), None)
    result = outcome(TIMELESS, body, headers)
    if isinstance(result, WebhookVerificationError):
        expected = {"right": "malformed", "wrong": "bad_signature", None: "missing_signature"}
        assert result.reason == expected[strongest]
    else:
        assert strongest == "right"
