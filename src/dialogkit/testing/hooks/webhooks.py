"""Webhooks of a sandbox: who is told of what, signed and delivered as the platform does it."""

from __future__ import annotations

import ipaddress
import json
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from typing_extensions import Self

from dialogkit.testing.errors import SandboxError
from dialogkit.testing.hooks.deliveries import Courier, Delivery, Parcel, Persistence
from dialogkit.testing.hooks.events import Event
from dialogkit.testing.hooks.signer import Scheme, Signatures, Signer

_PATIENCE: Final = 10.0


class Envelope(Protocol):
    """Makes what is sent of an event."""

    def __call__(self, event: str, data: Mapping[str, Any], *, id_: str) -> dict[str, Any]:
        """Return the whole payload of the event `event`, whose own fields are `data` and whose delivery is `id_`."""
        ...


class Registration:
    """An endpoint that is told of events, made by `sandbox.webhooks.register`.

    As a context manager it ends with its block.
    """

    def __init__(
        self,
        owner: Webhooks,
        url: str,
        *,
        events: frozenset[str] | None,
        about: Mapping[str, object],
        signer: Signer,
        scheme: Scheme,
        persistence: Persistence,
    ) -> None:
        self._owner = owner
        self._signer = signer
        self._persistence = persistence
        self.url = url
        self.events = events
        """The events it is told of; None for all."""
        self.about = dict(about)
        """The values that an event's payload must have; none for all."""
        self.scheme: Scheme = scheme
        """How deliveries are signed: `ed25519`, `rsa` or `hmac`."""

    @property
    def public_key(self) -> str | None:
        """The Ed25519 key for `verify(public_key=...)`; None if deliveries are signed otherwise."""
        return self._signer.public_key if self.scheme == "ed25519" else None

    @property
    def rsa_public_key(self) -> str | None:
        """The RSA key for `verify(rsa_public_key=...)`; None if deliveries are signed otherwise."""
        return self._signer.rsa_public_key if self.scheme == "rsa" else None

    @property
    def secret(self) -> str | None:
        """The secret for `verify(secret=...)`; None if deliveries are signed otherwise."""
        return self._signer.secret if self.scheme == "hmac" else None

    def remove(self) -> None:
        """Tell it of nothing more. What is under way is still delivered; removing twice does nothing."""
        self._owner.remove(self)

    def wants(self, event: str, payload: Mapping[str, Any]) -> bool:
        """Say whether it is told of an event."""
        named = self.events is None or event in self.events
        return named and all(payload.get(name) == value for name, value in self.about.items())

    def parcel(self, id_: str, event: str, body: bytes) -> Parcel:
        """Sign a body, for delivery."""
        signed = self._signer.sign(body, scheme=self.scheme)
        return Parcel(id_, event, self.url, signed.body, signed.headers, self._persistence)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"<Registration of {self.url} for {'all events' if self.events is None else ', '.join(self.events)}>"


class Webhooks:
    """The webhooks of a sandbox, reached as `sandbox.webhooks`. All of it may be used from any thread.

    Args:
        signatures: How the platform signs.
        envelope: Makes payloads.
        check: Says what is wrong with an event's payload; None if nothing is.
        on_failure: Told where the sandbox itself was wrong.
        persistence: How endpoints are treated unless registered otherwise.
        on_attempt: Called with each delivery after each attempt, in the sandbox's thread.

    """

    def __init__(
        self,
        signatures: Signatures,
        envelope: Envelope,
        *,
        check: Callable[[str, dict[str, Any]], str | None],
        on_failure: Callable[[str], None],
        persistence: Persistence,
        on_attempt: Callable[[Delivery], None] | None,
    ) -> None:
        self._signatures = signatures
        self._envelope = envelope
        self._check = check
        self._on_failure = on_failure
        self._persistence = persistence
        self._courier = Courier(on_attempt)
        self._lock = threading.RLock()
        self._signer: Signer | None = None
        self._registrations: tuple[Registration, ...] = ()

    @property
    def public_key(self) -> str:
        """The Ed25519 key of the sandbox, in base64: for apps that start before they are registered.

        It is made once, and stays through `reset`.

        Raises:
            ConfigurationError: The extra `webhooks` is missing.

        """
        with self._lock:
            return self._own_signer().public_key

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """What was sent since the last `reset`, oldest first; the newest 10,000."""
        return self._courier.deliveries

    @property
    def registrations(self) -> tuple[Registration, ...]:
        """Who is told, in the order in which they were registered."""
        return self._registrations

    def register(
        self,
        url: str,
        events: Iterable[str] | None = None,
        *,
        about: Mapping[str, object] | None = None,
        scheme: Scheme | None = None,
        secret: str | None = None,
        timeout: float | None = None,
        backoff: float | None = None,
        attempts: int | None = None,
        allow_remote: bool = False,
    ) -> Registration:
        """Tell an endpoint of events from now on: those that happen in the sandbox by themselves, and those of `emit`.

        Args:
            url: Where to post them.
            events: Names of the events, `InboundMessage` for example; all unless given.
            about: Values that an event's payload must have, `{"agent_id": "agent_1"}` for example; any unless given.
            scheme: How deliveries are signed, the platform's usual way unless given: `ed25519` and `rsa`, by a key of
                the sandbox, need the extra `webhooks`; `hmac`, by a secret of the registration, does not.
            secret: The secret for `hmac`, made up unless given.
            timeout: Seconds to wait for an answer; the sandbox's `webhook_timeout` unless given.
            backoff: Seconds before the second attempt, and twice as long before each further one; the sandbox's
                `webhook_backoff` unless given.
            attempts: How many, at most; the sandbox's `webhook_attempts` unless given, or 6 with a `backoff`.
            allow_remote: Whether `url` may lead to another machine.

        Returns:
            What has the key to verify with, and ends the registration: by `remove()`, or at the end of a `with`.

        Raises:
            SandboxError: The sandbox does not run.
            TypeError: `events` is a single name.
            ValueError: `url` is none, or leads to another machine; or another argument makes no sense.
            ConfigurationError: There is no such scheme, or the extra `webhooks` is missing.
        """
        _check_url(url, allow_remote=allow_remote)
        scheme = scheme or self._own_signer().scheme
        persistence = self._persistence.but(timeout=timeout, backoff=backoff, attempts=attempts)
        wanted, signer = _names(events), self._signer_for(scheme, secret)
        if not self._courier.prepare():
            raise SandboxError("The sandbox delivers webhooks only while it runs: start it, then register.")
        registration = Registration(
            self, url, events=wanted, about=about or {}, signer=signer, scheme=scheme, persistence=persistence
        )
        with self._lock:
            self._registrations = (*self._registrations, registration)
        return registration

    def emit(self, event: str, data: Mapping[str, Any] | None = None) -> str:
        """Let an event happen, and deliver it to whoever is registered for it.

        This does not wait; see `wait`. Up to 20 deliveries are under way at once, and may overtake each other.

        Args:
            event: Its name. One that the document does not know is sent, too.
            data: Its own fields, by their names on the wire. They win over those of the envelope, which are `type`,
                `locationId`, `timestamp` (by the sandbox's clock) and `webhookId` at HoopAI; `event`, `timestamp`,
                `idempotencyKey`, `tenantId` and `workspaceId` at HoverBot; `event` and `timestamp` at ConvoAI.

        Returns:
            The delivery's id, which is the `webhookId` or `idempotencyKey`, too, unless `data` has one.

        Raises:
            LookupError: Nobody is registered for it.
            SandboxError: The sandbox does not run.
            ValueError: With `validate_responses`, the fields are not what the document says; or they are no JSON.

        """
        id_ = _new_id()
        payload = self._envelope(event, data or {}, id_=id_)
        wanted = [each for each in self._registrations if each.wants(event, payload)]
        if not wanted:
            raise LookupError(f"No webhook is registered for {event}: call sandbox.webhooks.register(url) before.")
        if problem := self._check(event, payload):
            raise ValueError(problem)
        body = _encoded(payload)
        self._send(*(each.parcel(id_, event, body) for each in wanted))
        return id_

    def announce(self, events: Iterable[Event]) -> None:
        """Deliver what has happened in the sandbox to whoever is registered for it, if anybody is."""
        for event in events:
            id_ = _new_id()
            payload = self._envelope(event.name, event.data, id_=id_)
            wanted = [each for each in self._registrations if each.wants(event.name, payload)]
            if not wanted:
                continue
            if problem := self._check(event.name, payload):
                self._on_failure(problem)
                continue
            body = _encoded(payload)
            self._courier.send(*(each.parcel(id_, event.name, body) for each in wanted))

    def redeliver(self, delivery_id: str) -> None:
        """Send again what was sent: the same body, id and signature, to the same endpoints. It is a `Delivery` anew.

        Args:
            delivery_id: What `emit` has returned, or a `Delivery.id`.

        Raises:
            LookupError: There was no such delivery since the last `reset`.
            SandboxError: The sandbox does not run.

        """
        parcels = self._courier.parcels(delivery_id)
        if not parcels:
            raise LookupError(f"The sandbox has sent no webhook with the id {delivery_id!r}.")
        self._send(*parcels)

    def wait(self, timeout: float = _PATIENCE, *, repeats: bool = True) -> None:
        """Wait until every webhook is accepted or given up. From async code, use `settled`.

        What your app does after it has answered is not waited for. Platforms repeat for hours or days, so let time pass
        with `sandbox.advance`, and wait for what is due by then with `repeats=False`.

        Args:
            timeout: Seconds to wait.
            repeats: Whether to wait for repetitions that are not due yet, too.

        Raises:
            TimeoutError: Some are still under way, or wait for their next attempt; the message says which.

        """
        self._courier.wait(timeout, repeats=repeats)

    async def settled(self, timeout: float = _PATIENCE, *, repeats: bool = True) -> None:
        """Do as `wait`, without holding up the event loop; under asyncio or trio.

        Args:
            timeout: Seconds to wait.
            repeats: Whether to wait for repetitions that are not due yet, too.

        Raises:
            TimeoutError: Some are still under way, or wait for their next attempt; the message says which.

        """
        await self._courier.settled(timeout, repeats=repeats)

    def remove(self, registration: Registration) -> None:
        """End a registration, if it is there."""
        with self._lock:
            self._registrations = tuple(each for each in self._registrations if each is not registration)

    def clear(self) -> None:
        """Forget registrations and deliveries; what is under way is cancelled."""
        with self._lock:
            self._registrations = ()
        self._courier.clear()

    def advance(self, seconds: float) -> None:
        """Let time pass for what waits to be repeated; `Sandbox.advance` does, with all else that has a clock."""
        self._courier.advance(seconds)

    def delivering(self) -> AbstractAsyncContextManager[None]:
        """Deliver in the running event loop until the end of the block."""
        return self._courier.running()

    def _send(self, *parcels: Parcel) -> None:
        if not self._courier.send(*parcels):
            raise SandboxError("The sandbox has been stopped, and delivers no more webhooks.")

    def _signer_for(self, scheme: Scheme, secret: str | None) -> Signer:
        if secret is not None and (not secret or scheme != "hmac"):
            raise ValueError("A secret is for scheme='hmac', and must not be empty.")
        with self._lock:
            signer = Signer(self._signatures, secret=secret) if scheme == "hmac" else self._own_signer()
            signer.sign(b"", scheme=scheme)  # makes the key, or says why it cannot be made
        return signer

    def _own_signer(self) -> Signer:
        if self._signer is None:
            self._signer = Signer(self._signatures)
        return self._signer


def _new_id() -> str:
    # Unlike other ids of the sandbox these never repeat: an app outlives a `reset`, and would take them for duplicates.
    return str(uuid.uuid4())


def _encoded(payload: Mapping[str, Any]) -> bytes:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _names(events: Iterable[str] | None) -> frozenset[str] | None:
    if isinstance(events, str):
        raise TypeError(f"events takes the names of events in a list: [{events!r}].")
    wanted = None if events is None else frozenset(events)
    if wanted is not None and not wanted:
        raise ValueError("events has no names; leave it out for all events.")
    return wanted


def _check_url(url: str, *, allow_remote: bool) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{url!r} is no URL: {error}.") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError(f"{url!r} is no URL to post to: it should be like http://127.0.0.1:8000/webhooks/hoopai.")
    if not allow_remote and not _is_loopback(host):
        raise ValueError(
            f"{host} is not this machine. A sandbox sends made-up events, and so only to 127.0.0.1, ::1 or localhost, "
            "unless you say allow_remote=True."
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
