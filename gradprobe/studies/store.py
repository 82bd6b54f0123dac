"""Reading the store of a study's results: one folder, one SQLite file, one row per cell.

Any number of processes may read while one writes (`gradprobe.studies.writer`).
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gradprobe import frame
from gradprobe.errors import StoreError, StudyFileError
from gradprobe.studies import database
from gradprobe.studies.reading import parse_study
from gradprobe.studies.tables import decode_tables

if TYPE_CHECKING:
    import pandas as pd

    from gradprobe.studies.schema import Study

Status = Literal["finished", "failed"]

STUDY_FILE_BY_NAME = "SELECT text FROM study_files WHERE name = ? ORDER BY rowid DESC LIMIT 1"
GRID_WITH_CELLS = """
SELECT grid.hash, grid.label, grid.task, grid.published, grid.specification, status, provenance,
       started, finished, seconds, table_version, table_parquet, error
FROM grid LEFT JOIN cells ON cells.hash = grid.hash WHERE study = ? ORDER BY position
"""


@dataclass(frozen=True)
class MissingCell:
    """A cell of the study that is not finished: not begun, interrupted, or failed.

    Attributes
    ----------
    hash
        SHA-256 of the canonical specification.
    label, task, seed
        What the study calls the model and the task; the seed.
    specification
        Everything that determines the table.
    published
        What a paper prints of the model on the task, as `gradprobe.studies.choices.Published`.
    """

    hash: str
    label: str
    task: str
    seed: int
    specification: dict[str, Any]
    published: dict[str, Any]


@dataclass(frozen=True)
class CellRecord:
    """What the store holds of one cell of the study.

    Attributes
    ----------
    hash, label, task, seed, specification, published
        As of `MissingCell`.
    status
        ``"finished"``, or ``"failed"``: then there is no table, but an error.
    started, finished
        Times in ISO 8601, UTC.
    seconds
        Duration of the computation; of a training that was interrupted, of all its parts.
    provenance
        Versions, commit, machine, data, as a nested dictionary of JSON values.
    error
        Why it failed; None for a finished cell.
    """

    hash: str
    label: str
    task: str
    seed: int
    status: Status
    started: str
    finished: str
    seconds: float
    provenance: dict[str, Any]
    specification: dict[str, Any]
    published: dict[str, Any]
    error: str | None


@dataclass(frozen=True)
class StudyResults:
    """All that a report needs of a folder of results.

    Attributes
    ----------
    study
        The study, as the last run read it; ``study.text`` is the file.
    table
        The finished cells' rows, with ``model`` and ``task`` (the labels) and ``seed`` filled, in
        the grid's order: the tidy table of `gradprobe.frame`.
    cells
        A record for every cell of the study that was finished or failed, in the grid's order.
    missing
        A record for every cell that is not finished: not begun, interrupted, or failed.
    """

    study: Study
    table: pd.DataFrame
    cells: list[CellRecord]
    missing: list[MissingCell]


def read_results(folder: str | Path, study: str | None = None) -> StudyResults:
    """Read a folder of results; a run may be writing to it, and it may be read-only.

    Parameters
    ----------
    folder
        The results' folder.
    study
        The name of one of its studies; the one that ran last if not given.

    Raises
    ------
    StoreError
        There is no store of a known format, it is damaged, or it does not hold the study.

    Examples
    --------
    >>> read_results("missing")
    Traceback (most recent call last):
    ...
    gradprobe.errors.StoreError: missing: holds no results (results.sqlite is not there)
    """
    path = Path(folder)
    text, rows = _read(path, study)
    begun = [row for row in rows if row["status"] is not None]
    missing = [row for row in rows if row["status"] != "finished"]
    return StudyResults(
        study=_stored_study(path, text),
        table=_whole_table(path, rows),
        cells=[_record(row) for row in begun],
        missing=[MissingCell(**_identity(row)) for row in missing],
    )


def load(folder: str | Path, study: str | None = None) -> pd.DataFrame:
    """Return the tidy table of a folder of results: all finished cells of its study.

    Parameters
    ----------
    folder
        The results' folder.
    study
        The name of one of its studies; the one that ran last if not given.

    Raises
    ------
    StoreError
        There is no store of a known format, it is damaged, or it does not hold the study.

    Examples
    --------
    >>> load("missing")
    Traceback (most recent call last):
    ...
    gradprobe.errors.StoreError: missing: holds no results (results.sqlite is not there)
    """
    path = Path(folder)
    return _whole_table(path, _read(path, study)[1])


def _read(path: Path, study: str | None) -> tuple[str, list[sqlite3.Row]]:
    """Return the study file and a row for every cell of its grid, as they were at one moment."""
    with database.translated(path), closing(database.open_for_reading(path)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("BEGIN")
        name = database.chosen_study(connection, path, study)
        file = connection.execute(STUDY_FILE_BY_NAME, (name,)).fetchone()
        return file["text"], connection.execute(GRID_WITH_CELLS, (name,)).fetchall()


def _stored_study(path: Path, text: str) -> Study:
    try:
        return parse_study(text, f"the study file stored in {path}")
    except StudyFileError as error:
        raise StoreError(f"{path}: was written by another version of gradprobe: {error}") from error


def _identity(row: sqlite3.Row) -> dict[str, Any]:
    specification = json.loads(row["specification"])
    return {
        "hash": row["hash"],
        "label": row["label"],
        "task": row["task"],
        "seed": specification["seed"],
        "specification": specification,
        "published": json.loads(row["published"]),
    }


def _record(row: sqlite3.Row) -> CellRecord:
    return CellRecord(
        **_identity(row),
        status=row["status"],
        started=row["started"],
        finished=row["finished"],
        seconds=row["seconds"],
        provenance=json.loads(row["provenance"]),
        error=row["error"],
    )


def _whole_table(path: Path, rows: list[sqlite3.Row]) -> pd.DataFrame:
    """Return the finished cells' rows, with the columns that a cell does not know of itself."""
    finished = [row for row in rows if row["status"] == "finished"]
    names = [f"{path}: the table of cell {row['hash'][:12]}" for row in finished]
    for name, row in zip(names, finished, strict=True):
        _check_version(name, row["table_version"])
    seeds = [json.loads(row["specification"])["seed"] for row in finished]
    return decode_tables(
        [row["table_parquet"] for row in finished],
        names,
        model=[row["label"] for row in finished],
        task=[row["task"] for row in finished],
        seed=seeds,
    )


def _check_version(name: str, version: int) -> None:
    if version != frame.SCHEMA_VERSION:
        raise StoreError(
            f"{name} has version {version}, this gradprobe reads {frame.SCHEMA_VERSION}; "
            "run the study again into a new folder"
        )
