"""Tokens in a file: readable by its owner only, and whole at every moment.

The file is replaced, never changed: a draft beside it is written, synced, and takes its name. A draft that a crash has
left has tokens in it, so there is one name for drafts only, which the next process that opens the store clears away, as
each write does. Whoever writes or clears holds the lock of the file; whoever renews a token holds the lock of its
account, so that reading never waits.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import random
import stat
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import filelock

from dialogkit._core.auth.tokens import Token, is_expected, read_json
from dialogkit._core.call import OMIT, Omit
from dialogkit._core.errors import ConfigurationError
from dialogkit._core.support.secret import Secret, SecretFields

logger = logging.getLogger("dialogkit")

_PATIENCE: Final = 10.0
"""Seconds to wait for another process that writes the file, which takes milliseconds."""
_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.2
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class FileTokenStore:
    """Keeps tokens in a JSON file, for all processes, threads and event loops of one machine.

    The file has mode 0600 and is replaced as a whole, so that a crash leaves the old one or the new one. That others
    can read a file from elsewhere is said in the log. Its locks are empty files beside it, whose names end in `.lock`;
    they stay, and follow no link.

    Args:
        path: The file. It is made when the first token is kept; its directory must be there.

    Raises:
        ConfigurationError: The directory is missing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(os.path.realpath(path))
        self._draft = self._path.with_name(f".{self._path.name}.draft")
        self._guard = threading.Lock()
        self._said = False
        if not self._path.parent.is_dir():
            raise ConfigurationError(f"the directory of the token file {self._path} is missing: make it first")
        if self._draft.exists():
            with contextlib.suppress(OSError), self._writing():
                self._draft.unlink(missing_ok=True)

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
        lock = self._lock(f".{name}.lock")
        pause = _PAUSE
        while not _acquired(lock):
            await anyio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - it spreads processes, no secrets
            pause = min(2 * pause, _LONGEST_PAUSE)
        try:
            yield
        finally:
            lock.release()

    def __repr__(self) -> str:
        return f"FileTokenStore({str(self._path)!r})"

    def _lock(self, suffix: str) -> filelock.BaseFileLock:
        # Neither shared by name nor bound to a thread: each is one try of one holder.
        return filelock.FileLock(self._path.with_name(self._path.name + suffix), mode=0o600, thread_local=False)

    def _token(self, kept: SecretFields, key: str) -> Token | None:
        fields = kept.get(key)
        if fields is None:
            return None
        if not isinstance(fields, SecretFields):
            raise self._unreadable()
        return Token.from_fields(fields)

    def _read(self) -> SecretFields:
        try:
            kept = self._content()
        except FileNotFoundError:
            return SecretFields()
        if kept is None:
            raise self._unreadable()
        return kept

    def _content(self) -> SecretFields | None:
        """Return what the file has, `None` if that is no JSON object; nothing is raised while it is in a variable."""
        with self._path.open("rb") as file:
            self._check_mode(os.fstat(file.fileno()).st_mode)
            content = file.read()
        return read_json(content) if content.strip() else SecretFields()

    def _check_mode(self, mode: int) -> None:
        if mode & _OTHERS and os.name == "posix" and not self._said:
            self._said = True
            logger.warning(
                "Others on this machine may read or change the token file %s (mode %o): chmod 600 it, and renew its "
                "tokens if somebody may have done so",
                self._path,
                stat.S_IMODE(mode),
            )

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
            kept[key] = read_json(token.to_json())
            self._write(Secret(json.dumps(kept, indent=2, sort_keys=True) + "\n"))
            return True

    @contextmanager
    def _writing(self) -> Generator[None]:
        """Keep everyone else from writing; called in a worker thread."""
        lock = self._lock(".lock")
        with self._guard:
            try:
                lock.acquire(timeout=_PATIENCE, poll_interval=_PAUSE)  # pyright: ignore[reportUnknownMemberType]
            except filelock.Timeout:
                raise TimeoutError(f"another process has held {lock.lock_file} for {_PATIENCE:g} s") from None
            try:
                yield
            finally:
                lock.release()

    def _write(self, content: Secret) -> None:
        self._draft.unlink(missing_ok=True)
        try:
            with open(os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
                file.write(content.reveal().encode())
                file.flush()
                os.fsync(file.fileno())
            self._draft.replace(self._path)
        except BaseException:
            self._draft.unlink(missing_ok=True)
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


def _acquired(lock: filelock.BaseFileLock) -> bool:
    try:
        lock.acquire(timeout=0)  # pyright: ignore[reportUnknownMemberType] - what it returns is generic
    except filelock.Timeout:
        return False
    return True
