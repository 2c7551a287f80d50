"""What the accounts have used: two counters each, in an SQLite file that outlives the process.

What is left is what the accounts file grants less what was used, so to top up is to raise the grant. Only one endpoint
counts in a file; others may read it meanwhile.
"""

import asyncio
import fcntl
import logging
import os
import sqlite3
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import NamedTuple, Self

from hmt_pass.codes import Code
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.errors import SettingsError

_APPLICATION_ID = 0x686D7470  # "hmtp": tells our files from other databases, and from an empty file
_SCHEMA = f"""
    PRAGMA application_id = {_APPLICATION_ID};
    CREATE TABLE used (api_id TEXT PRIMARY KEY, calls INTEGER NOT NULL, charges INTEGER NOT NULL) STRICT;
"""
_ADD = """
    INSERT INTO used VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, charges = charges + excluded.charges
"""
_BUSY_S = 5.0  # how long a reader may hold up a write

log = logging.getLogger(__name__)


class Used(NamedTuple):
    """What was used: calls, and those of them that were charged."""

    calls: int = 0
    charges: int = 0

    def plus(self, other: Self) -> "Used":
        """Both together."""
        return Used(self.calls + other.calls, self.charges + other.charges)


class Usage:
    """A usage file, held by this process alone until `close`."""

    def __init__(self, path: Path) -> None:
        """Open the file, or begin one. Raises SettingsError when it is in use, damaged or cannot be written."""
        self._path = path.resolve()
        self._lock = _lock(self._path)
        try:
            if not self._path.exists():
                _begin(self._path)
                log.warning("no usage file at %s: counting begins at nothing", self._path)
            self._connection = _connect(self._path)
        except BaseException:
            self._lock.close()
            raise
        # One thread, because SQLite has one writer; not the event loop's own, because a write waits for the disk.
        self._writer = ThreadPoolExecutor(1, "usage")
        self._waiting: deque[tuple[tuple[str, int, int], Future[None]]] = deque()

    def close(self) -> None:
        """Finish what is being written, and let go of the file."""
        self._writer.shutdown()
        self._connection.close()
        self._lock.close()

    def totals(self) -> dict[str, Used]:
        """What each account has used; without an entry nothing."""
        return _totals(self._connection)

    async def record(self, api_id: str, spent: Used) -> None:
        """Add what a call used; on return it is on disk. Raises RefusedError 9999 when it could not be written."""
        written: Future[None] = Future()
        written.set_running_or_notify_cancel()  # from here on it is written, even if nobody waits for it any more
        self._waiting.append(((api_id, *spent), written))
        self._writer.submit(self._write)
        try:
            await asyncio.wrap_future(written)
        except sqlite3.Error as error:
            log.error(  # noqa: TRY400  the traceback says nothing that the operator needs
                "usage cannot be written to %s (%s): calls are answered 9999 and not charged. Make room on its disk; "
                "if the file was moved, put it back or restart",
                self._path,
                error,
            )
            raise RefusedError(Code.SERVER_ERROR) from None

    def _write(self) -> None:
        """Write all that waits as one transaction: however many calls end at once, the disk is waited for once."""
        waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            if waiting:
                with self._connection:
                    self._connection.execute("BEGIN IMMEDIATE")
                    self._connection.executemany(_ADD, [row for row, _ in waiting])
        except sqlite3.Error as error:
            for _, written in waiting:
                written.set_exception(error)
        else:
            for _, written in waiting:
                written.set_result(None)


def read(path: Path) -> dict[str, Used]:
    """What each account has used, also while an endpoint runs; nothing without a file. Raises SettingsError."""
    if not path.exists():
        return {}
    with closing(_connect(path.resolve())) as connection:
        return _totals(connection)


def _totals(connection: sqlite3.Connection) -> dict[str, Used]:
    return {api_id: Used(calls, charges) for api_id, calls, charges in connection.execute("SELECT * FROM used")}


def _lock(path: Path) -> TextIOWrapper:
    """Keep other endpoints away; the kernel lets go of it however we end.

    A file of its own, because closing any handle of a database drops the locks that SQLite holds on it.
    """
    with _seen_as_settings(path):
        lock = path.with_name(f"{path.name}.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise SettingsError(f"another endpoint counts in {path}: stop it, or choose another --usage") from None
    return lock


def _begin(path: Path) -> None:
    """An empty usage file in one step, so that a kill leaves none or a whole one."""
    with closing(sqlite3.connect(":memory:")) as blank:
        blank.executescript(_SCHEMA)
        content = blank.serialize()
    new = path.with_name(f"{path.name}.new")
    with _seen_as_settings(path):
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)  # a deleted file's would be played into the new
        new.replace(path)


def _connect(path: Path) -> sqlite3.Connection:
    """A connection where a transaction is on disk when it returns. Raises SettingsError.

    A rollback journal, because with a write-ahead log SQLite goes on writing into a file that was deleted.
    """
    uri = f"{path.as_uri()}?mode=rw"
    with _seen_as_settings(path):
        connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            _check(connection)
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("PRAGMA synchronous = EXTRA")
        except BaseException:
            connection.close()
            raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if application_id != _APPLICATION_ID or verdict != "ok":
        raise sqlite3.DatabaseError("not a whole usage file")


@contextmanager
def _seen_as_settings(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SettingsError(f"cannot write {path} ({error.strerror}): choose another place with --usage") from None
    except sqlite3.OperationalError as error:
        raise SettingsError(f"cannot open {path} ({error}): it must be a file that this user may write") from None
    except sqlite3.DatabaseError as error:
        raise SettingsError(
            f"{path} cannot be read as a usage file ({error}): put a copy back. Moving it away forgets what was used"
        ) from None
