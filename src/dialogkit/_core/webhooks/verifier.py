"""The way in: a delivery is proven to come from the platform, and only then read.

    size → signature → JSON → age → envelope → event

A facade says with a `WebhookFormat` what its platform's deliveries look like, and with `SignatureScheme`s how they are
signed; a `WebhookVerifier` does the rest. Whatever a delivery holds, it ends in an event or in a
`WebhookVerificationError`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from dialogkit._core.webhooks.payload import Payload, UnreadableError, first_text, moment, parse, unwrapped
from dialogkit._core.webhooks.schemes import SignatureScheme

EventT_co = TypeVar("EventT_co", bound=Model, covariant=True)

Text: TypeAlias = str | bytes
WebhookHeaders: TypeAlias = (
    Mapping[str, str] | Mapping[bytes, bytes] | Mapping[str, list[str]] | Iterable[tuple[Text, Text]]
)
"""The headers of a request, as any framework has them."""

DEFAULT_TOLERANCE: Final = 300.0
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
    """Headers that may hold it, if no field does. Note that headers are not signed."""


@dataclass(frozen=True, kw_only=True)
class WebhookDelivery(Generic[EventT_co]):
    """An event, and what came with it."""

    event: EventT_co
    type: str
    """The platform's name for the event, empty if the delivery has none."""
    id: str | None
    """The delivery's id, if it has one; it stays the same when the delivery is repeated."""
    key: str
    """What a `DedupeStore` is asked for: the platform and the id, or a digest of the body where there is no id."""
    scheme: str
    """The algorithm of the signature that proved it."""
    payload: Mapping[str, Any] = field(repr=False)
    """The whole JSON object, as it came."""


class WebhookVerifier(Generic[EventT_co]):
    """Proves that deliveries come from the platform, and reads them. Make one and keep it; it may be shared by threads.

    The first scheme whose header is present decides; if it refuses, no other is asked.

    Args:
        format: What deliveries look like.
        schemes: How they may be signed, the strongest first.
        tolerance: Seconds by which a delivery's `timestamp` may differ from the present, either way; `None` does not
            look at it. A delivery without one is accepted.
        max_body: The most bytes that a body may have.
        on_drift: Told where an event differs from the document; warnings of the logger `dialogkit` unless given.
        clock: Returns the seconds since 1970.
        hints: What to do about signature headers that no scheme knows, by their names.

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

    def verify(self, body: bytes, headers: WebhookHeaders, *, now: float | None = None) -> EventT_co:
        """Return the event that a delivery holds, if it is proven to come from the platform.

        Args:
            body: The request's body, byte by byte as it came.
            headers: The request's headers: a mapping, or pairs of names and values.
            now: The present in seconds since 1970, in place of the clock's.

        Raises:
            WebhookVerificationError: It is not proven, too old, too large, or cannot be read; `reason` says which.
        """
        return self.receive(body, headers, now=now).event

    def receive(self, body: bytes, headers: WebhookHeaders, *, now: float | None = None) -> WebhookDelivery[EventT_co]:
        """Do what `verify` does, and return the event with what came with it: its id, and a key for a `DedupeStore`."""
        body = _checked_body(body)
        given = _read_headers(headers)
        if len(body) > self.max_body:
            raise self._error("too_large", f"the body has {len(body)} bytes, and no more than {self.max_body} are read")
        scheme = self._proof(body, given)
        try:
            payload = parse(body)
        except UnreadableError as exc:
            raise self._error("malformed", f"the signature is right, but the body cannot be read: {exc}") from None
        self._check_age(payload, self._clock() if now is None else now)
        type_ = first_text(payload, self.format.type_keys) or ""
        id_ = first_text(payload, self.format.id_keys) or self._id_of(given)
        return WebhookDelivery(
            event=self._event(type_, payload),
            type=type_,
            id=id_,
            key=self._key(id_, body),
            scheme=scheme.name,
            payload=payload,
        )

    def _proof(self, body: bytes, headers: Mapping[str, list[str]]) -> SignatureScheme:
        """Return the scheme that proves where `body` comes from."""
        for scheme in self._schemes:
            values = {value.strip() for value in headers.get(scheme.header.lower(), ())}
            values = {value for value in values if value.lower() != _ABSENT}
            if not values:
                continue
            if len(values) > 1:
                raise self._error("bad_signature", f"there are {len(values)} different {scheme.header} headers")
            if not scheme.accepts(body, values.pop()):
                raise self._error(
                    "bad_signature",
                    f"the signature in {scheme.header} is not that of the body by any {scheme.name} key given. Look "
                    "that the body reaches verify() byte by byte as it came, and that the key is the platform's",
                )
            return scheme
        names = " or ".join(dict.fromkeys(scheme.header for scheme in self._schemes))
        hints = "".join(f". It has {name}: {hint}" for name, hint in self._hints.items() if name.lower() in headers)
        raise self._error("missing_signature", f"the delivery has no {names} header{hints}")

    def _check_age(self, payload: Payload, now: float) -> None:
        stamp = payload.get(self.format.timestamp_key)
        if self._tolerance is None or stamp is None:
            return
        sent = moment(stamp)
        if sent is None:
            raise self._error("stale", f"nobody knows how old it is: its {self.format.timestamp_key} cannot be read")
        if not abs(now - sent) <= self._tolerance:  # a clock that tells no number fails here, too
            age = f"{now - sent:.0f} s old" if now > sent else f"from {sent - now:.0f} s in the future"
            raise self._error(
                "stale", f"it is {age}, and the tolerance is {self._tolerance:g} s. Look that this clock is right"
            )

    def _event(self, type_: str, payload: Payload) -> EventT_co:
        known = self.format.events.get(type_)
        deviations: list[Deviation] = []
        # What nobody has described keeps the form in which it came.
        values = {**payload, "type": type_} if known is None else self._fields(payload)
        event = build((known or self.format.other)(), values, deviations)
        operation = "webhook" if known is None else f"webhook {type_}"
        for each in deviations:
            self._report(Drift(operation=operation, location=place(each.path), message=each.message))
        return cast("EventT_co", event)

    def _fields(self, payload: Payload) -> Payload:
        """Return the fields of a known event, out of the envelope."""
        left: Payload = {}
        for wrapper in self.format.wrappers:
            inner = payload.get(wrapper)
            if isinstance(inner, dict):
                fields = cast("Payload", inner)
                if kept := {name: fields[name] for name in self.format.outside_only if name in fields}:
                    left[wrapper] = kept
                    payload = {**payload, wrapper: {key: fields[key] for key in fields if key not in kept}}
        return {**unwrapped(payload, self.format.wrappers), **left}

    def _id_of(self, headers: Mapping[str, list[str]]) -> str | None:
        values = (value for name in self.format.id_headers for value in headers.get(name.lower(), ()))
        return next((value for value in values if value), None)

    def _key(self, id_: str | None, body: bytes) -> str:
        platform = self.format.platform.lower()
        if id_ is not None and len(id_) <= _LONGEST_ID and id_.isascii() and id_.isprintable():
            return f"{platform}:id:{id_}"
        return f"{platform}:sha256:{hashlib.sha256(body).hexdigest()}"

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
    """Return all values of each header, by its name in lower case."""
    items = getattr(headers, "items", None)
    pairs = cast("Iterable[tuple[object, object]]", items() if callable(items) else headers)
    result: dict[str, list[str]] = {}
    for name, values in pairs:
        for value in cast("Sequence[object]", values) if isinstance(values, list | tuple) else (values,):
            result.setdefault(_text(name).lower(), []).append(_text(value))
    return result


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("latin-1")
    raise TypeError(f"the names and values of headers must be str or bytes, not {type(value).__name__}")
