"""What a run shows to the person who started it: lines in a file or a pipe."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self, TextIO

from gradprobe.studies.monitor import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gradprobe.studies.grid import Cell
    from gradprobe.studies.outcome import Outcome
    from gradprobe.studies.workplace import Note

SECONDS_BETWEEN_LINES = 30.0
"""How often, at most, a line is written of a training that goes on."""
SECONDS_BETWEEN_LINES_IF_VERBOSE = 5.0
STOPPING = "Stopping: trainings write checkpoints; Ctrl-C again ends them at once"
CHECKING = "Starting the workers and building each model once"


def in_words(seconds: float) -> str:
    """Return a duration as a person says it.

    Examples
    --------
    >>> in_words(9.7), in_words(80), in_words(7500)
    ('10 s', '1 min 20 s', '2 h 5 min')
    """
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def time_left(seconds: float | None) -> str:
    """Return how long is left, in words.

    Examples
    --------
    >>> time_left(None), time_left(80.0)
    ('time left: not known yet', 'about 1 min 20 s left')
    """
    return "time left: not known yet" if seconds is None else f"about {in_words(seconds)} left"


def in_brief(note: Note) -> str:
    """Return how far a training is.

    Examples
    --------
    >>> from gradprobe.studies.workplace import Note
    >>> in_brief(Note(300, 1200, 2.5, "validation_accuracy", 0.5))
    '300/1200 iterations, 2.5 per second, validation_accuracy 0.5, about 6 min 0 s left'
    >>> in_brief(Note(1200, 1200, 2.5, activity="probing"))
    '1200/1200 iterations, probing'
    """
    done = f"{note.iteration}/{note.iterations} iterations"
    latest = "" if note.value is None else f", {note.metric} {note.value:.4g}"
    left = "" if note.seconds_left is None else f", {time_left(note.seconds_left)}"
    return f"{done}, {pace(note)}{latest}{left}"


def pace(note: Note, unit: str = " per second") -> str:
    """Return how fast a training goes on, or what it does instead.

    Examples
    --------
    >>> from gradprobe.studies.workplace import Note
    >>> pace(Note(300, 1200, 2.5)), pace(Note(300, 1200, 2.5, activity="validating"))
    ('2.5 per second', 'validating')
    """
    if note.activity != "training" or note.rate is None:
        return note.activity
    return f"{note.rate:.3g}{unit}"


def title(cell: Cell) -> str:
    """Return what a person calls `cell`.

    Examples
    --------
    >>> from gradprobe.studies.grid import Cell
    >>> title(Cell("GRU", {"seed": 3}, task="MNIST"))
    'GRU on MNIST, seed 3'
    """
    place = f"{cell.label} on {cell.task}" if cell.task else cell.label
    return f"{place}, seed {cell.seed}"


def in_keeping(cell: Cell, path: Path) -> str:
    """Return what becomes of the checkpoint by which a cell had failed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from gradprobe.studies.grid import Cell
    >>> print(in_keeping(Cell("GRU", {"seed": 3}), Path("0a1b.pt.refused")))
    if its checkpoint is refused again, it is kept as 0a1b.pt.refused until the training, which
    then begins anew, has ended: GRU, seed 3
    """
    return (
        f"if its checkpoint is refused again, it is kept as {path} until the training, which then "
        f"begins anew, has ended: {title(cell)}"
    )


def in_a_line(cell: Cell, outcome: Outcome) -> str:
    """Return what came of `cell`, with the reason if it failed.

    Examples
    --------
    >>> from gradprobe.studies.grid import Cell
    >>> from gradprobe.studies.outcome import Outcome
    >>> in_a_line(Cell("GRU", {"seed": 3}), Outcome("", "", 65.0, error="overflow"))
    'failed: GRU, seed 3, 1 min 5 s: overflow'
    """
    took = f"{title(cell)}, {in_words(outcome.seconds)}"
    return (
        f"finished: {took}"
        if outcome.error is None
        else f"failed: {took}: {last_line(outcome.error)}"
    )


def last_line(error: str) -> str:
    r"""Return the sentence that a traceback ends with.

    Examples
    --------
    >>> last_line("Traceback (most recent call last):\n  ...\nRuntimeError: overflow\n")
    'RuntimeError: overflow'
    """
    return error.strip().rpartition("\n")[2]


class Reporter(Monitor):
    """A monitor that shows something until its block ends.

    Examples
    --------
    >>> with Reporter() as monitor:
    ...     monitor.planned(27, 0)
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


class PlainReporter(Reporter):
    """Writes one line for every cell that begins and ends, and now and then one for each training.

    Parameters
    ----------
    stream
        Where to.
    clock
        Returns seconds.
    verbose
        Whether each cell is told with the hash that names it in the store, and trainings more
        often.

    Examples
    --------
    >>> import sys
    >>> with PlainReporter(sys.stdout) as monitor:
    ...     monitor.planned(27, 20)
    27 cells; 20 are stored already, 7 to compute
    """

    def __init__(
        self,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
        *,
        verbose: bool = False,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._verbose = verbose
        self._interval = SECONDS_BETWEEN_LINES_IF_VERBOSE if verbose else SECONDS_BETWEEN_LINES
        self._told: dict[str, float] = {}
        self._total = self._done = 0
        self._news: list[str] = []

    def __exit__(self, *exception: object) -> None:
        for news in self._news:
            self._write(news)

    def checking(self) -> None:
        """Say that the models are being built."""
        self._write(CHECKING)

    def planned(self, total: int, finished: int) -> None:
        """Say how much there is to do."""
        self._total, self._done = total, finished
        self._write(f"{total} cells; {finished} are stored already, {total - finished} to compute")

    def begun(self, cell: Cell) -> None:
        """Say which cell is being computed."""
        self._told[cell.hash] = self._clock()
        self._write(f"begun: {self._name(cell)}")

    def progressed(self, cell: Cell, note: Note) -> None:
        """Say how far the training is, if that was not said just now."""
        now = self._clock()
        if now - self._told[cell.hash] >= self._interval:
            self._told[cell.hash] = now
            self._write(f"training: {title(cell)}: {in_brief(note)}")

    def keeping(self, cell: Cell, path: Path) -> None:
        """Say what becomes of the checkpoint by which a cell had failed."""
        self._write(in_keeping(cell, path))

    def retried(self, cell: Cell, cause: str) -> None:
        """Say that a worker was lost."""
        self._write(f"tried again: {title(cell)}: {cause}")

    def queueing(self, reason: str) -> None:
        """Say what the run waits for."""
        self._write(f"waiting: {reason}")

    def stopping(self) -> None:
        """Say why the end is not yet there."""
        self._write(STOPPING)

    def ended(self, cell: Cell, outcome: Outcome) -> None:
        """Say which cell has ended."""
        self._done += 1
        self._news.append(f"[{self._done}/{self._total}] {in_a_line(cell, outcome)}")

    def remaining(self, seconds: float | None) -> None:
        """Say how long is left."""
        for news in self._news:
            self._write(news if self._done == self._total else f"{news}; {time_left(seconds)}")
        self._news.clear()

    def _name(self, cell: Cell) -> str:
        return f"{title(cell)} ({cell.hash[:12]})" if self._verbose else title(cell)

    def _write(self, line: str) -> None:
        print(line, file=self._stream, flush=True)
