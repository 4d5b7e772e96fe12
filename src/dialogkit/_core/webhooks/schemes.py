"""Signatures of deliveries: an HMAC with a shared secret, or a public-key signature of the raw body.

A scheme sees all of a delivery, body and headers, and answers with a `WebhookProof` of what was signed: at least the
body, and with some schemes a moment and an id, too, that stand in headers of their own. It never raises for what a
delivery says: a signature that cannot be one is a wrong one. What raises is a key that makes no sense, when the scheme
is made.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, cast

from dialogkit._core.errors import ConfigurationError
from dialogkit._core.support.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
    from cryptography.hazmat.primitives.hashes import SHA256

Keys: TypeAlias = str | bytes | Sequence[str | bytes]
"""A public key or several, each as PEM or as base64 of its SubjectPublicKeyInfo."""
Secrets: TypeAlias = str | Secret | Sequence[str | Secret]
"""A webhook secret or several."""

_HEX: Final = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_PREFIX: Final = "sha256="
_SMALLEST_RSA: Final = 2_048


@dataclass(frozen=True, slots=True)
class WebhookProof:
    """What a signature proves, besides that the body is the platform's."""

    scheme: str
    """The algorithm."""
    moment: float | None = None
    """When the delivery was sent, in seconds since 1970, if a header that is signed says so. It decides how old the
    delivery is, and the body's own timestamp does not."""
    id: str | None = None
    """The delivery's id, if a header that is signed says so."""


class SignatureScheme(Protocol):
    """One way to prove where a delivery comes from. Whatever has these three can be one."""

    @property
    def name(self) -> str:
        """Name the algorithm."""
        ...

    @property
    def header(self) -> str:
        """Name the header that carries the signature: a delivery that has it is for this scheme to prove."""
        ...

    def prove(self, body: bytes, headers: Mapping[str, str]) -> WebhookProof | None:
        """Return what the signature proves; `None` if it is not that of this delivery by any of the keys. Never raises.

        Args:
            body: Byte by byte as it came.
            headers: By their names in lower case, `self.header` among them. One that came with several values is not in
                it, since nobody knows which of them was signed.
        """
        ...


class HmacScheme:
    """HMAC-SHA256 over the raw body, in hex.

    Args:
        header: The header that carries the signature.
        secrets: The webhook secret, or several while one replaces another.
        prefix_required: Whether `sha256=` must stand before the digest; it may, in any case.

    Raises:
        ConfigurationError: There is no secret, or an empty one.
    """

    __slots__ = ("_prefix_required", "_secrets", "header")

    name = "hmac-sha256"

    def __init__(self, header: str, secrets: Secrets, *, prefix_required: bool = False) -> None:
        self.header = checked_header(header)
        self._secrets = sealed(secrets)
        self._prefix_required = prefix_required

    def prove(self, body: bytes, headers: Mapping[str, str]) -> WebhookProof | None:
        """Return a proof if the signature is that of `body`, by any of the secrets."""
        return WebhookProof(self.name) if self._accepts(body, headers[self.header.lower()]) else None

    def _accepts(self, body: bytes, signature: str) -> bool:
        prefixed = signature.startswith(_PREFIX)
        digits = signature[len(_PREFIX) :] if prefixed else signature
        if (self._prefix_required and not prefixed) or not _HEX.fullmatch(digits):
            return False
        given = bytes.fromhex(digits)
        # All are compared, so that the time does not tell which one it was.
        results = [hmac.compare_digest(hmac_digest(secret, body), given) for secret in self._secrets]
        return any(results)

    def __repr__(self) -> str:
        return f"HmacScheme({self.header!r})"


class Ed25519Scheme:
    """Ed25519 over the raw body, in base64. Needs the extra `webhooks`.

    Args:
        header: The header that carries the signature.
        keys: The public key, or several while one replaces another.
        argument: What the user calls the keys, for messages.

    Raises:
        ConfigurationError: There is no key, or one that is no Ed25519 key; or the package cryptography is missing.
    """

    __slots__ = ("_keys", "header")

    name = "ed25519"

    def __init__(self, header: str, keys: Keys, *, argument: str = "public_key") -> None:
        self.header = checked_header(header)
        self._keys = [_ed25519_key(key, argument) for key in _listed_keys(keys, argument)]

    def prove(self, body: bytes, headers: Mapping[str, str]) -> WebhookProof | None:
        """Return a proof if the signature is that of `body`, by any of the keys."""
        given = _from_base64(headers[self.header.lower()])
        holds = given is not None and _any_holds(partial(key.verify, given, body) for key in self._keys)
        return WebhookProof(self.name) if holds else None

    def __repr__(self) -> str:
        return f"Ed25519Scheme({self.header!r})"


class RsaScheme:
    """RSA with SHA-256 and PKCS#1 v1.5 over the raw body, in base64. Needs the extra `webhooks`.

    Args:
        header: The header that carries the signature.
        keys: The public key, or several while one replaces another; each of 2048 bits or more.
        argument: What the user calls the keys, for messages.

    Raises:
        ConfigurationError: There is no key, or one that is no RSA key or too short; or the package cryptography is
            missing.
    """

    __slots__ = ("_how", "_keys", "header")

    name = "rsa-sha256"

    def __init__(self, header: str, keys: Keys, *, argument: str = "rsa_public_key") -> None:
        self.header = checked_header(header)
        self._keys = [_rsa_key(key, argument) for key in _listed_keys(keys, argument)]
        self._how = _pkcs1_sha256()

    def prove(self, body: bytes, headers: Mapping[str, str]) -> WebhookProof | None:
        """Return a proof if the signature is that of `body`, by any of the keys."""
        given = _from_base64(headers[self.header.lower()])
        holds = given is not None and _any_holds(partial(key.verify, given, body, *self._how) for key in self._keys)
        return WebhookProof(self.name) if holds else None

    def __repr__(self) -> str:
        return f"RsaScheme({self.header!r})"


def hmac_digest(secret: Secret, body: bytes) -> bytes:
    """Return the HMAC-SHA256 of `body`."""
    return hmac.digest(secret.reveal().encode("utf-8", "surrogatepass"), body, hashlib.sha256)


def sealed(secrets: Secrets) -> tuple[Secret, ...]:
    """Return the secrets as a tuple in which nobody sees them.

    Raises:
        ConfigurationError: There is none, or one that is empty or no string.
    """
    given = _listed(secrets, (str, Secret))
    if given is None:
        raise ConfigurationError("secret takes a string or a sequence of strings")
    wrapped = tuple(Secret.of(each) for each in cast("Sequence[str | Secret]", given))
    if not wrapped or not all(each.reveal() for each in wrapped):
        raise ConfigurationError(
            "the webhook secret is empty, and anyone could sign with that: pass the secret that the platform shows"
        )
    return wrapped


def checked_header(name: object) -> str:
    """Return the name of a header; raise `ConfigurationError` if it is none."""
    if not isinstance(name, str) or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        raise ConfigurationError(f"the name of a signature header must be one like X-Signature, not {name!r}")
    return name


def _any_holds(checks: Iterable[Callable[[], None]]) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - an optional package

    for check in checks:
        try:
            check()
        except InvalidSignature:
            continue
        return True
    return False


def _pkcs1_sha256() -> tuple[PKCS1v15, SHA256]:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415 - an optional package
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - as above

    return PKCS1v15(), SHA256()


def _from_base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:  # binascii.Error is one, and so is text that is not ASCII
        return None


def _listed_keys(keys: Keys, argument: str) -> Sequence[str | bytes]:
    _require_cryptography(argument)
    listed = _listed(keys, (str, bytes))
    if not listed:
        raise ConfigurationError(f"{argument} takes a key or a sequence of keys, each as text: PEM or base64")
    return cast("Sequence[str | bytes]", listed)


def _listed(given: object, kinds: tuple[type, ...]) -> Sequence[object] | None:
    """Return one thing or several as several; `None` if one of them is of no such kind."""
    several: Sequence[object] = (given,)
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        several = cast("Sequence[object]", given)
    return several if all(isinstance(each, kinds) for each in several) else None


def _ed25519_key(key: str | bytes, argument: str) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - optional

    loaded = _loaded(key, argument)
    if not isinstance(loaded, Ed25519PublicKey):
        raise ConfigurationError(f"{argument} takes Ed25519 keys, and this one is of another kind")
    return loaded


def _rsa_key(key: str | bytes, argument: str) -> RSAPublicKey:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415 - optional

    loaded = _loaded(key, argument)
    if not isinstance(loaded, RSAPublicKey):
        raise ConfigurationError(f"{argument} takes RSA keys, and this one is of another kind")
    if loaded.key_size < _SMALLEST_RSA:
        raise ConfigurationError(f"{argument} takes RSA keys of {_SMALLEST_RSA} bits or more, not {loaded.key_size}")
    return loaded


def _loaded(key: str | bytes, argument: str) -> PublicKeyTypes:
    try:
        text = key.decode("ascii") if isinstance(key, bytes) else key
        return _load(text)
    except ValueError:
        raise ConfigurationError(
            f"{argument} cannot be read: it should be PEM (-----BEGIN PUBLIC KEY-----) or base64 of the same content"
        ) from None


@lru_cache(maxsize=64)
def _load(text: str) -> PublicKeyTypes:
    """Read a public key; remembered, since reading one takes as long as checking a signature."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - an optional package
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - as above
        load_der_public_key,
        load_pem_public_key,
    )

    try:
        if "-----BEGIN" in text:
            # Environment variables often hold PEM with its line breaks written as \n.
            return load_pem_public_key(text.replace("\\n", "\n").strip().encode("ascii"))
        return load_der_public_key(base64.b64decode("".join(text.split()), validate=True))
    except (binascii.Error, UnsupportedAlgorithm) as exc:
        raise ValueError(str(exc)) from None


def _require_cryptography(argument: str) -> None:
    try:
        import cryptography  # noqa: F401, PLC0415  # pyright: ignore[reportUnusedImport]
    except ImportError:
        raise ConfigurationError(
            f"checking signatures by {argument} needs the package cryptography: pip install 'dialogkit[webhooks]', "
            f"or pass {argument}=None if your deliveries are signed otherwise"
        ) from None
