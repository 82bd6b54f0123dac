"""Writing the store of a study's results: one process at a time, a cell whole or not at all.

A cell is called finished once it is committed: a process killed at any moment loses none.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from gradprobe import frame
from gradprobe.errors import NoResultsError, StoreError
from gradprobe.studies import database
from gradprobe.studies.grid import canonical, cells, study_hash

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from gradprobe.studies.grid import Cell
    from gradprobe.studies.outcome import Outcome
    from gradprobe.studies.schema import Study


INSERTION = """
INSERT INTO cells VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (hash) DO UPDATE SET
    status = excluded.status, provenance = excluded.provenance, started = excluded.started,
    finished = excluded.finished, seconds = excluded.seconds,
    table_version = excluded.table_version, table_parquet = excluded.table_parquet,
    error = excluded.error
WHERE cells.status = 'failed'
"""


@dataclass(frozen=True)
class RunningCell:
    """A cell that is being computed, as `Writer.beat` notes it.

    Attributes
    ----------
    hash
        The cell's.
    since
        When it was given to a worker: ISO 8601, UTC.
    attempt
        1, and more where a worker died and the cell is tried again.
    host, process
        Where; the process is None where it is not known.

    Examples
    --------
    >>> RunningCell("0a1b", "2026-01-01T00:00:00+00:00", 1, "node3", 4711).attempt
    1
    """

    hash: str
    since: str
    attempt: int
    host: str
    process: int | None


@dataclass(frozen=True)
class Stored:
    """Which cells a folder holds.

    Attributes
    ----------
    finished
        Hashes of the cells that need not be computed.
    failed
        Why others have failed, by hash.

    Examples
    --------
    >>> Stored(set(), {}).finished
    set()
    """

    finished: set[str]
    failed: dict[str, str]


class Writer:
    """The results of one study, open for writing; a context manager.

    Parameters
    ----------
    folder
        Created with its parents if it is not there.
    study
        The study whose cells will be written.  The file of a study may change between runs, and a
        folder may hold several studies, known by their names: finished cells that they share stay
        finished.

    Raises
    ------
    BusyStoreError
        Another process is writing.
    StoreError
        The folder cannot be written, or the file there is not a store of a format that is known.

    Examples
    --------
    >>> import tempfile
    >>> from gradprobe.listing import shipped_study_files
    >>> from gradprobe.studies import load_study
    >>> study = load_study(shipped_study_files()[0])
    >>> with tempfile.TemporaryDirectory() as folder, Writer(folder, study) as writer:
    ...     writer.stored().finished
    set()
    """

    def __init__(self, folder: str | Path, study: Study) -> None:
        self.folder = Path(folder)
        with ExitStack() as stack, database.translated(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(closing(database.writer_lock(self.folder)))
            self._connection: sqlite3.Connection = database.open_for_writing(self.folder)
            stack.callback(database.close_after_writing, self._connection)
            self._save_study(study)
            self._resources = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and let another process write."""
        with database.translated(self.folder), self._resources, suppress(database.FULL_OR_BUSY):
            self._forget_running()

    def stored(self) -> Stored:
        """Return what the file holds, of all studies and their earlier versions."""
        with database.translated(self.folder):
            return _stored(self._connection)

    def record(self, cell: Cell, provenance: dict[str, Any], outcome: Outcome) -> None:
        """Write what came of `cell`, in one transaction that outlives the process.

        Parameters
        ----------
        cell
            The cell.
        provenance
            JSON values: where, when and with what it was computed.
        outcome
            Its table or its error.

        Raises
        ------
        StoreError
            The cell is finished already, or the file cannot be written.
        """
        self.record_all([(cell, provenance, outcome)])

    def record_all(self, entries: Iterable[tuple[Cell, dict[str, Any], Outcome]]) -> None:
        """Write what came of several cells, in one transaction: as fast as one of them.

        Parameters
        ----------
        entries
            As `record` takes them.

        Raises
        ------
        StoreError
            A cell is finished already, or the file cannot be written; then nothing is.
        """
        with database.translated(self.folder), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            for entry in entries:
                self._insert(*entry)

    def _insert(self, cell: Cell, provenance: dict[str, Any], outcome: Outcome) -> None:
        values = (
            cell.hash,
            canonical(cell.specification),
            "failed" if outcome.failed else "finished",
            canonical(provenance),
            outcome.started,
            outcome.finished,
            outcome.seconds,
            None if outcome.failed else frame.SCHEMA_VERSION,
            outcome.encoded_table,
            outcome.error,
        )
        self._connection.execute(INSERTION, values)
        changed = int(self._connection.execute("SELECT changes()").fetchone()[0])
        if changed != 1:
            raise StoreError(f"{self.folder}: cell {cell.hash[:12]} is finished already")

    def announce(self, engine: str, workers: int) -> None:
        """Say who is writing, for `gradprobe status` and for whoever comes second.

        Parameters
        ----------
        engine
            Its name.
        workers
            How many cells are computed at the same time.
        """
        now = _now()
        row = (os.getpid(), socket.gethostname(), engine, workers, now, now, None)
        with database.translated(self.folder), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._forget_running()
            self._connection.execute("INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def beat(self, running: Iterable[RunningCell], seconds_left: float | None) -> None:
        """Say that the run is alive, and what it is computing.

        Parameters
        ----------
        running
            All cells that are being computed.
        seconds_left
            How long the run will last; None if that cannot be told.
        """
        rows = [(one.hash, one.since, one.attempt, one.host, one.process) for one in running]
        with database.translated(self.folder), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(
                "UPDATE run SET heartbeat = ?, seconds_left = ?", (_now(), seconds_left)
            )
            self._connection.execute("DELETE FROM running")
            self._connection.executemany("INSERT INTO running VALUES (?, ?, ?, ?, ?)", rows)

    def _forget_running(self) -> None:
        self._connection.execute("DELETE FROM running")
        self._connection.execute("DELETE FROM run")

    def _save_study(self, study: Study) -> None:
        grid = [
            (
                study.name,
                position,
                cell.hash,
                cell.label,
                cell.task,
                canonical(cell.specification),
                canonical(dict(cell.published)),
            )
            for position, cell in enumerate(cells(study))
        ]
        latest = self._connection.execute(
            "SELECT name, text FROM study_files ORDER BY rowid DESC LIMIT 1"
        ).fetchone()
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            if latest != (study.name, study.text):
                self._connection.execute(
                    "INSERT INTO study_files VALUES (?, ?, ?, ?)",
                    (_now(), study.name, study_hash(study), study.text),
                )
            self._connection.execute("DELETE FROM grid WHERE study = ?", (study.name,))
            self._connection.executemany("INSERT INTO grid VALUES (?, ?, ?, ?, ?, ?, ?)", grid)


def stored_before(folder: str | Path) -> Stored:
    """Return what a run into `folder` will find there; writes nothing.

    Parameters
    ----------
    folder
        Where the results are, or will be.

    Raises
    ------
    StoreError
        The folder is a file, or holds something that is not a store.
    """
    path = Path(folder)
    if not (path / database.FILE_NAME).exists():
        _check_creatable(path)
        return Stored(set(), {})
    try:
        with database.translated(path), closing(database.open_for_reading(path)) as connection:
            return _stored(connection)
    except NoResultsError:  # a run was ended before it had made the tables
        return Stored(set(), {})


def _stored(connection: sqlite3.Connection) -> Stored:
    finished = connection.execute("SELECT hash FROM cells WHERE status = 'finished'")
    failed = connection.execute("SELECT hash, error FROM cells WHERE status = 'failed'")
    return Stored({row[0] for row in finished}, dict(failed.fetchall()))


def refuse_if_busy(folder: Path) -> None:
    """Refuse a folder that another process is writing to, before anything is computed.

    Parameters
    ----------
    folder
        Where the results are, or will be.

    Raises
    ------
    BusyStoreError
        Another process is writing there.
    """
    if (folder / database.LOCK_NAME).exists() and os.access(folder, os.W_OK):
        with database.translated(folder), closing(database.writer_lock(folder)):
            pass


def _check_creatable(path: Path) -> None:
    with database.translated(path):
        existing = next(place for place in [path, *path.absolute().parents] if place.exists())
    if not existing.is_dir():
        raise StoreError(f"{path}: expected a folder for results, but {existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise StoreError(f"{path}: no permission to write in {existing}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
