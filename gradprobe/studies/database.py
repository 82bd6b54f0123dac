"""The SQLite file of a results folder: its tables, who may write, and what is refused."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from gradprobe.errors import BusyStoreError, NoResultsError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_NAME = "results.sqlite"
WAL_NAME = "results.sqlite-wal"
LOCK_NAME = "writer.lock"
APPLICATION_ID = 0x67726164
"""Marks the file as gradprobe's in SQLite's header."""
STORE_VERSION = 3
"""Version of the tables below, kept in SQLite's ``user_version``."""
READABLE_VERSIONS = (2, 3)
FOLDERS_SHOWN = 5
FULL = (errno.ENOSPC, errno.EDQUOT)
FULL_OR_BUSY = sqlite3.OperationalError
"""What closing the file gets over: a full disk, or somebody who is reading."""

CELLS = """
CREATE TABLE cells (
    hash TEXT PRIMARY KEY, specification TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('finished', 'failed')),
    provenance TEXT NOT NULL, started TEXT NOT NULL, finished TEXT NOT NULL, seconds REAL NOT NULL,
    table_version INTEGER, table_parquet BLOB, error TEXT,
    CHECK ((status = 'finished') = (table_parquet IS NOT NULL)),
    CHECK ((status = 'finished') = (error IS NULL))
);
"""
"""A table is as `gradprobe.studies.tables.encode_table` writes it: Parquet only if it is large."""
GRID = """
CREATE TABLE grid (
    study TEXT NOT NULL, position INTEGER NOT NULL, hash TEXT NOT NULL, label TEXT NOT NULL,
    task TEXT NOT NULL, specification TEXT NOT NULL, published TEXT NOT NULL,
    PRIMARY KEY (study, position)
);
"""
RUNNING = """
CREATE TABLE run (
    process INTEGER NOT NULL, host TEXT NOT NULL, engine TEXT NOT NULL, workers INTEGER NOT NULL,
    started TEXT NOT NULL, heartbeat TEXT NOT NULL, seconds_left REAL
);
CREATE TABLE running (
    hash TEXT PRIMARY KEY, since TEXT NOT NULL, attempt INTEGER NOT NULL,
    host TEXT NOT NULL, process INTEGER
);
"""
"""What is being computed at present: nothing of it says that anything is finished."""

TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE study_files (
    saved TEXT NOT NULL, name TEXT NOT NULL, hash TEXT NOT NULL, text TEXT NOT NULL
);
{GRID}{CELLS}{RUNNING}
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {STORE_VERSION};
COMMIT;
"""

UPGRADE_FROM_2 = "\n".join(
    [
        "BEGIN IMMEDIATE;",
        "ALTER TABLE grid RENAME TO grid_2;",
        GRID,
        "INSERT INTO grid SELECT (SELECT name FROM study_files ORDER BY rowid DESC LIMIT 1),",
        "position, hash, label, task, specification, published FROM grid_2;",
        "DROP TABLE grid_2;",
        RUNNING,
        f"PRAGMA user_version = {STORE_VERSION};",
        "COMMIT;",
    ]
)
"""Version 2 held one study, and did not say what was running."""

LIKE_VERSION_3 = "\n".join(
    [
        "CREATE TEMP VIEW grid AS SELECT",
        "(SELECT name FROM main.study_files ORDER BY rowid DESC LIMIT 1) AS study, *",
        "FROM main.grid;",
        RUNNING.replace("CREATE TABLE", "CREATE TEMP TABLE"),
    ]
)
"""Shows a file of version 2 to a reader as version 3 would be, without changing it."""


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
            f"{folder}: the results cannot be read or written here: {error}{_advice(error)}"
        ) from error
    except OSError as error:
        raise StoreError(
            f"{folder}: the results cannot be read or written here: "
            f"{error.strerror or error}{_advice(error)}"
        ) from error


def _advice(error: sqlite3.Error | OSError) -> str:
    """Return what to do about `error`, as the rest of a sentence; nothing if that is not known."""
    number = error.errno if isinstance(error, OSError) else None
    name = getattr(error, "sqlite_errorname", "")
    if number in FULL or name == "SQLITE_FULL":
        return "; make room on the disk, all finished cells are stored and can be gone on with"
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return "; the file is damaged: `gradprobe recover` saves what can be read of it"
    return ""


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
        version = STORE_VERSION if new else _checked_version(connection, folder)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if new:
            connection.executescript(TABLES)
        elif version == 2:
            connection.executescript(UPGRADE_FROM_2)
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

    Raises
    ------
    NoResultsError
        The file is empty.
    StoreError
        There is no file, or it is of another format.
    """
    path = folder / FILE_NAME
    check_there(folder)
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    connection = sqlite3.connect(address, uri=True, isolation_level=None)
    try:
        _present_as_current(connection, folder)
    except sqlite3.OperationalError as error:
        connection.close()
        unwritable = error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))
        if not unwritable or path.with_name(WAL_NAME).exists():
            raise
        # A read-only folder where nobody can be writing: SQLite need not share anything there.
        connection = sqlite3.connect(f"{address}&immutable=1", uri=True, isolation_level=None)
        _present_as_current(connection, folder)
    except BaseException:
        connection.close()
        raise
    return connection


def check_there(folder: Path) -> None:
    """Raise `StoreError` if there is no file in `folder`, with what is there instead.

    Parameters
    ----------
    folder
        What was given as a results' folder.

    Examples
    --------
    >>> from pathlib import Path
    >>> check_there(Path("missing"))
    Traceback (most recent call last):
    ...
    gradprobe.errors.StoreError: missing: holds no results (results.sqlite is not there)
    """
    if (folder / FILE_NAME).is_file():
        return
    if folder.is_file():
        raise StoreError(f"{folder}: holds no results (it is a file, not a folder)")
    below = sorted(path.parent for path in folder.glob(f"*/{FILE_NAME}"))
    verb = "does" if len(below) == 1 else "do"
    hint = f"; {', '.join(map(str, below[:FOLDERS_SHOWN]))} {verb}" if below else ""
    raise StoreError(f"{folder}: holds no results ({FILE_NAME} is not there){hint}")


def chosen_study(connection: sqlite3.Connection, folder: Path, wanted: str | None) -> str:
    """Return the name of the study to read.

    Parameters
    ----------
    connection
        From `open_for_reading`.
    folder
        The results' folder, for messages.
    wanted
        The one that was asked for; None for the one that ran last.
    """
    names = study_names(connection)
    if not names:
        raise StoreError(f"{folder}: the run that made this folder wrote no study into it")
    if wanted is not None and wanted not in names:
        raise StoreError(f"{folder}: holds no study {wanted!r}, but: {', '.join(names)}")
    return str(names[-1] if wanted is None else wanted)


def study_names(connection: sqlite3.Connection) -> list[str]:
    """Return the names of a folder's studies; the one that ran last comes last.

    Parameters
    ----------
    connection
        From `open_for_reading`.
    """
    rows = connection.execute("SELECT name FROM study_files GROUP BY name ORDER BY max(rowid)")
    return [str(row[0]) for row in rows]


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
    BusyStoreError
        Another process is writing there.
    """
    lock = sqlite3.connect(folder / LOCK_NAME, timeout=0, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        lock.close()
        if "locked" not in str(error):
            raise
        raise BusyStoreError(
            f"{folder}: another run is writing here{_writing_process(folder)}",
            "wait for it to end (--wait does so), or choose another folder with --results",
        ) from error
    return lock


def _writing_process(folder: Path) -> str:
    """Return which process is writing, as part of a sentence; nothing if it has not yet said so."""
    with suppress(sqlite3.Error, StoreError), closing(open_for_reading(folder)) as connection:
        row = connection.execute("SELECT process, host, started FROM run").fetchone()
        if row is not None:
            return f" (process {row[0]} on {row[1]}, since {row[2]})"
    return ""


def _is_empty(connection: sqlite3.Connection) -> bool:
    with closing(connection.execute("SELECT count(*) FROM sqlite_master")) as rows:
        return int(rows.fetchone()[0]) == 0


def _present_as_current(connection: sqlite3.Connection, folder: Path) -> None:
    if _checked_version(connection, folder) == 2:
        connection.executescript(LIKE_VERSION_3)


def _checked_version(connection: sqlite3.Connection, folder: Path) -> int:
    """Return the version of the file's tables, or refuse one that cannot be read."""
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if application == 0 and _is_empty(connection):
        raise NoResultsError(
            f"{folder}: holds no results ({FILE_NAME} is empty: a run was ended, or found no room "
            "on the disk, before it could write any)"
        )
    if application != APPLICATION_ID:
        raise StoreError(f"{folder}: {FILE_NAME} was not written by gradprobe")
    if version not in READABLE_VERSIONS:
        raise StoreError(
            f"{folder}: {FILE_NAME} has format {version}, this gradprobe reads the formats "
            f"{READABLE_VERSIONS[0]} to {READABLE_VERSIONS[-1]}; use the version of gradprobe that "
            "wrote it, or run the study into another folder with --results"
        )
    return version
