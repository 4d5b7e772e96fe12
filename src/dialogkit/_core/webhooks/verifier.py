"""The way in: a delivery is proven to come from the platform, and only then read.

    size → signature → JSON → envelope → age → whose → event

A facade says with a `WebhookFormat` what its platform's deliveries look like, and with `SignatureScheme`s how they are
signed; a `WebhookVerifier` does the rest. Whatever a delivery holds, it ends in an event or in a
`WebhookVerificationError`.

What is signed decides, and nothing else does: which event it is, when it was sent, whose it is, and by `identity`
whether it came before. A header that no signature covers is passed on as information.

A platform repeats what was not acknowledged, with the body and signature of the first time. So a delivery may be as old
as the platform repeats for, and age alone does not stop a replay: a `DedupeStore` does, which remembers for longer.
"""

from __future__ import annotations

import hashlib
import inspect
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Generic, NoReturn, TypeAlias, TypeVar, cast

from dialogkit._core.codec.models import Model
from dialogkit._core.codec.tolerance import Deviation, build, place
from dialogkit._core.errors import ConfigurationError, WebhookFault, WebhookVerificationError
from dialogkit._core.events import Drift, DriftHandler
from dialogkit._core.observing.drift import DriftLog
from dialogkit._core.support.callbacks import Guarded
from dialogkit._core.support.checks import is_count, is_duration
from dialogkit._core.support.printing import printable
from dialogkit._core.webhooks.payload import Payload, UnreadableError, first_text, moment, parse, unwrapped
from dialogkit._core.webhooks.schemes import SignatureScheme, WebhookProof

EventT_co = TypeVar("EventT_co", bound=Model, covariant=True)

Text: TypeAlias = str | bytes
WebhookHeaders: TypeAlias = (
    Mapping[str, str] | Mapping[bytes, bytes] | Mapping[str, list[str]] | Iterable[tuple[Text, Text]]
)
"""The headers of a request, as any framework has them."""
Accounts: TypeAlias = Collection[str] | Callable[[str], bool | Awaitable[bool]]
"""Whose deliveries are taken: ids of accounts, or what says of an id whether it is one of them."""

DEFAULT_TOLERANCE: Final = 300.0
"""Seconds. Also the most by which a delivery may come from the future, which only a wrong clock explains."""
DEFAULT_MAX_BODY: Final = 1_048_576
_LONGEST_ID: Final = 128
_ABSENT: Final = "n/a"
"""What a platform writes into a signature header that it has no signature for."""


class WebhookEvent(Model):
    """An event that the document does not know: its name, and all else that came, in `model_extra`."""

    type: str
    """The platform's name for the event, empty if the delivery has none."""


@dataclass(frozen=True, kw_only=True)
class WebhookFormat:
    """What the deliveries of one platform look like, as its facade says."""

    platform: str
    """As users write it, for messages."""
    events: Mapping[str, Callable[[], type[Model]]]
    """The models of the known events, by name."""
    other: Callable[[], type[WebhookEvent]] = lambda: WebhookEvent
    """The model of all others."""
    type_keys: tuple[str, ...] = ("type",)
    """Where an event's name is, at the top; the first that holds text counts."""
    wrappers: tuple[str, ...] = ()
    """Where a known event's own fields may be, if that is an object; what stands at the top wins."""
    outside_only: tuple[str, ...] = ()
    """Names that mean something else in a wrapper; there they are left in it."""
    timestamp_key: str = "timestamp"
    """Where it says, at the top, when a delivery was sent."""
    id_keys: tuple[str, ...] = ()
    """Where a delivery's id is, at the top; it stays the same when the delivery is repeated."""
    id_headers: tuple[str, ...] = ()
    """Headers that may hold it, if no field does. They are not signed, and so decide nothing."""
    account_keys: tuple[str, ...] = ()
    """Where it says which account an event is about, at the top or in a wrapper."""
    accounts_argument: str = "accounts"
    """What users call the accounts whose deliveries they take, for messages."""
    known_name: Callable[[str, Mapping[str, Any]], str] = lambda name, fields: name  # noqa: ARG005
    """Says by an event's name (empty if it has none) and fields which of the known events it is."""


@dataclass(frozen=True, kw_only=True)
class WebhookDelivery(Generic[EventT_co]):
    """An event, and what came with it."""

    event: EventT_co
    type: str
    """The platform's name for the event, empty if the delivery has none."""
    id: str | None
    """The delivery's id, if it has one; it stays the same when the delivery is repeated. HoverBot's may come from a
    header that is not signed: tell repetitions by `key`."""
    key: str
    """What a `DedupeStore` is asked for: the platform and the signed id, or a digest of the body where there is none.
    """
    scheme: str
    """The algorithm of the signature that proved it."""
    payload: Mapping[str, Any] = field(repr=False)
    """The whole JSON object, as it came."""


def identity(platform: str, signed_id: str | None, body: bytes) -> str:
    """Return what tells a delivery from all others, and not from its repetitions: printable ASCII of at most 200.

    Args:
        platform: As users write it.
        signed_id: The delivery's id, if one stands in what is signed. One that is too long or odd is not used.
        body: The body, which says as much where there is no id: it is repeated byte by byte.
    """
    name = platform.lower()
    if signed_id is not None and len(signed_id) <= _LONGEST_ID and signed_id.isascii() and signed_id.isprintable():
        return f"{name}:id:{signed_id}"
    return f"{name}:sha256:{hashlib.sha256(body).hexdigest()}"


@dataclass(frozen=True)
class _Read:
    """A delivery that is proven and young enough, before anybody has asked whose it is."""

    body: bytes
    headers: Mapping[str, str]
    proof: WebhookProof
    payload: Payload
    fields: Payload
    """Those of the event, out of the envelope."""
    type: str
    known: str
    """The name of the known event that it may be."""


class WebhookVerifier(Generic[EventT_co]):
    """Proves that deliveries come from the platform, and reads them. Make one and keep it; it may be shared by threads.

    The first scheme whose header is present decides; if it refuses, no other is asked.

    Args:
        format: What deliveries look like.
        schemes: How they may be signed, the strongest first.
        tolerance: How many seconds old a delivery may be, by the moment that its signature proves, else by its
            `timestamp`; and at most 300 from the future. `None` does not look at it. A delivery that does not say when
            it was sent is accepted. It should be what the platform repeats for.
        max_body: The most bytes that a body may have.
        on_drift: Told where an event differs from the document; warnings of the logger `dialogkit` unless given.
        clock: Returns the seconds since 1970.
        hints: What to do about signature headers that no scheme knows, by their names.
        accounts: Whose deliveries are taken, by the accounts that `format` finds in them; everybody's unless given.

    Raises:
        ConfigurationError: There is no scheme, or an argument makes no sense.
    """

    def __init__(
        self,
        format: WebhookFormat,  # noqa: A002 - it is one
        schemes: Sequence[SignatureScheme],
        *,
        tolerance: float | None = DEFAULT_TOLERANCE,
        max_body: int = DEFAULT_MAX_BODY,
        on_drift: DriftHandler | None = None,
        clock: Callable[[], float] = time.time,
        hints: Mapping[str, str] = MappingProxyType({}),
        accounts: Accounts | None = None,
    ) -> None:
        if not schemes:
            raise ConfigurationError(
                f"{format.platform} webhooks cannot be verified: pass the key or the secret that they are signed with"
            )
        if tolerance is not None and not is_duration(tolerance):
            raise ConfigurationError(f"tolerance must be a number of seconds or None, not {tolerance!r}")
        if not is_count(max_body):
            raise ConfigurationError(f"max_body must be a number of bytes, not {max_body!r}")
        self.format: Final = format
        self.max_body: Final = max_body
        self._schemes = tuple(schemes)
        self._tolerance = tolerance
        self._report = Guarded("on_drift", on_drift or DriftLog())
        self._clock = clock
        self._hints = hints
        self._takes = None if accounts is None else _membership(accounts, format.accounts_argument)

    def verify(self, body: bytes, headers: WebhookHeaders, *, now: float | None = None) -> EventT_co:
        """Return the event that a delivery holds, if it is proven to come from the platform.

        Args:
            body: The request's body, byte by byte as it came.
            headers: The request's headers: a mapping, or pairs of names and values.
            now: The present in seconds since 1970, in place of the clock's.

        Raises:
            WebhookVerificationError: It is not proven, too old, too large, cannot be read, or is somebody else's;
                `reason` says which.
            ConfigurationError: Whose it is can only be awaited: use `receive_async`.
        """
        return self.receive(body, headers, now=now).event

    def receive(self, body: bytes, headers: WebhookHeaders, *, now: float | None = None) -> WebhookDelivery[EventT_co]:
        """Do what `verify` does, and return the event with what came with it: its id, and a key for a `DedupeStore`."""
        read = self._read(body, headers, now)
        taken = self._is_taken(read)
        if inspect.isawaitable(taken):
            if isinstance(taken, Coroutine):
                taken.close()
            raise ConfigurationError(
                f"{self.format.accounts_argument} is async, and receive() and verify() cannot wait for it: "
                "await receive_async()"
            )
        return self._delivery(read, taken=bool(taken))

    async def receive_async(
        self, body: bytes, headers: WebhookHeaders, *, now: float | None = None
    ) -> WebhookDelivery[EventT_co]:
        """Do what `receive` does, and wait for the function that says whose deliveries are taken, if it is async.

        Raises:
            WebhookVerificationError: As `verify` says.
            Exception: Whatever that function raises; the delivery was not looked at then, and should be answered with
                503, so that the platform repeats it.
        """
        read = self._read(body, headers, now)
        taken = self._is_taken(read)
        return self._delivery(read, taken=bool(await taken if inspect.isawaitable(taken) else taken))

    def check_headers(self, headers: WebhookHeaders) -> None:
        """Refuse a delivery that cannot be proven, whatever its body is; so that the body need not be read.

        Raises:
            WebhookVerificationError: There is no signature, or several that differ.
        """
        self._scheme_for(_read_headers(headers))

    def _read(self, body: bytes, headers: WebhookHeaders, now: float | None) -> _Read:
        body = _checked_body(body)
        given = _read_headers(headers)
        if len(body) > self.max_body:
            raise self._error("too_large", f"the body has {len(body)} bytes, and no more than {self.max_body} are read")
        single = {name: values[0] for name, values in given.items() if len(values) == 1}
        proof = self._proof(body, self._scheme_for(given), single)
        try:
            payload = parse(body)
        except UnreadableError as exc:
            raise self._error("malformed", f"the signature is right, but the body cannot be read: {exc}") from None
        type_ = first_text(payload, self.format.type_keys) or ""
        fields = self._fields(payload)
        known = self.format.known_name(type_, fields)
        stamped = fields if known in self.format.events else payload  # in an envelope that nobody knows it may be any
        self._check_age(proof, stamped.get(self.format.timestamp_key), self._clock() if now is None else now)
        return _Read(body, single, proof, payload, fields, type_ or known, known)

    def _scheme_for(self, headers: Mapping[str, list[str]]) -> SignatureScheme:
        """Return the scheme that has to prove a delivery with these headers."""
        for scheme in self._schemes:
            values = headers.get(scheme.header.lower(), [])
            if len(values) > 1:
                raise self._error("bad_signature", f"there are {len(values)} different {scheme.header} headers")
            if values:
                return scheme
        names = " or ".join(dict.fromkeys(scheme.header for scheme in self._schemes))
        hints = "".join(f". It has {name}: {hint}" for name, hint in self._hints.items() if name.lower() in headers)
        raise self._error("missing_signature", f"the delivery has no {names} header{hints}")

    def _proof(self, body: bytes, scheme: SignatureScheme, headers: Mapping[str, str]) -> WebhookProof:
        proof = scheme.prove(body, headers)
        if proof is None:
            raise self._error(
                "bad_signature",
                f"the signature in {scheme.header} is not that of the body by any {scheme.name} key given. Look "
                "that the body reaches verify() byte by byte as it came, and that the key is the platform's",
            )
        return proof

    def _check_age(self, proof: WebhookProof, stamp: object, now: float) -> None:
        if self._tolerance is None or (proof.moment is None and stamp is None):
            return
        sent = moment(stamp) if proof.moment is None else proof.moment
        if sent is None:
            raise self._error("stale", f"nobody knows how old it is: its {self.format.timestamp_key} cannot be read")
        most = self._tolerance if now > sent else min(self._tolerance, DEFAULT_TOLERANCE)
        if not abs(now - sent) <= most:  # a clock that tells no number fails here, too
            age = f"{now - sent:.0f} s old" if now > sent else f"from {sent - now:.0f} s in the future"
            raise self._error("stale", f"it is {age}, and the tolerance is {most:g} s. Look that this clock is right")

    def _is_taken(self, read: _Read) -> bool | Awaitable[bool]:
        if self._takes is None:
            return True
        account = first_text(read.fields, self.format.account_keys)
        return account is not None and self._takes(account)

    def _delivery(self, read: _Read, *, taken: bool) -> WebhookDelivery[EventT_co]:
        if not taken:
            account = first_text(read.fields, self.format.account_keys)
            raise self._error(
                "foreign",
                "it is proven, and about "
                + ("nobody" if account is None else printable(account[:_LONGEST_ID]))
                + f", whom {self.format.accounts_argument} does not take. Answer 200 and drop it",
            )
        signed_id = read.proof.id or first_text(read.payload, self.format.id_keys)
        return WebhookDelivery(
            event=self._event(read),
            type=read.type,
            id=signed_id or next(filter(None, map(read.headers.get, map(str.lower, self.format.id_headers))), None),
            key=identity(self.format.platform, signed_id, read.body),
            scheme=read.proof.scheme,
            payload=read.payload,
        )

    def _event(self, read: _Read) -> EventT_co:
        known = self.format.events.get(read.known)
        deviations: list[Deviation] = []
        # What nobody has described keeps the form in which it came.
        values = {**read.payload, "type": read.type}
        if known is not None:
            values = read.fields
            if first_text(values, self.format.type_keys) is None:
                values = {**values, self.format.type_keys[0]: read.type}
        event = build((known or self.format.other)(), values, deviations)
        operation = "webhook" if known is None else f"webhook {read.known}"
        for each in deviations:
            self._report(Drift(operation=operation, location=place(each.path), message=each.message))
        return cast("EventT_co", event)

    def _fields(self, payload: Payload) -> Payload:
        """Return the fields of an event, out of the envelope."""
        left: Payload = {}
        for wrapper in self.format.wrappers:
            inner = payload.get(wrapper)
            if isinstance(inner, dict):
                fields = cast("Payload", inner)
                if kept := {name: fields[name] for name in self.format.outside_only if name in fields}:
                    left[wrapper] = kept
                    payload = {**payload, wrapper: {key: fields[key] for key in fields if key not in kept}}
        return {**unwrapped(payload, self.format.wrappers), **left}

    def _error(self, reason: WebhookFault, message: str) -> WebhookVerificationError:
        return WebhookVerificationError(f"{self.format.platform} webhook refused: {message}", reason=reason)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a WebhookVerifier may hold secrets and cannot be pickled or copied: make one where it is needed"
        )

    def __repr__(self) -> str:
        return f"<WebhookVerifier of {self.format.platform} by {', '.join(each.header for each in self._schemes)}>"


def _checked_body(body: object) -> bytes:
    if isinstance(body, bytearray | memoryview):
        return bytes(cast("bytearray", body))
    if not isinstance(body, bytes):
        raise TypeError(
            f"verify() takes the raw body of the request as bytes, not {type(body).__name__}: what was decoded or "
            "parsed cannot be verified any more"
        )
    return body


def _read_headers(headers: WebhookHeaders) -> Mapping[str, list[str]]:
    """Return the different values of each header, by its name in lower case; `n/a` is none."""
    items = getattr(headers, "items", None)
    pairs = cast("Iterable[tuple[object, object]]", items() if callable(items) else headers)
    result: dict[str, list[str]] = {}
    for name, values in pairs:
        known = result.setdefault(_text(name).lower(), [])
        for each in cast("Sequence[object]", values) if isinstance(values, list | tuple) else (values,):
            value = _text(each).strip()
            if value not in known and value.lower() != _ABSENT:
                known.append(value)
    return result


def _membership(accounts: Accounts, argument: str) -> Callable[[str], bool | Awaitable[bool]]:
    """Return what says of an account whether its deliveries are taken."""
    if callable(accounts):
        return accounts
    given = cast("object", (accounts,) if isinstance(accounts, str) else accounts)
    ids = frozenset(cast("Collection[object]", given)) if isinstance(given, Collection) else frozenset({None})
    if not all(isinstance(each, str) and each for each in ids):
        raise ConfigurationError(
            f"{argument} takes ids, or a function that says of an id whether it is taken, not {type(accounts).__name__}"
        )
    return ids.__contains__


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("latin-1")
    raise TypeError(f"the names and values of headers must be str or bytes, not {type(value).__name__}")
