"""Signatures, against vectors that other programs have made."""

from __future__ import annotations

import base64
import builtins
import hashlib
import hmac
import pickle
from typing import Any

import pytest

from dialogkit import ConfigurationError
from dialogkit._core.support.secret import Secret
from dialogkit._core.webhooks.schemes import Ed25519Scheme, HmacScheme, RsaScheme, SignatureScheme, WebhookProof

# RFC 8032, section 7.1, test 2.
ED25519_RAW = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
ED25519_KEY = base64.b64encode(bytes.fromhex("302a300506032b6570032100") + ED25519_RAW).decode()
ED25519_BODY = b"\x72"
ED25519_SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
OTHER_ED25519_KEY = "MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg="

# openssl dgst -sha256 -sign
RSA_KEY = """\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA356eGoUG/t0rOWDJY3Rf
lW1pyhOdCfQtaB99dVd1CItTyj0M9yfGfP4Gu9RBHbF4e4LFTGZ0L+l4vcnmT5q+
/eq/Gg4wanLCCWo6l7WEPIypDXReS4Y//x2eaiWMvyDVTSL6+pROXGGWfwS4n80e
gOL4FJkOsZsn4J9wFGnIan/VwWKw7rnSJv3r809ErAsA6RWKgEztfLCSycShS/i/
qJqjhdLJCUowN0I1PMOy7C5neoE+H36WwFSq+ZvzYIGY8paJk/EJM0InOItA3o87
CG0oqYvIIn/mY9wrEgcjzSVQ6lTpX0O8AY2RyfVAvRmux/7OmuyWv+oCjQoUuSZH
3QIDAQAB
-----END PUBLIC KEY-----
"""
RSA_BODY = b'{"type":"Ping"}'
RSA_SIGNATURE = (
    "dSIhwSUPRLLY+dCkd7zCCiy0f+Njya30iKh70gpysBlrQYtSHokp0u+jwpzbUAC1rR/jpdimiPcmY10sqNP3y/ltyTzVvPDhRGIPG6u6fBvm"
    "rDWVCnhrtnuO9oSxP+UlxBFYLGFwGny7rhBIny4Av5GrMlRvRp/NgVYJshNMjYQue2KisDcJLggCxwBJkfY85FigXqxzBHB2LRcclCkFAiRt"
    "6egdAGtCWFbQY1mbgwtLanr/F9lrlIlaGvgAeOQ+uuKY25gZz0IEkbq2uURvVUQlFzYqeQAZ+YMYl2LW+IpohZYFXkFUQWaSBNc2QSjmr6kh"
    "/itpi22ryREXQgoh3A=="
)
SHORT_RSA_KEY = """\
-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDX7G70jNwrDW1BYw7hgLPISBXj
HACo/SSeDe9dFpWq630lVym4jPvtTJopATo760UReJ4/TzJgwCfA1ddOryvsynVn
mR0LgSSovEjiGb0+2p0eGQkiw6JHGIGnBqF9TLhE8s1FHD9dOjvumCBNXhr8QMmB
2YZnNOYnhVc1592HWwIDAQAB
-----END PUBLIC KEY-----
"""

# RFC 4231, section 4.3.
HMAC_SECRET = "Jefe"
HMAC_BODY = b"what do ya want for nothing?"
HMAC_DIGEST = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def accepts(scheme: SignatureScheme, body: bytes, signature: str) -> bool:
    proof = scheme.prove(body, {"x-other": "of no interest", scheme.header.lower(): signature})
    assert proof in {None, WebhookProof(scheme.name)}
    return proof is not None


@pytest.mark.parametrize("signature", [HMAC_DIGEST, HMAC_DIGEST.upper(), f"sha256={HMAC_DIGEST}"])
def test_hmac_by_the_vector_of_the_standard(signature: str) -> None:
    assert accepts(HmacScheme("X-Signature", HMAC_SECRET), HMAC_BODY, signature)
    assert not accepts(HmacScheme("X-Signature", HMAC_SECRET), HMAC_BODY + b" ", signature)
    assert not accepts(HmacScheme("X-Signature", "jefe"), HMAC_BODY, signature)


def test_hmac_of_several_secrets_holds_by_any() -> None:
    assert accepts(HmacScheme("X-Signature", ["new", Secret(HMAC_SECRET)]), HMAC_BODY, HMAC_DIGEST)
    assert not accepts(HmacScheme("X-Signature", ["new", "newer"]), HMAC_BODY, HMAC_DIGEST)


def test_hmac_may_need_its_prefix() -> None:
    scheme = HmacScheme("X-Signature", HMAC_SECRET, prefix_required=True)
    assert accepts(scheme, HMAC_BODY, f"sha256={HMAC_DIGEST}")
    assert not accepts(scheme, HMAC_BODY, HMAC_DIGEST)


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "sha256=",
        HMAC_DIGEST[:-2],
        HMAC_DIGEST + "00",
        f"sha1={HMAC_DIGEST}",
        f"sha256=sha256={HMAC_DIGEST}",
        f" {HMAC_DIGEST}",
        " ".join(HMAC_DIGEST),
        HMAC_DIGEST[:-1] + "g",
        HMAC_DIGEST[:-1] + "\N{FULLWIDTH DIGIT THREE}",
        base64.b64encode(bytes.fromhex(HMAC_DIGEST)).decode(),
        "ü" * 64,
        "\ud800" * 64,
    ],
)
def test_what_is_no_digest_is_a_wrong_one(signature: str) -> None:
    assert not accepts(HmacScheme("X-Signature", HMAC_SECRET), HMAC_BODY, signature)


def test_hmac_digests_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def spy(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return compare(left, right)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    assert accepts(HmacScheme("X-Signature", [HMAC_SECRET, "other"]), HMAC_BODY, HMAC_DIGEST)
    assert [right for _, right in compared] == [bytes.fromhex(HMAC_DIGEST)] * 2  # each secret, also after a match


def test_ed25519_by_the_vector_of_the_standard() -> None:
    scheme = Ed25519Scheme("X-Signature", ED25519_KEY)
    signature = base64.b64encode(ED25519_SIGNATURE).decode()
    assert accepts(scheme, ED25519_BODY, signature)
    assert not accepts(scheme, b"\x73", signature)
    assert not accepts(Ed25519Scheme("X-Signature", OTHER_ED25519_KEY), ED25519_BODY, signature)


@pytest.mark.parametrize("first", [ED25519_KEY, OTHER_ED25519_KEY])
def test_ed25519_of_several_keys_holds_by_any(first: str) -> None:
    scheme = Ed25519Scheme("X-Signature", [first, OTHER_ED25519_KEY, ED25519_KEY])
    assert accepts(scheme, ED25519_BODY, base64.b64encode(ED25519_SIGNATURE).decode())


def test_rsa_by_what_openssl_has_signed() -> None:
    scheme = RsaScheme("X-Signature", RSA_KEY)
    assert accepts(scheme, RSA_BODY, RSA_SIGNATURE)
    assert not accepts(scheme, RSA_BODY + b"\n", RSA_SIGNATURE)


SIGNATURE = base64.b64encode(ED25519_SIGNATURE).decode()


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "=",
        "====",
        "not base64!",
        SIGNATURE[:-4],
        SIGNATURE + "AAAA",
        SIGNATURE.rstrip("="),
        " ".join(SIGNATURE),
        ED25519_SIGNATURE.hex(),
        base64.b64encode(bytes(64)).decode(),
        SIGNATURE * 1_000,
        "A" * 10_000_000,
        "ü",
        "\ud800",
        "\x00",
    ],
)
@pytest.mark.parametrize("scheme", [Ed25519Scheme("X-S", ED25519_KEY), RsaScheme("X-S", RSA_KEY)], ids=["ed", "rsa"])
def test_what_is_no_signature_is_a_wrong_one(scheme: Ed25519Scheme | RsaScheme, signature: str) -> None:
    assert not accepts(scheme, ED25519_BODY, signature)


def pem(base64_text: str) -> str:
    return f"-----BEGIN PUBLIC KEY-----\n{base64_text}\n-----END PUBLIC KEY-----\n"


@pytest.mark.parametrize(
    "key",
    [
        ED25519_KEY,
        ED25519_KEY.encode(),
        f"  {ED25519_KEY[:30]}\n{ED25519_KEY[30:]}\n",
        pem(ED25519_KEY),
        pem(ED25519_KEY).encode(),
        pem(ED25519_KEY).replace("\n", "\\n"),
        pem(ED25519_KEY).replace("\n", "\r\n"),
    ],
)
def test_keys_are_read_in_the_forms_in_which_they_are_kept(key: str | bytes) -> None:
    assert accepts(Ed25519Scheme("X-Signature", key), ED25519_BODY, SIGNATURE)


@pytest.mark.parametrize(
    ("kind", "keys", "wrong"),
    [
        (Ed25519Scheme, "", "cannot be read"),
        (Ed25519Scheme, "nonsense", "cannot be read"),
        (Ed25519Scheme, "ü", "cannot be read"),
        (Ed25519Scheme, b"\xff\xfe", "cannot be read"),
        (Ed25519Scheme, pem("AAAA"), "cannot be read"),
        (Ed25519Scheme, pem(ED25519_KEY).replace("PUBLIC", "PRIVATE"), "cannot be read"),
        (Ed25519Scheme, [], "takes a key or a sequence"),
        (Ed25519Scheme, [None], "takes a key or a sequence"),
        (Ed25519Scheme, 5, "takes a key or a sequence"),
        (Ed25519Scheme, RSA_KEY, "takes Ed25519 keys, and this one is of another kind"),
        (RsaScheme, ED25519_KEY, "takes RSA keys, and this one is of another kind"),
        (RsaScheme, SHORT_RSA_KEY, "2048 bits or more, not 1024"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(kind: type[Ed25519Scheme | RsaScheme], keys: Any, wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=wrong):
        kind("X-Signature", keys)


@pytest.mark.parametrize("secrets", ["", [], [""], ["good", ""], [None], None, b"bytes", [b"bytes"], 5])
def test_a_secret_that_makes_no_sense_is_refused(secrets: Any) -> None:
    with pytest.raises(ConfigurationError, match="secret"):
        HmacScheme("X-Signature", secrets)


@pytest.mark.parametrize("header", ["", "X Signature", "X-Signature:", "Ünicode", "a\nb", None])
def test_what_is_no_header_name_is_refused(header: Any) -> None:
    with pytest.raises(ConfigurationError, match="signature header"):
        HmacScheme(header, "secret")


def test_a_secret_is_not_shown() -> None:
    scheme = HmacScheme("X-Signature", "hush-hush")
    assert "hush" not in repr(scheme)
    with pytest.raises(TypeError):
        pickle.dumps(scheme)


def test_without_cryptography_a_key_is_a_clear_error_and_a_secret_works(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".", maxsplit=1)[0] == "cryptography":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    for kind, key in ((Ed25519Scheme, ED25519_KEY), (RsaScheme, RSA_KEY)):
        with pytest.raises(ConfigurationError, match=r"pip install 'dialogkit\[webhooks\]'.* or pass \w+=None"):
            kind("X-Signature", key)
    digest = hmac.new(b"s", b"body", hashlib.sha256).hexdigest()
    assert accepts(HmacScheme("X-Signature", "s"), b"body", digest)
