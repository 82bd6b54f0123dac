"""Writing the store of a study's results: one process at a time, one transaction per cell.

A finished cell is committed before anything else happens: a process killed at any moment loses
none.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from gradprobe import frame
from gradprobe.errors import StoreError
from gradprobe.studies import database
from gradprobe.studies.grid import canonical, cells, study_hash

if TYPE_CHECKING:
    import sqlite3

    from gradprobe.studies.grid import Cell
    from gradprobe.studies.outcome import Outcome
    from gradprobe.studies.schema import Study


class Writer:
    """The results of one study, open for writing; a context manager.

    Parameters
    ----------
    folder
        Created with its parents if it is not there.
    study
        The study whose cells will be written.  A folder holds one study, known by its name; the
        file may change between runs, finished cells that the new one shares stay finished.

    Raises
    ------
    StoreError
        The folder cannot be written, another process is writing, the file there is not a store of
        this format, or it holds another study.

    Examples
    --------
    >>> import tempfile
    >>> from gradprobe.listing import shipped_study_files
    >>> from gradprobe.studies import load_study
    >>> study = load_study(shipped_study_files()[0])
    >>> with tempfile.TemporaryDirectory() as folder, Writer(folder, study) as writer:
    ...     writer.finished()
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
        with database.translated(self.folder):
            self._resources.close()

    def finished(self) -> set[str]:
        """Return the hashes of all finished cells, of this study and of its earlier versions."""
        with database.translated(self.folder):
            return finished_hashes(self._connection)

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
        values = (
            cell.hash,
            canonical(cell.specification),
            "failed" if outcome.failed else "finished",
            canonical(provenance),
            outcome.started,
            outcome.finished,
            outcome.seconds,
            None if outcome.failed else frame.SCHEMA_VERSION,
            outcome.parquet,
            outcome.error,
        )
        with database.translated(self.folder):
            self._connection.execute(
                "INSERT INTO cells VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (hash) DO UPDATE SET status = excluded.status,"
                " provenance = excluded.provenance, started = excluded.started,"
                " finished = excluded.finished, seconds = excluded.seconds,"
                " table_version = excluded.table_version, table_parquet = excluded.table_parquet,"
                " error = excluded.error WHERE cells.status = 'failed'",
                values,
            )
            changed = int(self._connection.execute("SELECT changes()").fetchone()[0])
        if changed != 1:
            raise StoreError(f"{self.folder}: cell {cell.hash[:12]} is finished already")

    def _save_study(self, study: Study) -> None:
        previous = self._connection.execute(
            "SELECT name, text FROM study_files ORDER BY rowid DESC LIMIT 1"
        ).fetchone()
        check_same_study(self.folder, study, previous and previous[0])
        grid = [
            (
                position,
                cell.hash,
                cell.label,
                cell.task,
                canonical(cell.specification),
                canonical(dict(cell.published)),
            )
            for position, cell in enumerate(cells(study))
        ]
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            if previous is None or previous[1] != study.text:
                self._connection.execute(
                    "INSERT INTO study_files VALUES (?, ?, ?, ?)",
                    (now, study.name, study_hash(study), study.text),
                )
            self._connection.execute("DELETE FROM grid")
            self._connection.executemany("INSERT INTO grid VALUES (?, ?, ?, ?, ?, ?)", grid)


def check_same_study(folder: Path, study: Study, previous: str | None) -> None:
    """Refuse to mix two studies in one folder.

    Parameters
    ----------
    folder
        The results' folder.
    study
        The study to be written there.
    previous
        The name of the study that it holds; None if it holds none.
    """
    if previous is not None and previous != study.name:
        raise StoreError(
            f"{folder}: holds results of study {previous!r}, not of {study.name!r}; "
            "choose another folder with --results"
        )


def finished_hashes(connection: sqlite3.Connection) -> set[str]:
    """Return the hashes of all finished cells.

    Parameters
    ----------
    connection
        To a store, open for reading or writing.
    """
    rows = connection.execute("SELECT hash FROM cells WHERE status = 'finished'")
    return {row[0] for row in rows}


def finished_before(folder: str | Path, study: Study) -> set[str]:
    """Return the hashes that a run of `study` into `folder` need not compute; writes nothing.

    Parameters
    ----------
    folder
        Where the results are, or will be.
    study
        The study to be run.

    Raises
    ------
    StoreError
        The folder is a file, holds another study, or something that is not a store.
    """
    path = Path(folder)
    if not (path / database.FILE_NAME).exists():
        _check_creatable(path)
        return set()
    with database.translated(path), closing(database.open_for_reading(path)) as connection:
        names = connection.execute("SELECT name FROM study_files ORDER BY rowid DESC").fetchone()
        check_same_study(path, study, names and names[0])
        return finished_hashes(connection)


def _check_creatable(path: Path) -> None:
    with database.translated(path):
        existing = next(place for place in [path, *path.absolute().parents] if place.exists())
    if not existing.is_dir():
        raise StoreError(f"{path}: expected a folder for results, but {existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise StoreError(f"{path}: no permission to write in {existing}")
