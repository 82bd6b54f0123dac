"""What a run does with an outcome: it is stored, and its checkpoint is not needed any more."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gradprobe.studies.workplace import CHECKPOINT_SUFFIX, NOTE_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Container, Sequence
    from pathlib import Path

    from gradprobe.studies.grid import Cell
    from gradprobe.studies.outcome import Outcome
    from gradprobe.studies.writer import Writer

OURS = (CHECKPOINT_SUFFIX, NOTE_SUFFIX)


class Checkpoints:
    """The folder of the trainings' checkpoints; there while it holds some, or a run goes on.

    Parameters
    ----------
    folder
        Its path.  Workers may be on other machines that share it.

    Examples
    --------
    >>> from pathlib import Path
    >>> Checkpoints(Path("missing")).remove({"0a1b"})
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, cell: Cell) -> Path:
        """Return the file of a cell.

        Parameters
        ----------
        cell
            One that trains.
        """
        return self._folder / f"{cell.hash}{CHECKPOINT_SUFFIX}"

    def remove(self, hashes: Container[str]) -> None:
        """Remove what is left of cells that are stored; other files are nobody's business.

        Parameters
        ----------
        hashes
            The cells'.
        """
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            name, *suffixes = path.name.removeprefix(".").split(".")  # a dot: half-written
            if name in hashes and suffixes and f".{suffixes[0]}" in OURS:
                path.unlink()

    def remove_if_empty(self) -> None:
        """Remove the folder if it holds nothing; to be called only when nothing computes.

        A training that is about to save expects the folder that it has just found or made.
        """
        with suppress(OSError):  # it holds other trainings, or there is none
            self._folder.rmdir()


class Recorder:
    """Writes each outcome with where it came from, and remembers which cells ended.

    Parameters
    ----------
    writer
        The store.
    checkpoints
        Removed when a training is stored.
    origin
        JSON values that are the same for all cells of the run.
    data
        Where each task's data come from, by the task's label.

    Attributes
    ----------
    computed
        How many cells were finished.
    """

    def __init__(
        self,
        writer: Writer,
        checkpoints: Checkpoints,
        origin: dict[str, Any],
        data: dict[str, str],
    ) -> None:
        self._writer = writer
        self._checkpoints = checkpoints
        self._origin = origin
        self._data = data
        self.computed = 0

    def record(self, ended: Sequence[tuple[Cell, Outcome]]) -> None:
        """Store what came of cells.

        Parameters
        ----------
        ended
            The cells, and what came of them.
        """
        self._writer.record_all(
            (cell, {**self._origin, "task": self._data[cell.task]}, outcome)
            for cell, outcome in ended
        )
        finished = [cell for cell, outcome in ended if not outcome.failed]
        self.computed += len(finished)
        trained = {cell.hash for cell in finished if cell.trains}
        if trained:
            self._checkpoints.remove(trained)
