"""What a run tells whoever watches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from gradprobe.studies.grid import Cell
    from gradprobe.studies.outcome import Outcome
    from gradprobe.studies.workplace import Note


class Monitor:
    """Is told of every step of a run, in the main process; this one tells nobody.

    Examples
    --------
    >>> Monitor().planned(27, 0)
    """

    def checking(self) -> None:
        """Hear that the workers are starting and every model is being built once."""

    def planned(self, total: int, finished: int) -> None:
        """Hear that, of `total` cells, `finished` are stored already.

        Parameters
        ----------
        total, finished
            Numbers of cells.
        """

    def begun(self, cell: Cell) -> None:
        """Hear that a worker has been given `cell`.

        Parameters
        ----------
        cell
            A cell that was waiting.
        """

    def progressed(self, cell: Cell, note: Note) -> None:
        """Hear, about once a second, how far the training of `cell` is.

        Parameters
        ----------
        cell
            A cell that was begun.
        note
            Its iteration, rate, and latest validation value.
        """

    def keeping(self, cell: Cell, path: Path) -> None:
        """Hear that a cell that had failed by its checkpoint begins anew if it is refused again.

        Parameters
        ----------
        cell
            A cell that was begun.
        path
            Where the refused checkpoint is kept until the cell is stored.
        """

    def retried(self, cell: Cell, cause: str) -> None:
        """Hear that the worker that computed `cell` was lost, and that it is tried again.

        Parameters
        ----------
        cell
            A cell that was begun, and will be begun again.
        cause
            What became of the worker, as the rest of a sentence.
        """

    def queueing(self, reason: str) -> None:
        """Hear that the run waits for another one to end.

        Parameters
        ----------
        reason
            Which one it is.
        """

    def stopping(self) -> None:
        """Hear that the run was interrupted, and trainings are writing their checkpoints."""

    def ended(self, cell: Cell, outcome: Outcome) -> None:
        """Hear that `cell` has been computed and stored, or has failed.

        Parameters
        ----------
        cell
            A cell that was begun.
        outcome
            What came of it.
        """

    def remaining(self, seconds: float | None) -> None:
        """Hear, several times a second, how long the run will last.

        Parameters
        ----------
        seconds
            None if that cannot be told yet.
        """
