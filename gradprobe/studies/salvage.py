"""Saving what can be read of a damaged store: every cell that is whole."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradprobe.errors import StoreError
from gradprobe.studies import database
from gradprobe.studies.tables import decode_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAMAGED_NAME = "results.sqlite.damaged"
NEW_NAME = "results.sqlite.new"
SUFFIXES = ("", "-wal", "-shm")
"""What SQLite keeps beside a file that was being written."""
COLUMNS = {
    "study_files": ("saved", "name", "hash", "text"),
    "grid": ("study", "position", "hash", "label", "task", "specification", "published"),
    "cells": (
        *("hash", "specification", "status", "provenance", "started", "finished", "seconds"),
        *("table_version", "table_parquet", "error"),
    ),
}


@dataclass(frozen=True)
class Recovery:
    """What was saved of a damaged store.

    Attributes
    ----------
    finished, failed
        How many cells.
    discarded
        How many rows could be read and are not what was once written.
    damaged
        Where the damaged file is now.

    Examples
    --------
    >>> from pathlib import Path
    >>> Recovery(58, 0, 1, Path("results.sqlite.damaged")).finished
    58
    """

    finished: int
    failed: int
    discarded: int
    damaged: Path


def recover(folder: Path) -> Recovery:
    """Replace the store in `folder` by one with all cells of it that are whole; keep the old file.

    A cell is whole if its specification gives its hash, and its table can be decoded.  What is
    missing then, the next run computes.

    Parameters
    ----------
    folder
        A folder of results.

    Raises
    ------
    StoreError
        Nothing can be read, or nothing is damaged, or a damaged file is kept there already.
    """
    damaged = folder / DAMAGED_NAME
    if damaged.exists():
        raise StoreError(f"{damaged} is there already, of an earlier recovery; move it away first")
    database.check_there(folder)
    with database.translated(folder), closing(database.writer_lock(folder)):
        with closing(_opened(folder)) as connection:
            sound = _is_sound(connection)
            rows = {table: list(_rows(connection, table)) for table in COLUMNS}
        cells = [row for row in rows["cells"] if _is_whole(row)]
        discarded = len(rows["cells"]) - len(cells)
        if sound and not discarded:
            raise StoreError(
                f"{folder}: nothing is damaged, all {len(cells)} cells can be read; "
                "nothing was changed"
            )
        rows["cells"] = cells
        _write(folder / NEW_NAME, rows)
        for suffix in SUFFIXES:
            with suppress(FileNotFoundError):
                (folder / f"{database.FILE_NAME}{suffix}").rename(f"{damaged}{suffix}")
        (folder / NEW_NAME).rename(folder / database.FILE_NAME)
    finished = sum(row[2] == "finished" for row in cells)
    return Recovery(finished, len(cells) - finished, discarded, damaged)


def _opened(folder: Path) -> sqlite3.Connection:
    try:
        return database.open_for_reading(folder)
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"{folder}: nothing of {database.FILE_NAME} can be read ({error}); "
            "put a copy of yours in its place, or move it away and run the study again"
        ) from error


def _is_sound(connection: sqlite3.Connection) -> bool:
    """Return whether SQLite finds every page and every row as it should be."""
    try:
        return bool(connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)])
    except sqlite3.DatabaseError:
        return False


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows that can be read: from the front, from the back, and one by one between."""
    if table == "grid" and not _is_rowid_table(connection):
        with suppress(sqlite3.DatabaseError):  # a view on version 2: what it cannot show is lost
            yield from connection.execute(f"SELECT {', '.join(COLUMNS[table])} FROM grid")  # noqa: S608 - names of ours
        return
    seen: dict[int, tuple[Any, ...]] = {}
    for order in ("ASC", "DESC"):
        with suppress(sqlite3.DatabaseError):  # the damaged page: the other direction ends there
            for number, *row in connection.execute(_query(table, f"ORDER BY rowid {order}")):
                if number in seen:
                    break
                seen[number] = tuple(row)
    for number in range(min(seen, default=0), max(seen, default=0) + 1):
        if number not in seen:
            with suppress(sqlite3.DatabaseError):
                for _, *row in connection.execute(_query(table, "WHERE rowid = ?"), (number,)):
                    seen[number] = tuple(row)
    yield from (seen[number] for number in sorted(seen))


def _query(table: str, rest: str) -> str:
    return f"SELECT rowid, {', '.join(COLUMNS[table])} FROM {table} {rest}"  # noqa: S608 - ours


def _is_rowid_table(connection: sqlite3.Connection) -> bool:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    return bool(version == database.STORE_VERSION)


def _is_whole(row: tuple[Any, ...]) -> bool:
    values = dict(zip(COLUMNS["cells"], row, strict=True))
    if hashlib.sha256(str(values["specification"]).encode()).hexdigest() != values["hash"]:
        return False
    if values["status"] != "finished":
        return True
    try:
        decode_table(values["table_parquet"], "table")
    except StoreError:
        return False
    return True


def _write(path: Path, rows: dict[str, list[tuple[Any, ...]]]) -> None:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(database.TABLES)
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for table, columns in COLUMNS.items():
                marks = ", ".join("?" * len(columns))
                connection.executemany(
                    f"INSERT OR IGNORE INTO {table} VALUES ({marks})",  # noqa: S608 - names of ours
                    rows[table],
                )
