"""The verifier, with a made-up platform."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import pickle
import time
from collections.abc import Mapping
from typing import Any, Literal

import httpx
import pytest
from multidict import CIMultiDict
from starlette.datastructures import Headers

from dialogkit import (
    ConfigurationError,
    Drift,
    Model,
    WebhookDelivery,
    WebhookEvent,
    WebhookVerificationError,
    WebhookVerifier,
)
from dialogkit._core.errors import WebhookFault
from dialogkit._core.webhooks.schemes import HmacScheme, SignatureScheme, WebhookProof
from dialogkit._core.webhooks.verifier import WebhookFormat

NOW = 1_800_000_000.0
STRONG, WEAK = "strong-secret", "weak-secret"


class ThingMade(Model):
    type: Literal["thing.made"] = "thing.made"
    thing_id: str
    body: str | None = None
    size: int | None = None


FORMAT = WebhookFormat(
    platform="Toy",
    events={"thing.made": lambda: ThingMade},
    type_keys=("event", "type"),
    wrappers=("body", "data"),
    id_keys=("deliveryId",),
    id_headers=("Idempotency-Key",),
)


def make(*schemes: SignatureScheme, **options: Any) -> WebhookVerifier[Model]:
    schemes = schemes or (HmacScheme("X-Strong", STRONG), HmacScheme("X-Weak", WEAK))
    arguments: dict[str, Any] = {"clock": lambda: NOW, **options}
    return WebhookVerifier(FORMAT, schemes, **arguments)


VERIFIER = make()


def sign(body: bytes, secret: str = STRONG) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def signed(payload: Any, **headers: str) -> tuple[bytes, dict[str, str]]:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return body, {"X-Strong": sign(body), **headers}


def refusal(
    body: Any, headers: Any, verifier: WebhookVerifier[Model] = VERIFIER, now: float | None = None
) -> WebhookVerificationError:
    with pytest.raises(WebhookVerificationError) as caught:
        verifier.verify(body, headers, now=now)
    return caught.value


def accept(result: Model | WebhookDelivery[Model]) -> None:
    """Say that there is an event; `verify` and `receive` return nothing else."""
    assert isinstance(result, Model | WebhookDelivery)


PAYLOAD = {"type": "thing.made", "thingId": "t1", "note": "kept"}


def test_a_delivery_becomes_an_event() -> None:
    event = VERIFIER.verify(*signed(PAYLOAD))
    assert isinstance(event, ThingMade)
    assert (event.thing_id, event.model_extra) == ("t1", {"note": "kept"})


BODY, SIGNED = signed(PAYLOAD)
SIGNATURE = SIGNED["X-Strong"]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Strong": SIGNATURE},
        {"x-strong": SIGNATURE},
        {"X-STRONG": f"  {SIGNATURE} "},
        {b"x-strong": SIGNATURE.encode()},
        [("X-Strong", SIGNATURE)],
        iter([(b"X-Strong", SIGNATURE.encode()), (b"X-Other", b"\xff")]),
        {"X-Strong": [SIGNATURE]},
        {"X-Strong": (SIGNATURE,)},
        httpx.Headers({"X-Strong": SIGNATURE}),
        Headers({"X-Strong": SIGNATURE}),
        CIMultiDict({"X-Strong": SIGNATURE}),
    ],
    ids=lambda headers: type(headers).__name__,
)
def test_headers_are_read_from_whatever_has_them(headers: Any) -> None:
    assert isinstance(VERIFIER.verify(BODY, headers), ThingMade)


@pytest.mark.parametrize("body", [BODY, bytearray(BODY), memoryview(BODY)])
def test_bodies_are_bytes(body: Any) -> None:
    assert isinstance(VERIFIER.verify(body, SIGNED), ThingMade)


@pytest.mark.parametrize("body", [BODY.decode(), PAYLOAD, None])
def test_what_was_decoded_or_parsed_is_a_mistake_of_the_caller(body: Any) -> None:
    with pytest.raises(TypeError, match="raw body"):
        VERIFIER.verify(body, SIGNED)


@pytest.mark.parametrize("headers", [{"X-Strong": None}, {"X-Strong": 5}, [(None, "x")]])
def test_so_are_headers_that_are_no_text(headers: Any) -> None:
    with pytest.raises(TypeError, match="str or bytes"):
        VERIFIER.verify(BODY, headers)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "missing_signature"),
        ({"X-Other": SIGNATURE}, "missing_signature"),
        ({"X-Strong": "N/A"}, "missing_signature"),
        ({"X-Strong": " n/a"}, "missing_signature"),
        ({"X-Strong": ""}, "bad_signature"),
        ({"X-Strong": "0" * 64}, "bad_signature"),
        ({"X-Strong": sign(BODY, WEAK)}, "bad_signature"),
        ({"X-Strong": f"{SIGNATURE}, {SIGNATURE}"}, "bad_signature"),
        ([("X-Strong", SIGNATURE), ("x-strong", "0" * 64)], "bad_signature"),
        ({"X-Strong": SIGNATURE, "x-strong": "0" * 64}, "bad_signature"),
        ({"X-Strong": [SIGNATURE, "0" * 64]}, "bad_signature"),
    ],
)
def test_what_is_not_proven_is_refused(headers: Any, reason: WebhookFault) -> None:
    error = refusal(BODY, headers)
    assert (error.reason, error.status) == (reason, 401)


def test_the_same_signature_twice_is_one() -> None:
    accept(VERIFIER.verify(BODY, [("X-Strong", SIGNATURE), ("x-strong", SIGNATURE), ("X-Strong", "N/A")]))


def test_a_weaker_signature_counts_when_there_is_no_stronger_one() -> None:
    for strong in ({}, {"X-Strong": "N/A"}):
        accept(VERIFIER.receive(BODY, {**strong, "X-Weak": sign(BODY, WEAK)}))


@pytest.mark.parametrize("strong", ["0" * 64, "", "nonsense", "n/a?"])
def test_what_the_stronger_signature_refuses_no_weaker_one_saves(strong: str) -> None:
    headers = {"X-Strong": strong, "X-Weak": sign(BODY, WEAK)}
    assert refusal(BODY, headers).reason == "bad_signature"
    assert refusal(BODY, [*reversed(headers.items())]).reason == "bad_signature"


def test_nothing_is_parsed_before_it_is_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(body: bytes) -> dict[str, Any]:
        raise AssertionError("parsed")

    monkeypatch.setattr("dialogkit._core.webhooks.verifier.parse", fail)
    assert refusal(BODY, {"X-Strong": "0" * 64}).reason == "bad_signature"
    with pytest.raises(AssertionError, match="parsed"):
        VERIFIER.verify(BODY, SIGNED)


def test_a_body_that_is_too_large_is_refused_before_it_is_hashed() -> None:
    asked: list[int] = []

    class Spy(HmacScheme):
        def prove(self, body: bytes, headers: Mapping[str, str]) -> WebhookProof | None:
            asked.append(len(body))
            return super().prove(body, headers)

    verifier = make(Spy("X-Strong", STRONG), max_body=100)
    exact = b'{"a":"' + b"x" * 92 + b'"}'
    accept(verifier.verify(*signed(exact)))
    error = refusal(*signed(exact + b" "), verifier)
    assert (error.reason, error.status, asked) == ("too_large", 413, [100])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"5",
        b"not json",
        b"{",
        b'{"a": 1} {}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 2_000 + b"}",
        b'{"a": 1, "a": 2}',
        b'{"b": {"a": 1, "a": 1}}',
        b'{"\\ud800": 1}',
        b'{"a": "\xff"}',
        '{"a": 1}'.encode("utf-16"),
        b'{"a":' * 65 + b"1" + b"}" * 65,
        b"[" * 500_000,
        b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b"<html></html>",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_cannot_be_read_in_one_way_is_refused_although_it_is_signed(body: bytes) -> None:
    error = refusal(*signed(body))
    assert (error.reason, error.status) == ("malformed", 422)
    assert "signature is right" in str(error)


@pytest.mark.parametrize(
    ("body", "why"), [(b'{"a": "\xff"}', "it is not UTF-8"), (b"{", "it is not JSON"), (b"[]", "but no object")]
)
def test_the_error_says_what_is_wrong(body: bytes, why: str) -> None:
    assert why in str(refusal(*signed(body)))


def test_what_is_odd_and_clear_is_read() -> None:
    body = "\ufeff".encode() + b'{"type": "thing.made", "thingId": "t\\ud83d", "deep": ' + b"[" * 63 + b"]" * 63 + b"}"
    event = VERIFIER.verify(*signed(body))
    assert isinstance(event, ThingMade)
    assert event.thing_id == "t\ufffd"
    paired = VERIFIER.verify(*signed(b'{"type": "thing.made", "thingId": "\\ud83d\\ude00"}'))
    assert isinstance(paired, ThingMade)
    assert paired.thing_id == "\N{GRINNING FACE}"


@pytest.mark.parametrize(
    "timestamp",
    [
        "2027-01-15T08:00:00.000Z",
        "2027-01-15T08:00:00Z",
        "2027-01-15T13:30:00+05:30",
        "2027-01-15T08:00:00",
        NOW,
        int(NOW),
        int(NOW * 1000),
        str(int(NOW)),
        str(int(NOW * 1000)),
    ],
)
def test_a_delivery_is_refused_when_it_is_too_old_or_from_the_future(timestamp: Any) -> None:
    delivery = signed({"type": "x", "timestamp": timestamp})
    for difference in (-300, 0, 300):
        accept(VERIFIER.verify(*delivery, now=NOW + difference))
    old, early = refusal(*delivery, now=NOW + 301), refusal(*delivery, now=NOW - 302)
    assert (old.reason, old.status, early.reason) == ("stale", 401, "stale")
    assert "it is 301 s old, and the tolerance is 300 s" in str(old)
    assert "from 302 s in the future" in str(early)
    accept(make(tolerance=None).verify(*delivery, now=0))
    patient = make(tolerance=3_600)
    accept(patient.verify(*delivery, now=NOW + 3_000))
    early = refusal(*delivery, patient, now=NOW - 302)
    assert early.reason == "stale", "what comes from the future could be replayed for as much longer"
    assert "from 302 s in the future, and the tolerance is 300 s" in str(early)


@pytest.mark.parametrize("timestamp", ["", "yesterday", True, [], {}, 1e300, "9" * 30, "-1e5000", "0000-00-00T00:00Z"])
def test_a_moment_that_cannot_be_read_is_refused(timestamp: Any) -> None:
    delivery = signed({"type": "x", "timestamp": timestamp})
    error = refusal(*delivery)
    assert (error.reason, error.status) == ("stale", 401)
    assert "nobody knows how old it is: its timestamp cannot be read" in str(error)
    accept(make(tolerance=None).verify(*delivery))


def test_a_moment_without_a_zone_is_utc_wherever_this_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        accept(VERIFIER.verify(*signed({"type": "x", "timestamp": "2027-01-15T08:00:00"})))
    time.tzset()


def test_a_clock_that_tells_no_time_accepts_nothing() -> None:
    assert refusal(*signed({"timestamp": NOW}), make(clock=lambda: float("nan"))).reason == "stale"


def test_a_delivery_without_a_moment_is_accepted() -> None:
    accept(VERIFIER.verify(*signed({"type": "x"})))
    accept(VERIFIER.verify(*signed({"type": "x", "timestamp": None})))
    accept(VERIFIER.verify(*signed({"type": "x", "data": {"timestamp": 0}})))  # of something else


@pytest.mark.parametrize(
    "payload",
    [
        {"timestamp": NOW - 301, "body": {"timestamp": NOW}},
        {"body": {"timestamp": NOW - 301}},
        {"timestamp": None, "data": {"timestamp": NOW - 301}},
        {"body": {"timestamp": "yesterday"}},
    ],
)
def test_a_moment_in_an_envelope_counts(payload: dict[str, Any]) -> None:
    assert refusal(*signed({"type": "thing.made", **payload})).reason == "stale"


def test_a_delivery_is_as_old_as_its_signature_proves() -> None:
    class Stamped(HmacScheme):
        """An HMAC that also signs a header with the time; the body's own timestamp may be of the first attempt."""

        def prove(self, body: bytes, headers: Mapping[str, str]) -> WebhookProof | None:
            proof = super().prove(headers.get("x-time", "").encode() + body, headers)
            return proof and WebhookProof(proof.scheme, moment=float(headers["x-time"]), id=headers.get("x-id"))

    verifier = make(Stamped("X-Strong", STRONG))
    body = json.dumps({**PAYLOAD, "timestamp": NOW - 86_400, "deliveryId": "d-1"}).encode()

    def headers(sent: object) -> dict[str, str]:
        return {"X-Strong": sign(f"{sent}".encode() + body), "X-Time": f"{sent}"}

    received = verifier.receive(body, headers(NOW - 300) | {"X-Id": "signed-1"})
    assert (received.id, received.key) == ("signed-1", "toy:id:signed-1")
    assert verifier.receive(body, headers(NOW)).key == "toy:id:d-1"
    assert refusal(body, headers(NOW - 301), verifier).reason == "stale"
    assert refusal(body, headers("nan"), verifier).reason == "stale"
    assert refusal(body, headers(NOW) | {"X-Time": f"{NOW - 1}"}, verifier).reason == "bad_signature"
    twice = [*headers(NOW).items(), ("X-Time", f"{NOW - 1}")]
    assert refusal(body, twice, verifier).reason == "bad_signature", "nobody knows which of them is signed"


def test_headers_tell_whether_a_body_need_be_read() -> None:
    VERIFIER.check_headers({"X-Strong": "whatever"})
    VERIFIER.check_headers([("x-weak", "whatever"), ("X-Strong", "N/A")])
    for headers in ({}, {"X-Strong": "n/a"}, [("X-Strong", "a"), ("X-Strong", "b")]):
        with pytest.raises(WebhookVerificationError) as caught:
            VERIFIER.check_headers(headers)
        assert caught.value.reason == refusal(BODY, headers).reason


@pytest.mark.parametrize(
    "payload",
    [
        {"event": "thing.made", "thingId": "t1", "size": 3},
        {"type": "thing.made", "body": {"thingId": "t1", "size": 3}},
        {"type": "thing.made", "data": {"thingId": "t1", "size": 3, "type": "of something else"}},
        {"type": "thing.made", "thingId": "t1", "size": None, "data": {"thingId": "of something else", "size": 3}},
        {"type": "thing.made", "body": {"thingId": "t1"}, "data": {"thingId": "loses", "size": 3}},
        {"event": "thing.made", "type": "loses", "thingId": "t1", "size": "3"},
    ],
)
def test_every_envelope_gives_the_same_event(payload: Any) -> None:
    event = VERIFIER.verify(*signed(payload))
    assert isinstance(event, ThingMade)
    assert (event.thing_id, event.size) == ("t1", 3)


def test_a_wrapper_is_opened_only_when_it_is_an_object() -> None:
    event = VERIFIER.verify(*signed({"type": "thing.made", "thingId": "t1", "body": "Hi", "data": [{"body": "no"}]}))
    assert isinstance(event, ThingMade)
    assert (event.body, event.model_extra) == ("Hi", {"data": [{"body": "no"}]})
    inside = VERIFIER.verify(*signed({"type": "thing.made", "thingId": "t1", "body": {"body": "Hi"}}))
    assert isinstance(inside, ThingMade)
    assert inside.body == "Hi"


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        ({"type": "thing.lost", "data": {"a": 1}, "x": [1]}, "thing.lost"),
        ({"data": {"type": "thing.made"}}, ""),
        ({"type": 5, "a": 1}, ""),
        ({"type": {}}, ""),
        ({}, ""),
    ],
)
def test_an_unknown_event_arrives_with_all_its_data(payload: Any, name: str) -> None:
    delivery = VERIFIER.receive(*signed(payload))
    assert type(delivery.event) is WebhookEvent
    assert (delivery.type, delivery.event.type, delivery.payload) == (name, name, payload)
    assert delivery.event.model_extra == {key: value for key, value in payload.items() if key != "type"}


def test_drift_is_reported_and_does_not_fail() -> None:
    seen: list[Drift] = []
    event = make(on_drift=seen.append).verify(*signed({"type": "thing.made", "size": "large"}))
    assert isinstance(event, ThingMade)
    assert vars(event) == {"type": "thing.made", "thing_id": None, "body": None, "size": "large"}
    assert [(each.operation, each.location) for each in seen] == [
        ("webhook thing.made", "thing_id"),
        ("webhook thing.made", "size"),
    ]


def test_drift_is_logged_once_and_a_broken_callback_is_its_own_affair(caplog: pytest.LogCaptureFixture) -> None:
    verifier = make()
    for _ in range(3):
        verifier.verify(*signed({"type": "thing.made"}))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "thing_id" in caplog.text

    def broken(drift: Drift) -> None:
        raise RuntimeError("mine")

    accept(make(on_drift=broken).verify(*signed({"type": "thing.made"})))


def test_a_delivery_tells_its_id_key_and_proof() -> None:
    delivery = VERIFIER.receive(*signed({**PAYLOAD, "deliveryId": "d-1"}))
    assert (delivery.id, delivery.key, delivery.scheme) == ("d-1", "toy:id:d-1", "hmac-sha256")
    by_header = VERIFIER.receive(*signed(PAYLOAD, **{"idempotency-key": "h-1"}))
    assert by_header.id == "h-1"
    assert by_header.key == VERIFIER.receive(*signed(PAYLOAD)).key, "an id that is not signed tells nothing apart"
    both = VERIFIER.receive(*signed({**PAYLOAD, "deliveryId": "d-1"}, **{"idempotency-key": "h-1"}))
    assert both.id == "d-1"


@pytest.mark.parametrize("id_", [None, "", 5, "x" * 129, "line\nbreak", "ü"])
def test_without_a_usable_id_the_body_is_the_key(id_: Any) -> None:
    body, headers = signed({**PAYLOAD, "deliveryId": id_})
    delivery = VERIFIER.receive(body, headers)
    assert delivery.key == f"toy:sha256:{hashlib.sha256(body).hexdigest()}"
    assert delivery.key != VERIFIER.receive(*signed({**PAYLOAD, "deliveryId": id_, "more": 1})).key


def test_an_error_says_what_to_do_and_tells_no_secret() -> None:
    verifier = make(hints={"X-Old": "pass old_key= to accept it"})
    assert str(refusal(BODY, {"x-old": "1"}, verifier)) == (
        "Toy webhook refused: the delivery has no X-Strong or X-Weak header. It has X-Old: pass old_key= to accept it"
    )
    error = refusal(BODY, {"X-Strong": "attacker"})
    assert "byte by byte" in str(error)
    for text in (str(error), repr(error), repr(verifier), repr(vars(verifier))):
        assert STRONG not in text
        assert "attacker" not in text
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.reason, copy.status) == (str(error), "bad_signature", 401)


@pytest.mark.parametrize(
    ("schemes", "options"),
    [
        ((), {}),
        ((HmacScheme("X-S", "s"),), {"tolerance": -1}),
        ((HmacScheme("X-S", "s"),), {"tolerance": "5"}),
        ((HmacScheme("X-S", "s"),), {"tolerance": float("inf")}),
        ((HmacScheme("X-S", "s"),), {"max_body": 0}),
        ((HmacScheme("X-S", "s"),), {"max_body": None}),
    ],
)
def test_a_verifier_that_makes_no_sense_is_refused(schemes: Any, options: Mapping[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        WebhookVerifier(FORMAT, schemes, **options)
