"""What a run shows on a terminal: a bar for the study, and a line for every running cell."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column

from gradprobe.studies.progress import (
    CHECKING,
    STOPPING,
    Reporter,
    in_a_line,
    in_keeping,
    pace,
    time_left,
    title,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.progress import TaskID

    from gradprobe.studies.grid import Cell
    from gradprobe.studies.outcome import Outcome
    from gradprobe.studies.workplace import Note

ECHO = 3
"""Columns left free at the end of a line, where a terminal shows ^C without beginning a new one."""
NARROW = 100
"""Columns of a terminal below which a training's bar and its latest value are left out."""


def terminal_reporter(stream: TextIO, *, verbose: bool) -> LiveReporter:
    """Return a display for the terminal behind `stream`.

    Parameters
    ----------
    stream
        A terminal.
    verbose
        Whether cells that end are listed above the display.
    """
    return LiveReporter(Console(file=stream), verbose=verbose)


class LiveReporter(Reporter):
    """Draws a bar for the study and a line for every cell that is being computed.

    Parameters
    ----------
    console
        A terminal.
    verbose
        Whether cells that end are listed above the display; those that fail always are.
    clock
        Returns seconds.

    Attributes
    ----------
    display
        What is drawn.
    """

    def __init__(
        self,
        console: Console,
        *,
        verbose: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._verbose = verbose
        self._narrow = console.width < NARROW
        self._study = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[count]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            console=console,
        )
        bar = [] if self._narrow else [BarColumn(bar_width=10)]
        self._cells = Progress(
            SpinnerColumn(),
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
            ),
            *bar,
            TextColumn("{task.fields[how]}", markup=False, table_column=Column(no_wrap=True)),
            TimeElapsedColumn(),
            expand=True,
            console=console,
        )
        self.display = Padding(Group(self._study, self._cells), (0, ECHO, 0, 0))
        self._live = Live(self.display, console=console)
        self._bar = self._study.add_task(CHECKING, total=None, left="", count="")
        self._running: dict[str, TaskID] = {}
        self._total = self._before = self._done = self._failed = 0
        self._since = 0.0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        for task in self._running.values():
            self._cells.remove_task(task)
        self._study.update(self._bar, left="")
        self._live.stop()

    def planned(self, total: int, finished: int) -> None:
        """Say how much there is to do."""
        self._total, self._before, self._done = total, finished, finished
        self._since = self._clock()
        self._study.update(self._bar, description="Cells", total=total, left=time_left(None))
        self._count()

    def begun(self, cell: Cell) -> None:
        """Say which cell is being computed."""
        self._running[cell.hash] = self._cells.add_task(title(cell), total=None, how="")

    def progressed(self, cell: Cell, note: Note) -> None:
        """Say how far the training is."""
        latest = "" if note.value is None or self._narrow else f"{note.metric} {note.value:.3g}  "
        left = "" if note.seconds_left is None else time_left(note.seconds_left)
        self._cells.update(
            self._running[cell.hash],
            total=note.iterations,
            completed=note.iteration,
            how=f"{note.iteration}/{note.iterations}  {pace(note, '/s')}  {latest}"
            f"{left.removeprefix('about ') if self._narrow else left}",
        )

    def keeping(self, cell: Cell, path: Path) -> None:
        """Say what becomes of the checkpoint by which a cell had failed."""
        self._print(in_keeping(cell, path))

    def retried(self, cell: Cell, cause: str) -> None:
        """Say that a worker was lost; the cell has a line again when it is begun again."""
        task = self._running.pop(cell.hash, None)
        if task is not None:
            self._cells.remove_task(task)
        self._print(f"tried again: {title(cell)}: {cause}")

    def queueing(self, reason: str) -> None:
        """Say what the run waits for."""
        self._study.update(self._bar, description=f"Waiting: {reason}")

    def stopping(self) -> None:
        """Say why the end is not yet there."""
        self._print(STOPPING)

    def ended(self, cell: Cell, outcome: Outcome) -> None:
        """Say which cell has ended."""
        self._cells.remove_task(self._running.pop(cell.hash))
        self._done += 1
        self._failed += outcome.failed
        self._count()
        if outcome.failed or self._verbose:
            self._print(in_a_line(cell, outcome))

    def remaining(self, seconds: float | None) -> None:
        """Say how long is left."""
        self._study.update(self._bar, left=time_left(seconds) if self._running else "")

    def _count(self) -> None:
        minutes = (self._clock() - self._since) / 60
        new = self._done - self._before
        rate = f", {new / minutes:.3g} per minute" if new and minutes > 0 else ""
        failed = f", {self._failed} failed" if self._failed else ""
        count = f"{self._done}/{self._total}{failed}{rate}"
        self._study.update(self._bar, completed=self._done, count=count)

    def _print(self, line: str) -> None:
        self._live.console.print(line, markup=False, highlight=False)
