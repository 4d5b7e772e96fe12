"""Tokens in a file: readable by its owner only, and whole at every moment."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import secrets
import threading
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, cast

import anyio
import anyio.to_thread

from dialogkit._core.auth.tokens import Token, is_expected
from dialogkit._core.call import OMIT, Omit
from dialogkit._core.errors import ConfigurationError

_fcntl: Any = import_module("fcntl") if find_spec("fcntl") else None  # Windows has none
_PATIENCE: Final = 10.0
"""Seconds to wait for another process that writes the file, which takes milliseconds."""
_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.2


class FileTokenStore:
    """Keeps tokens in a JSON file, for all processes of one machine.

    The file has mode 0600 and is replaced as a whole, so that a crash leaves the old one or the new one. Its locks are
    files beside it, which are gone when nobody holds them. Where the system has no `fcntl` (Windows), nothing but the
    threads of one process are kept apart.

    Args:
        path: The file. It is made when the first token is kept; its directory must be there.

    Raises:
        ConfigurationError: The directory is missing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(os.path.realpath(path))
        self._guard = threading.Lock()
        if not self._path.parent.is_dir():
            raise ConfigurationError(f"the directory of the token file {self._path} is missing: make it first")

    async def get(self, key: str, /) -> Token | None:
        """Return the token of an account, or `None` if there is none.

        Raises:
            ConfigurationError: The file is not one that this class has written.
            OSError: It cannot be read.
        """
        kept = await anyio.to_thread.run_sync(self._read)
        return self._token(kept, key)

    async def put(self, key: str, token: Token, /, *, expected: Token | Omit | None = OMIT) -> bool:
        """Keep a token; see `TokenStore.put`.

        Raises:
            ConfigurationError: The file is not one that this class has written; it is left as it is.
            OSError: It cannot be read or written.
        """
        return await anyio.to_thread.run_sync(self._put, key, token, expected)

    @asynccontextmanager
    async def lock(self, key: str) -> AsyncGenerator[None]:
        """Wait for the right to renew the token of an account; a process that dies gives it back."""
        name = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        path = self._beside(f".{name}.lock")
        pause = _PAUSE
        while (held := _try_lock(path)) is None:
            await anyio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - it spreads processes, no secrets
            pause = min(2 * pause, _LONGEST_PAUSE)
        try:
            yield
        finally:
            _unlock(path, held)

    def __repr__(self) -> str:
        return f"FileTokenStore({str(self._path)!r})"

    def _beside(self, suffix: str) -> Path:
        return self._path.with_name(self._path.name + suffix)

    def _token(self, kept: dict[str, Any], key: str) -> Token | None:
        fields = kept.get(key)
        if fields is None:
            return None
        if not isinstance(fields, dict):
            raise self._unreadable()
        return Token.from_fields(cast("dict[str, Any]", fields))

    def _read(self) -> dict[str, Any]:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        try:
            kept: object = json.loads(content) if content.strip() else {}
        except (ValueError, RecursionError):
            kept = None
        if not isinstance(kept, dict):
            raise self._unreadable()
        return cast("dict[str, Any]", kept)

    def _unreadable(self) -> ConfigurationError:
        return ConfigurationError(
            f"the token file {self._path} is not one that FileTokenStore has written: restore it from a backup, or "
            "remove it and let the accounts be authorised again"
        )

    def _put(self, key: str, token: Token, expected: Token | Omit | None) -> bool:
        with self._writing():
            kept = self._read()
            if not is_expected(self._token(kept, key), expected):
                return False
            kept[key] = json.loads(token.to_json())
            self._write(json.dumps(kept, indent=2, sort_keys=True).encode() + b"\n")
            return True

    @contextmanager
    def _writing(self) -> Generator[None]:
        """Keep everyone else from writing; called in a worker thread."""
        path = self._beside(".lock")
        until = time.monotonic() + _PATIENCE
        with self._guard:
            while (held := _try_lock(path)) is None:
                if time.monotonic() >= until:
                    raise TimeoutError(f"another process has held {path} for {_PATIENCE:g} s")
                time.sleep(_PAUSE)
            try:
                yield
            finally:
                _unlock(path, held)

    def _write(self, content: bytes) -> None:
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        self._sync_directory()

    def _sync_directory(self) -> None:
        """Make the new name outlive a power cut, where the system can."""
        with contextlib.suppress(OSError):
            directory = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)


def _try_lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock, or `None` if somebody else does."""
    held = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if _fcntl is None:
            return held
        _fcntl.flock(held, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(held), path.stat()):
            return held  # else whoever held it has removed it meanwhile
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(held)
        raise
    os.close(held)
    return None


def _unlock(path: Path, held: int) -> None:
    with contextlib.suppress(OSError):  # Windows does not remove what is open
        path.unlink()  # while it is held: whoever comes next makes a new one
    os.close(held)
