from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest

from dialogkit._core.auth.bearer import AuthContext, BearerAuth
from dialogkit._core.errors import ConfigurationError
from dialogkit._core.support.secret import Secret

KEY = "ck_live_0123456789"
CONTEXT = AuthContext(operation="get_thing")


def test_a_secret_shows_itself_to_reveal_only() -> None:
    secret = Secret(KEY)
    assert secret.reveal() == KEY
    for text in (repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", "%s" % secret, secret.fingerprint()):  # noqa: UP031
        assert KEY not in text


@pytest.mark.parametrize("holder", [Secret(KEY), BearerAuth(KEY)])
def test_what_holds_a_credential_cannot_be_copied(holder: object) -> None:
    for spread in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            spread(holder)


def test_secrets_compare_by_what_they_hold() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert Secret.of("a") == Secret("a")
    assert Secret.of(None) is None


async def test_a_bearer_token() -> None:
    auth = BearerAuth(Secret(KEY))
    assert await auth.headers(CONTEXT) == {"Authorization": f"Bearer {KEY}"}
    assert not await auth.rejected(CONTEXT)
    assert KEY not in repr(auth) + auth.identity
    assert auth.identity == BearerAuth(KEY).identity != BearerAuth("other").identity


def test_a_credentials_name_is_the_same_in_every_process() -> None:
    script = f"from dialogkit._core.auth.bearer import BearerAuth; print(BearerAuth({KEY!r}).identity)"
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert other.stdout.strip() == BearerAuth(KEY).identity


@pytest.mark.parametrize("token", ["", " ", "a b", "a\r\nb", "ключ", "a\x7f", 5])
def test_what_cannot_be_a_token_is_refused(token: str) -> None:
    with pytest.raises(ConfigurationError, match="API key") as caught:
        BearerAuth(token)
    assert repr(token) not in str(caught.value)
