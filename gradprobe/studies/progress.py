"""What a run shows to the person who started it: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from gradprobe.studies.monitor import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import TaskID

    from gradprobe.studies.grid import Cell
    from gradprobe.studies.outcome import Outcome
    from gradprobe.studies.workplace import Note

SECONDS_BETWEEN_LINES = 30.0
"""How often, at most, a line is written of a training that goes on."""
STOPPING = "Stopping: the trainings are writing their checkpoints; once more ends them at once"
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
    """
    latest = "" if note.value is None else f", {note.metric} {note.value:.4g}"
    return (
        f"{note.iteration}/{note.iterations} iterations, {note.rate:.3g} per second{latest}, "
        f"{time_left(note.seconds_left)}"
    )


def _title(cell: Cell) -> str:
    place = f"{cell.label} on {cell.task}" if cell.task else cell.label
    return f"{place}, seed {cell.seed}"


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

    Examples
    --------
    >>> import sys
    >>> with PlainReporter(sys.stdout) as monitor:
    ...     monitor.planned(27, 20)
    27 cells; 20 are stored already, 7 to compute
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
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
        self._write(f"begun: {_title(cell)}")

    def progressed(self, cell: Cell, note: Note) -> None:
        """Say how far the training is, if that was not said just now."""
        now = self._clock()
        if now - self._told[cell.hash] >= SECONDS_BETWEEN_LINES:
            self._told[cell.hash] = now
            self._write(f"training: {_title(cell)}: {in_brief(note)}")

    def stopping(self) -> None:
        """Say why the end is not yet there."""
        self._write(STOPPING)

    def ended(self, cell: Cell, outcome: Outcome) -> None:
        """Say which cell has ended."""
        self._done += 1
        verb = "failed" if outcome.failed else "finished"
        self._news.append(
            f"[{self._done}/{self._total}] {verb}: {_title(cell)}, {in_words(outcome.seconds)}"
        )

    def remaining(self, seconds: float | None) -> None:
        """Say how long is left."""
        for news in self._news:
            self._write(news if self._done == self._total else f"{news}; {time_left(seconds)}")
        self._news.clear()

    def _write(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class LiveReporter(Reporter):
    """Draws a bar for the study and a line for every cell that is being computed.

    Parameters
    ----------
    console
        A terminal.

    Attributes
    ----------
    display
        What is drawn.
    """

    def __init__(self, console: Console) -> None:
        self._study = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", markup=False),
        )
        self._cells = Progress(
            TextColumn(" "),
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
        )
        self.display = Group(self._study, self._cells)
        self._live = Live(self.display, console=console)
        self._bar = self._study.add_task(CHECKING, total=None, left="")
        self._running: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        for task in self._running.values():
            self._cells.remove_task(task)
        self._live.stop()

    def planned(self, total: int, finished: int) -> None:
        """Say how much there is to do."""
        self._study.update(
            self._bar, description="Cells", total=total, completed=finished, left=time_left(None)
        )

    def begun(self, cell: Cell) -> None:
        """Say which cell is being computed."""
        self._running[cell.hash] = self._cells.add_task(_title(cell), total=None)

    def progressed(self, cell: Cell, note: Note) -> None:
        """Say how far the training is."""
        description = f"{_title(cell)}: {in_brief(note)}"
        self._cells.update(self._running[cell.hash], description=description)

    def stopping(self) -> None:
        """Say why the end is not yet there."""
        self._study.update(self._bar, description=STOPPING, left="")

    def ended(self, cell: Cell, outcome: Outcome) -> None:
        """Say which cell has ended."""
        self._cells.remove_task(self._running.pop(cell.hash))
        self._study.advance(self._bar)
        if outcome.failed:
            self._live.console.print(f"failed: {_title(cell)}", markup=False, highlight=False)

    def remaining(self, seconds: float | None) -> None:
        """Say how long is left."""
        self._study.update(self._bar, left=time_left(seconds) if self._running else "")


def reporter(stream: TextIO) -> Reporter:
    """Return what suits `stream`: a live display for a terminal, lines for a file or a pipe.

    Parameters
    ----------
    stream
        Usually standard error.

    Examples
    --------
    >>> import io
    >>> type(reporter(io.StringIO())).__name__
    'PlainReporter'
    """
    console = Console(file=stream)
    return LiveReporter(console) if console.is_terminal else PlainReporter(stream)
