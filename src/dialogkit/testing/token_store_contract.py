"""What `OAuth2` expects of a token store, as tests for a store of your own.

    from contextlib import asynccontextmanager
    from dialogkit.testing.token_store_contract import TokenStoreContract

    class TestMyStore(TokenStoreContract):
        @asynccontextmanager
        async def stores(self):
            async with connect("postgresql://...") as database:
                await database.execute("delete from tokens")
                yield lambda: MyStore(database)

pytest finds the class by its name and runs a dozen tests, with or without a plugin for async tests.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import ClassVar, Final, TypeAlias

import anyio
import anyio.lowlevel
from anyio.abc import TaskStatus

from dialogkit import Token, TokenStore

_Locks: TypeAlias = Callable[[str], AbstractAsyncContextManager[object]]

_FULL: Final = Token("access-1", "refresh-1", 1_800_000_000.25, "a.read b/c.write", "loc_1", "company_1")
_NEXT: Final = Token("access-2", "refresh-2", 1_800_086_399.0)
_SHORT: Final = Token("access-3")
_ODD_KEYS: Final = ("loc_1", "loc_2", "LOC_1", "loc:1/../*?", "Zürich 北")
_SECONDS: Final = 30.0
"""How long a test may take at most."""


class TokenStoreContract:
    """Tests of a token store: name a subclass of it `Test…`, and say how to open stores."""

    backends: ClassVar[tuple[str, ...]] = ("asyncio",)
    """The event loops to run under: `asyncio`, `trio`."""

    def stores(self) -> AbstractAsyncContextManager[Callable[[], TokenStore]]:
        """Return an async context manager that gives a function which makes a store.

        There is no token when it is entered. All stores that the function makes work on the same tokens, as those of
        several processes do.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how to open stores: define stores()")

    def test_knows_nothing_at_first(self) -> None:
        """What was never put is not there."""

        async def check(make: Callable[[], TokenStore]) -> None:
            _require(await make().get("loc_1") is None, "get() of an unknown account should return None")

        self._run(check)

    def test_gives_back_what_was_put(self) -> None:
        """A token comes back whole, also from another store."""

        async def check(make: Callable[[], TokenStore]) -> None:
            for token in (_FULL, _NEXT, _SHORT):
                _require(await make().put("loc_1", token), "put() without `expected` should return True")
                _require_same(await make().get("loc_1"), token)

        self._run(check)

    def test_keeps_accounts_apart(self) -> None:
        """No account gets the token of another one."""

        async def check(make: Callable[[], TokenStore]) -> None:
            tokens = {key: Token(f"access-{number}") for number, key in enumerate(_ODD_KEYS)}
            for key, token in tokens.items():
                await make().put(key, token)
            for key, token in tokens.items():
                _require_same(await make().get(key), token)

        self._run(check)

    def test_replaces_what_is_expected(self) -> None:
        """A token is replaced if it is the expected one, read back or not."""

        async def check(make: Callable[[], TokenStore]) -> None:
            store = make()
            _require(await store.put("loc_1", _FULL, expected=None), "put(expected=None) should work for a new account")
            _require(await store.put("loc_1", _NEXT, expected=_FULL), "put() should work when `expected` is kept")
            read = await make().get("loc_1")
            _require(
                await store.put("loc_1", _SHORT, expected=read), "put() should know a token that get() has returned"
            )
            _require(
                await store.put("loc_1", _FULL, expected=_SHORT), "put() should know a token without refresh token"
            )
            _require_same(await store.get("loc_1"), _FULL)

        self._run(check)

    def test_replaces_nothing_else(self) -> None:
        """A token stays if it is not the expected one."""

        async def check(make: Callable[[], TokenStore]) -> None:
            store = make()
            _require(not await store.put("loc_1", _NEXT, expected=_FULL), "put() should return False: nothing is kept")
            _require(await store.get("loc_1") is None, "put() should keep nothing when `expected` is not there")
            await store.put("loc_1", _FULL)
            others = (None, _NEXT, Token("access-1"), Token("access-1", "refresh-0"), Token("access-0", "refresh-1"))
            for other in others:
                _require(
                    not await store.put("loc_1", _NEXT, expected=other), "put() should return False: another is kept"
                )
                _require_same(await store.get("loc_1"), _FULL)

        self._run(check)

    def test_lets_one_of_many_win(self) -> None:
        """Of many that replace the same token at the same time, one does it."""

        async def check(make: Callable[[], TokenStore]) -> None:
            await make().put("loc_1", _FULL)
            won: list[Token] = []

            async def replace(store: TokenStore, token: Token) -> None:
                if await store.put("loc_1", token, expected=_FULL):
                    won.append(token)

            async with anyio.create_task_group() as group:
                for number in range(20):
                    group.start_soon(replace, make(), Token(f"new-{number}", f"refresh-{number}"))
            _require(len(won) == 1, f"one put() of 20 with the same `expected` should return True, not {len(won)}")
            _require_same(await make().get("loc_1"), won[0])

        self._run(check)

    def test_keeps_all_accounts_under_load(self) -> None:
        """Nobody's token is lost when many are put at the same time."""

        async def check(make: Callable[[], TokenStore]) -> None:
            async with anyio.create_task_group() as group:
                for number in range(20):
                    group.start_soon(make().put, f"loc_{number}", Token(f"access-{number}"))
            for number in range(20):
                _require_same(await make().get(f"loc_{number}"), Token(f"access-{number}"))

        self._run(check)

    def test_locks_out_others(self) -> None:
        """One at a time is in the lock of an account, if there is one."""

        async def check(make: Callable[[], TokenStore]) -> None:
            inside = 0

            async def enter(lock: _Locks) -> None:
                nonlocal inside
                async with lock("loc_1"):
                    inside += 1
                    for _ in range(5):
                        await anyio.lowlevel.checkpoint()
                        _require(inside == 1, "lock() should let in one at a time")
                    inside -= 1

            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(enter, _lock_of(make()))

        self._run_with_locks(check)

    def test_locks_accounts_apart(self) -> None:
        """The locks of two accounts have nothing to do with each other."""

        async def check(make: Callable[[], TokenStore]) -> None:
            async with _lock_of(make())("loc_1"), _lock_of(make())("loc_2"):
                pass

        self._run_with_locks(check)

    def test_frees_locks(self) -> None:
        """A lock is free again after an error, and after somebody has given up waiting for it."""

        async def check(make: Callable[[], TokenStore]) -> None:
            lock = _lock_of(make())

            async def wait(task_status: TaskStatus[None]) -> None:
                task_status.started()
                async with lock("loc_1"):
                    raise AssertionError("lock() should keep waiting")

            async def fail() -> None:
                async with lock("loc_1"):
                    raise _OnPurposeError

            async with lock("loc_1"), anyio.create_task_group() as group:
                await group.start(wait)
                for _ in range(5):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
            with contextlib.suppress(_OnPurposeError):
                await fail()
            async with _lock_of(make())("loc_1"):
                pass

        self._run_with_locks(check)

    def _run_with_locks(self, check: Callable[[Callable[[], TokenStore]], Awaitable[None]]) -> None:
        async def check_if_locking(make: Callable[[], TokenStore]) -> None:
            if hasattr(make(), "lock"):
                await check(make)

        self._run(check_if_locking)

    def _run(self, check: Callable[[Callable[[], TokenStore]], Awaitable[None]]) -> None:
        async def run() -> None:
            with anyio.fail_after(_SECONDS):
                async with self.stores() as make:
                    await check(make)

        for backend in self.backends:
            anyio.run(run, backend=backend)


class _OnPurposeError(Exception):
    pass


def _lock_of(store: TokenStore) -> _Locks:
    lock: _Locks = getattr(store, "lock")  # noqa: B009 - the protocol does not ask for it
    return lock


def _require(condition: object, rule: str) -> None:
    if not condition:
        raise AssertionError(rule)


def _require_same(found: Token | None, wanted: Token) -> None:
    """Compare all that is in two tokens; times may be rounded to seconds."""
    _require(found is not None, "get() should return the token that was put")
    for name in ("access_token", "refresh_token", "scope", "location_id", "company_id"):
        _require(getattr(found, name) == getattr(wanted, name), f"get() should return {name} as it was put")
    times = (getattr(found, "expires_at", None), wanted.expires_at)
    same = times[0] is times[1] if None in times else abs(float(times[0] or 0) - float(times[1] or 0)) <= 1
    _require(same, "get() should return expires_at as it was put")
