"""Tokens, and the stores that ship."""

from __future__ import annotations

import copy
import json
import os
import pickle
import re
import stat
import sys
import traceback
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from redis.asyncio import Redis

from dialogkit import ConfigurationError, FileTokenStore, MemoryTokenStore, RedisTokenStore, Token, TokenStore
from dialogkit.testing.token_store_contract import TokenStoreContract
from tests.support.redis_server import RedisServer, until

TOKEN = Token("access-secret", "refresh-secret", 1_800_000_000.0, "a b", "loc_1", "company_1")
NEXT = Token("access-next", "refresh-next", 1_800_086_399.0)


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer.started() as server:
        yield server


@asynccontextmanager
async def emptied(server: RedisServer) -> AsyncGenerator[Redis]:
    async with server.client() as redis:
        await redis.flushall()  # pyright: ignore[reportUnknownMemberType]
        yield redis


class TestMemoryTokenStore(TokenStoreContract):
    backends = ("asyncio", "trio")

    @asynccontextmanager
    async def stores(self) -> AsyncGenerator[Callable[[], TokenStore]]:
        store = MemoryTokenStore()
        yield lambda: store


def besides_locks(folder: Path) -> set[str]:
    """Return the names of the files in `folder`, locks apart, which are empty and for their owner only."""
    locks = [each for each in folder.iterdir() if each.suffix == ".lock"]
    assert {(each.stat().st_size, stat.S_IMODE(each.stat().st_mode)) for each in locks} <= {(0, 0o600)}
    return {each.name for each in folder.iterdir() if each not in locks}


class TestFileTokenStore(TokenStoreContract):
    backends = ("asyncio", "trio")

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        self.runs = 0

    @asynccontextmanager
    async def stores(self) -> AsyncGenerator[Callable[[], TokenStore]]:
        self.runs += 1
        path = self.folder / f"tokens-{self.runs}.json"
        yield lambda: FileTokenStore(path)
        assert besides_locks(self.folder) <= {f"tokens-{n + 1}.json" for n in range(self.runs)}


class TestRedisTokenStore(TokenStoreContract):
    @pytest.fixture(autouse=True)
    def _server(self, redis_server: RedisServer) -> None:
        self.server = redis_server

    @asynccontextmanager
    async def stores(self) -> AsyncGenerator[Callable[[], TokenStore]]:
        async with emptied(self.server) as redis:
            yield lambda: RedisTokenStore(redis)


class Forgetful(MemoryTokenStore):
    """Replaces whatever is there."""

    async def put(self, key: str, token: Token, /, *, expected: object = None) -> bool:
        return await super().put(key, token)


def test_the_contract_finds_a_bad_store() -> None:
    class Check(TokenStoreContract):
        @asynccontextmanager
        async def stores(self) -> AsyncGenerator[Callable[[], TokenStore]]:
            store = Forgetful()
            yield lambda: store

    Check().test_gives_back_what_was_put()
    with pytest.raises(AssertionError, match="should return False"):
        Check().test_replaces_nothing_else()
    with pytest.raises(AssertionError, match="one put"):
        Check().test_lets_one_of_many_win()
    with pytest.raises(NotImplementedError, match="define stores"):
        TokenStoreContract().test_knows_nothing_at_first()


def test_a_token_shows_no_secret_and_is_not_copied() -> None:
    assert "secret" not in repr(TOKEN) + str(TOKEN)
    for spread in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="to_json"):
            spread(TOKEN)


def test_a_token_as_json() -> None:
    assert Token.from_json(TOKEN.to_json()) == TOKEN
    assert Token.from_json(Token("a").to_json().encode()) == Token("a")
    assert Token.from_json('{"access_token": "a", "of_a_later_version": 1}') == Token("a")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "{}",
        '{"access_token": ""}',
        '{"access_token": "a\\nb"}',
        '{"access_token": "ä"}',
        '{"access_token": "a", "refresh_token": 5}',
        '{"access_token": "a", "expires_at": "soon"}',
        '{"access_token": "a", "expires_at": true}',
        '{"access_token": "a", "expires_at": NaN}',
        "[" * 100_000,
    ],
)
def test_what_is_no_token(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"[Tt]oken"):
        Token.from_json(text)


def test_when_a_token_expires() -> None:
    token = Token("a", expires_at=1_000)
    assert not token.expired(now=999.9)
    assert token.expired(now=1_000)
    assert token.expired(300, now=700)
    assert not token.expired(299, now=700)
    assert token.expired()
    assert not Token("a").expired(10**9)


async def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    os.close(os.open(path, os.O_CREAT, 0o666))
    mask = os.umask(0)
    try:
        await FileTokenStore(path).put("loc_1", TOKEN)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["loc_1"]["refresh_token"] == "refresh-secret"
    assert besides_locks(tmp_path) == {"tokens.json"}


async def test_a_link_to_the_file_stays_one(tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "tokens.json")
    await FileTokenStore(link).put("loc_1", TOKEN)
    assert link.is_symlink()
    assert await FileTokenStore(tmp_path / "tokens.json").get("loc_1") == TOKEN


@pytest.mark.parametrize("content", [b"nonsense", b"[]", b'{"loc_1": 5}', b"\xff"])
async def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokens.json"
    path.write_bytes(content)
    store = FileTokenStore(path)
    for use in (store.get("loc_1"), store.put("loc_1", TOKEN, expected=None)):
        with pytest.raises(ConfigurationError, match=r"tokens\.json is not one that FileTokenStore has written"):
            await use
    assert path.read_bytes() == content


async def test_one_bad_entry_harms_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(json.dumps({"loc_bad": 5, "loc_1": json.loads(TOKEN.to_json())}))
    assert await FileTokenStore(path).get("loc_1") == TOKEN
    await FileTokenStore(path).put("loc_2", NEXT)
    assert json.loads(path.read_text())["loc_bad"] == 5


async def test_that_others_can_read_the_file_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "tokens.json"
    store = FileTokenStore(path)
    await store.put("loc_1", TOKEN)
    await store.get("loc_1")
    assert not caplog.records
    path.chmod(0o644)
    await store.get("loc_1")
    await store.get("loc_1")
    (record,) = caplog.records
    assert "chmod 600" in record.getMessage()
    assert "(mode 644)" in record.getMessage()
    await store.put("loc_1", NEXT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_lock_follows_no_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    store = FileTokenStore(tmp_path / "tokens.json")
    async with store.lock("loc_1"):
        pass
    for name in (*os.listdir(tmp_path), "tokens.json.lock"):  # noqa: PTH208
        if name != "victim":
            (tmp_path / name).unlink(missing_ok=True)
            (tmp_path / name).symlink_to(victim)
    with pytest.raises(OSError, match="symbolic link"):
        await store.put("loc_1", TOKEN)
    with pytest.raises(OSError, match="symbolic link"):
        await store.lock("loc_1").__aenter__()
    assert victim.read_text() == "precious"


def shown(error: BaseException) -> str:
    """Return everything that a report with local variables has in it, the test's own frame apart."""
    assert error.__traceback__ is not None
    within = error.__traceback__.tb_next
    return "".join(traceback.TracebackException(type(error), error, within, capture_locals=True).format())


async def test_no_failure_shows_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tokens.json"
    store = FileTokenStore(path)
    await store.put("loc_1", Token("kept-access", "kept-refresh"))

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space") as full:
        await store.put("loc_2", Token("new-access", "new-refresh"))
    monkeypatch.undo()
    for content in (
        '{"loc_1": {"access_token": "two words-access", "refresh_token": "new-refresh"}}',
        '{"x": "kept-access"',
    ):
        path.write_text(content)
        with pytest.raises(ConfigurationError) as unreadable:
            await store.get("loc_1")
        assert not re.search("(kept|new|words)-(access|refresh)", shown(unreadable.value))
    assert not re.search("(kept|new)-(access|refresh)", shown(full.value))


def test_a_directory_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="directory"):
        FileTokenStore(tmp_path / "missing" / "tokens.json")


async def test_a_disk_that_is_full_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileTokenStore(tmp_path / "tokens.json")
    await store.put("loc_1", TOKEN)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        await store.put("loc_1", NEXT)
    monkeypatch.undo()
    assert await store.get("loc_1") == TOKEN
    assert besides_locks(tmp_path) == {"tokens.json"}


CRASH = """
import asyncio, os, sys
from dialogkit import FileTokenStore, Token
from dialogkit._core.auth import token_files

async def main():
    store = FileTokenStore(sys.argv[1])
    if sys.argv[2] == "writing":
        token_files.Path.replace = lambda *_: os._exit(9)
        await store.put("loc_1", Token("half", "written"))
    async with store.lock("loc_1"):
        os._exit(9)

asyncio.run(main())
"""


@pytest.mark.parametrize("moment", ["writing", "locked"])
async def test_a_crash_leaves_the_old_file_and_no_lock(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "tokens.json"
    store = FileTokenStore(path)
    await store.put("loc_1", TOKEN)
    crashed = await anyio.run_process([sys.executable, "-c", CRASH, str(path), moment], check=False)
    assert crashed.returncode == 9
    assert await store.get("loc_1") == TOKEN
    assert len(besides_locks(tmp_path)) == (2 if moment == "writing" else 1), "a draft, which has tokens in it"
    store = FileTokenStore(path)
    assert besides_locks(tmp_path) == {"tokens.json"}
    async with store.lock("loc_1"):
        assert await store.put("loc_1", NEXT, expected=TOKEN)
    assert await store.get("loc_1") == NEXT


def test_redis_has_to_be_asynchronous() -> None:
    for wrong in (object(), None):
        with pytest.raises(ConfigurationError, match=r"redis\.asyncio"):
            RedisTokenStore(wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test_the_lock_expiry_has_to_make_sense(redis_server: RedisServer) -> None:
    async with redis_server.client() as redis:
        for wrong in (0, -1, float("inf"), True):
            with pytest.raises(ConfigurationError, match="lock_expiry"):
                RedisTokenStore(redis, lock_expiry=wrong)
        assert "secret" not in repr(RedisTokenStore(redis))


async def test_redis_keeps_apps_apart(redis_server: RedisServer) -> None:
    async with emptied(redis_server) as redis:
        one, other = RedisTokenStore(redis, prefix="one:"), RedisTokenStore(redis, prefix="other:")
        await one.put("loc_1", TOKEN)
        assert await other.get("loc_1") is None
        assert await redis.ttl("one:loc_1") == -1


async def test_what_is_no_token_in_redis(redis_server: RedisServer) -> None:
    async with emptied(redis_server) as redis:
        store = RedisTokenStore(redis, prefix="")
        for nonsense in ("nonsense", "5", "[]", "{}", '{"access_token": 5}'):
            await redis.set("loc_1", nonsense)
            with pytest.raises(ConfigurationError):
                await store.get("loc_1")
            assert not await store.put("loc_1", NEXT, expected=TOKEN)
        assert await store.put("loc_1", NEXT)


async def test_the_lock_of_a_process_that_died_expires(redis_server: RedisServer) -> None:
    async with emptied(redis_server) as redis:
        await redis.set("dialogkit:token:loc_1:lock", "somebody", px=100)
        async with RedisTokenStore(redis).lock("loc_1"):
            assert await redis.get("dialogkit:token:loc_1:lock") != b"somebody"
        assert not await redis.exists("dialogkit:token:loc_1:lock")


async def test_a_lock_is_prolonged_while_it_is_held(redis_server: RedisServer) -> None:
    async with emptied(redis_server) as redis:
        async with RedisTokenStore(redis, lock_expiry=0.6).lock("loc_1"):
            await redis.pexpire("dialogkit:token:loc_1:lock", 60_000)
            left = 60_000
            while left > 1_000:  # set back to its own expiry
                await anyio.sleep(0.01)
                left = await redis.pttl("dialogkit:token:loc_1:lock")
        assert not await redis.exists("dialogkit:token:loc_1:lock")


async def test_nobody_frees_the_lock_of_another(redis_server: RedisServer) -> None:
    async with emptied(redis_server) as redis:
        async with RedisTokenStore(redis).lock("loc_1"):
            await redis.set("dialogkit:token:loc_1:lock", "somebody")
        assert await redis.get("dialogkit:token:loc_1:lock") == b"somebody"


async def test_giving_up_the_wait_frees_nothing_and_leaves_nothing(redis_server: RedisServer) -> None:
    async with emptied(redis_server) as redis:
        store = RedisTokenStore(redis)
        async with store.lock("loc_1"):
            with anyio.move_on_after(0):
                async with store.lock("loc_1"):
                    pytest.fail("it is held")
            await until(lambda: not store._releases)
            assert await redis.exists("dialogkit:token:loc_1:lock")
        assert not await redis.exists("dialogkit:token:loc_1:lock")
