"""How far a study is: what is finished, running, failed and left.  Imports nothing heavy."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gradprobe.studies import database
from gradprobe.studies.progress import last_line
from gradprobe.studies.workplace import CHECKPOINT_SUFFIX, FOLDER_NAME, Note, Workplace, read_note

COUNTS = """
SELECT status, count(*) FROM grid LEFT JOIN cells ON cells.hash = grid.hash
WHERE study = ? GROUP BY status
"""
FAILED = """
SELECT grid.hash, label, task, grid.specification, error, finished
FROM grid JOIN cells ON cells.hash = grid.hash
WHERE study = ? AND status = 'failed' ORDER BY position
"""
RUNNING = """
SELECT grid.hash, label, task, grid.specification, since, attempt, host, process
FROM grid JOIN running ON running.hash = grid.hash
LEFT JOIN cells ON cells.hash = grid.hash
WHERE study = ? AND status IS NOT 'finished' ORDER BY position
"""
RUN = "SELECT process, host, engine, workers, started, heartbeat, seconds_left FROM run"

SECONDS_OF_SILENCE = 60.0
"""A run writes a sign of life every second; one that has not for so long is given up."""


@dataclass(frozen=True)
class FailedCell:
    """A cell that has failed.

    Attributes
    ----------
    hash, label, task, seed
        Of the cell.
    error
        Why: a sentence, or a traceback.
    finished
        When: ISO 8601, UTC.
    """

    hash: str
    label: str
    task: str
    seed: int
    error: str
    finished: str

    @property
    def reason(self) -> str:
        """The last line of the error, which says what happened."""
        return last_line(self.error)


@dataclass(frozen=True)
class ActiveCell:
    """A cell that is being computed.

    Attributes
    ----------
    hash, label, task, seed
        Of the cell.
    since, attempt, host, process
        As of `gradprobe.studies.writer.RunningCell`.
    note
        How far its training is; None if it is none, or has not said so yet.
    """

    hash: str
    label: str
    task: str
    seed: int
    since: str
    attempt: int
    host: str
    process: int | None
    note: Note | None


@dataclass(frozen=True)
class ActiveRun:
    """The run that is writing, or that was when it was killed.

    Attributes
    ----------
    process, host
        Where it is.
    engine, workers
        What it computes with.
    started, heartbeat
        When it began and when it last gave a sign of life: ISO 8601, UTC.
    seconds_left
        How long it expected to last, at that sign of life; None if that could not be told.
    """

    process: int
    host: str
    engine: str
    workers: int
    started: str
    heartbeat: str
    seconds_left: float | None

    def silence(self, now: datetime) -> float:
        """Return the seconds since the last sign of life.

        Parameters
        ----------
        now
            The time.
        """
        return (now - datetime.fromisoformat(self.heartbeat)).total_seconds()

    def is_alive(self, now: datetime) -> bool:
        """Return whether the run is still going on, as far as that can be seen from here.

        Parameters
        ----------
        now
            The time.
        """
        if self.host == socket.gethostname() and not _exists(self.process):
            return False
        return self.silence(now) < SECONDS_OF_SILENCE


@dataclass(frozen=True)
class StudyStatus:
    """How far a study is.

    Attributes
    ----------
    study
        Its name.
    total, finished
        Numbers of cells.
    failed
        Those that have failed and are not being tried again.
    running
        Those that are being computed; none if no run is going on.
    run
        The run that is going on, or that was killed; None if the last one ended by itself.
    is_running
        Whether it is going on.
    seconds_left
        How long it will last; None if that cannot be told.
    others
        Names of the folder's other studies.
    """

    study: str
    total: int
    finished: int
    failed: list[FailedCell]
    running: list[ActiveCell]
    run: ActiveRun | None
    is_running: bool
    seconds_left: float | None
    others: tuple[str, ...] = ()

    @property
    def left(self) -> int:
        """How many cells are neither finished, nor failed, nor running."""
        return self.total - self.finished - len(self.failed) - len(self.running)


def study_status(folder: str | Path, study: str | None = None) -> StudyStatus:
    """Return how far a study is; a run may be going on, here or elsewhere.

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
    >>> study_status("missing")
    Traceback (most recent call last):
    ...
    gradprobe.errors.StoreError: missing: holds no results (results.sqlite is not there)
    """
    path, now = Path(folder), datetime.now(UTC)
    with database.translated(path), closing(database.open_for_reading(path)) as connection:
        connection.execute("BEGIN")
        name = database.chosen_study(connection, path, study)
        others = tuple(one for one in database.study_names(connection) if one != name)
        counts = dict(connection.execute(COUNTS, (name,)).fetchall())
        row = connection.execute(RUN).fetchone()
        run = None if row is None else ActiveRun(*row)
        connection.row_factory = sqlite3.Row
        failed = [FailedCell(**_plain(row)) for row in connection.execute(FAILED, (name,))]
        rows = connection.execute(RUNNING, (name,)).fetchall()
    alive = run is not None and run.is_alive(now)
    running = [_active(path, row) for row in rows] if alive else []
    again = {cell.hash for cell in running}
    left = run.seconds_left if run is not None and alive else None
    if left is not None and run is not None:
        left = max(0.0, left - run.silence(now))
    return StudyStatus(
        study=name,
        total=sum(counts.values()),
        finished=counts.get("finished", 0),
        failed=[cell for cell in failed if cell.hash not in again],
        running=running,
        run=run,
        is_running=alive,
        seconds_left=left,
        others=others,
    )


def _plain(row: sqlite3.Row) -> dict[str, Any]:
    values = dict(row)
    seed = json.loads(values.pop("specification"))["seed"]
    return {**values, "seed": seed}


def _active(path: Path, row: sqlite3.Row) -> ActiveCell:
    checkpoint = path / FOLDER_NAME / f"{row['hash']}{CHECKPOINT_SUFFIX}"
    return ActiveCell(**_plain(row), note=read_note(Workplace(checkpoint).note))


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
