from __future__ import annotations

import json

import pytest

from dialogkit._core.support.veil import is_secret_name, veiled, veiled_body


@pytest.mark.parametrize(
    "name",
    ["token", "accessToken", "refresh_token", "clientSecret", "password", "PASSWORD", "key", "apiKey", "api-key",
     "APIKey", "privateKey", "keys", "x-auth-token", "credentials", "tokens", "secretKey", "accesstoken"],
)  # fmt: skip
def test_secret_names(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["keyword", "monkey", "id", "keyboardType", "turnkeyId", "name", "", "body"])
def test_other_names(name: str) -> None:
    assert not is_secret_name(name)


def test_a_secret_is_hidden_at_any_depth() -> None:
    value = {"a": [{"token": "t", "kept": 1}], "key": {"inner": 2}, "password": None, "hasPassword": True, "tokens": 7}
    shown = veiled("", value)
    hidden = "***"
    assert shown == {
        "a": [{"token": hidden, "kept": 1}], "key": hidden, "password": None, "hasPassword": True, "tokens": 7,
    }  # fmt: skip
    assert veiled("token", ["t"]) == hidden
    deep: object = "t"
    for _ in range(2_000):
        deep = {"a": deep}
    assert "t'" not in repr(veiled("", deep))


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": {"accessToken": "S3CRET", "n": 1}}',
        b'{"acce\\u0073sToken": "S3CRET"}',
        b'{"token": ["S3CRET"], "x": tru',
        b'{"a": [{"apiKey": "S3CRET',
        b'callback({"password": "S3CRET \\" more"})',
        b'{"key": {"any": "S3CRET"}}',
    ],
)
def test_a_body_shows_no_secret(content: bytes) -> None:
    assert b"S3CRET" not in veiled_body(content)


def test_a_body_without_secrets_stays_as_it_is() -> None:
    for content in (b"", b"\xff\xfe", b'{"a": 1.50}', json.dumps({"name": "Jürgen"}).encode()):
        assert veiled_body(content) is content
