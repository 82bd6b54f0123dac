"""The SQLite file of a results folder: its tables, who may write, and what is refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from gradprobe.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_NAME = "results.sqlite"
WAL_NAME = "results.sqlite-wal"
LOCK_NAME = "writer.lock"
APPLICATION_ID = 0x67726164
"""Marks the file as gradprobe's in SQLite's header."""
STORE_VERSION = 2
"""Version of the tables below, kept in SQLite's ``user_version``."""

TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE study_files (
    saved TEXT NOT NULL, name TEXT NOT NULL, hash TEXT NOT NULL, text TEXT NOT NULL
);
CREATE TABLE grid (
    position INTEGER PRIMARY KEY, hash TEXT NOT NULL, label TEXT NOT NULL, task TEXT NOT NULL,
    specification TEXT NOT NULL, published TEXT NOT NULL
);
CREATE TABLE cells (
    hash TEXT PRIMARY KEY, specification TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('finished', 'failed')),
    provenance TEXT NOT NULL, started TEXT NOT NULL, finished TEXT NOT NULL, seconds REAL NOT NULL,
    table_version INTEGER, table_parquet BLOB, error TEXT,
    CHECK ((status = 'finished') = (table_parquet IS NOT NULL)),
    CHECK ((status = 'finished') = (error IS NULL))
);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {STORE_VERSION};
COMMIT;
"""


@contextmanager
def translated(folder: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the file system into a `StoreError` that names `folder`.

    Examples
    --------
    >>> from pathlib import Path
    >>> with translated(Path("results")):
    ...     raise sqlite3.DatabaseError("file is not a database")
    Traceback (most recent call last):
    ...
    gradprobe.errors.StoreError: results: the results cannot be read or written here: file is not
    a database
    """
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(
            f"{folder}: the results cannot be read or written here: {error}"
        ) from error
    except OSError as error:
        raise StoreError(
            f"{folder}: the results cannot be read or written here: {error.strerror or error}"
        ) from error


def open_for_writing(folder: Path) -> sqlite3.Connection:
    """Open the results in `folder`, created if need be, with the tables in place.

    Parameters
    ----------
    folder
        The results' folder; the caller holds its `writer_lock`.
    """
    connection = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
    try:
        new = _is_empty(connection)
        if not new:
            _check_format(connection, folder)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if new:
            connection.executescript(TABLES)
    except BaseException:
        connection.close()
        raise
    return connection


def close_after_writing(connection: sqlite3.Connection) -> None:
    """Close `connection`, leaving one file that can be read anywhere, read-only folders included.

    Parameters
    ----------
    connection
        From `open_for_writing`.
    """
    connection.execute("PRAGMA busy_timeout = 0")
    with suppress(sqlite3.OperationalError):  # somebody is reading: the file stays in WAL mode
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()


def open_for_reading(folder: Path) -> sqlite3.Connection:
    """Open the results in `folder` without changing them; another process may be writing.

    Parameters
    ----------
    folder
        The results' folder, which may be read-only.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise StoreError(f"{folder}: holds no results ({FILE_NAME} is not there)")
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    connection = sqlite3.connect(address, uri=True, isolation_level=None)
    try:
        _check_format(connection, folder)
    except sqlite3.OperationalError as error:
        connection.close()
        unwritable = error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))
        if not unwritable or path.with_name(WAL_NAME).exists():
            raise
        # A read-only folder where nobody can be writing: SQLite need not share anything there.
        connection = sqlite3.connect(f"{address}&immutable=1", uri=True, isolation_level=None)
        _check_format(connection, folder)
    except BaseException:
        connection.close()
        raise
    return connection


def writer_lock(folder: Path) -> sqlite3.Connection:
    """Return a connection that locks `folder` against a second writer until it is closed.

    It is SQLite's own exclusive lock on an empty file: the system releases it when the process
    ends, however it ends.

    Parameters
    ----------
    folder
        An existing folder.

    Raises
    ------
    StoreError
        Another process is writing there.
    """
    lock = sqlite3.connect(folder / LOCK_NAME, timeout=0, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        lock.close()
        if "locked" not in str(error):
            raise
        raise StoreError(
            f"{folder}: another run is writing here; wait for it to end, "
            "or choose another folder with --results"
        ) from error
    return lock


def _is_empty(connection: sqlite3.Connection) -> bool:
    with closing(connection.execute("SELECT count(*) FROM sqlite_master")) as rows:
        return int(rows.fetchone()[0]) == 0


def _check_format(connection: sqlite3.Connection, folder: Path) -> None:
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if application != APPLICATION_ID:
        raise StoreError(f"{folder}: {FILE_NAME} was not written by gradprobe")
    if version != STORE_VERSION:
        raise StoreError(
            f"{folder}: {FILE_NAME} has format {version}, this gradprobe reads format "
            f"{STORE_VERSION}; use the version of gradprobe that wrote it, or run the study into "
            "another folder with --results"
        )
