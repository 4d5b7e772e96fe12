"""Signed deliveries, as a platform would send them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from dialogkit import ConfigurationError, Model

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

Scheme: TypeAlias = Literal["ed25519", "rsa", "hmac"]


@dataclass(frozen=True)
class SignedWebhook:
    """A delivery: what to post to your endpoint."""

    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Signatures:
    """How a platform signs."""

    headers: Mapping[Scheme, str]
    """The signature's header, by scheme; the first is the platform's usual one."""
    id_key: str | None
    """Where a delivery's id goes; None where the platform documents none."""
    timestamp_key: str = "timestamp"


class Signer:
    """Signs deliveries with keys of its own, which are made when they are first needed.

    Args:
        signatures: How the platform signs.
        scheme: How they are signed, the platform's usual way unless given.
        secret: The webhook secret for `hmac`, made up unless given.
        clock: Returns the seconds since 1970, for `timestamp`.

    Raises:
        ConfigurationError: The platform does not sign in this way.
    """

    def __init__(
        self,
        signatures: Signatures,
        *,
        scheme: Scheme | None = None,
        secret: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._signatures = signatures
        self.scheme: Scheme = self._known(scheme or next(iter(signatures.headers)))
        """How deliveries are signed unless `sign` is told otherwise."""
        self._clock = clock
        self.secret = secrets.token_urlsafe(32) if secret is None else secret
        """The secret for `hmac`."""

    @cached_property
    def public_key(self) -> str:
        """The Ed25519 key in base64, for `verify(public_key=...)`."""
        self._known("ed25519")
        key = self._ed25519.public_key()
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415 - optional

        return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()

    @cached_property
    def rsa_public_key(self) -> str:
        """The RSA key in PEM, for `verify(rsa_public_key=...)`."""
        self._known("rsa")
        key = self._rsa.public_key()
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415 - optional

        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def sign(
        self,
        payload: Mapping[str, Any] | Model | bytes,
        *,
        scheme: Scheme | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> SignedWebhook:
        """Return a delivery of `payload`, signed.

        Args:
            payload: The event. A mapping or a model gets a `timestamp` and, but for ConvoAI, a new id unless it has
                them (give `None` to have none); bytes are signed as they are.
            scheme: How to sign, the signer's way unless given.
            headers: Further headers; they win over the signature's.

        Raises:
            ConfigurationError: The platform does not sign in this way.
        """
        scheme = self._known(scheme or self.scheme)
        body = payload if isinstance(payload, bytes) else self._encoded(payload)
        signature = {self._signatures.headers[scheme]: self._signature(scheme, body)}
        return SignedWebhook(body, {"Content-Type": "application/json", **signature, **(headers or {})})

    def __repr__(self) -> str:
        return f"<{type(self).__name__} by {self.scheme}>"

    def _known(self, scheme: str) -> Scheme:
        if scheme not in self._signatures.headers:
            raise ConfigurationError(f"the platform signs by {', '.join(self._signatures.headers)}, not {scheme!r}")
        return cast("Scheme", scheme)

    def _encoded(self, payload: Mapping[str, Any] | Model) -> bytes:
        given = (
            payload.model_dump(mode="json", by_alias=True, exclude_none=True)
            if isinstance(payload, Model)
            else dict(payload)
        )
        sent = datetime.fromtimestamp(self._clock(), timezone.utc).isoformat(timespec="milliseconds")
        own = {self._signatures.timestamp_key: sent.replace("+00:00", "Z")}
        if self._signatures.id_key is not None:
            own[self._signatures.id_key] = str(uuid.uuid4())
        left_out = {key for key in own if key in given and given[key] is None}
        fields = {key: value for key, value in {**own, **given}.items() if key not in left_out}
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()

    def _signature(self, scheme: Scheme, body: bytes) -> str:
        if scheme == "hmac":
            return "sha256=" + hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        if scheme == "ed25519":
            return base64.b64encode(self._ed25519.sign(body)).decode()
        key = self._rsa
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415 - optional
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - optional

        return base64.b64encode(key.sign(body, PKCS1v15(), SHA256())).decode()

    @cached_property
    def _ed25519(self) -> Ed25519PrivateKey:
        _require_cryptography()
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - optional

        return Ed25519PrivateKey.generate()

    @cached_property
    def _rsa(self) -> RSAPrivateKey:
        _require_cryptography()
        from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - optional

        return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def _require_cryptography() -> None:
    try:
        import cryptography  # noqa: F401, PLC0415  # pyright: ignore[reportUnusedImport]
    except ImportError:
        raise ConfigurationError(
            "WebhookSigner needs the package cryptography: pip install 'dialogkit[webhooks]', or sign by hmac"
        ) from None
