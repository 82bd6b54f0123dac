"""Where a cell is computed: its checkpoint, its note of progress, and whether it is to stop.

Imports nothing heavy, for the worker processes.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FOLDER_NAME = "checkpoints"
CHECKPOINT_SUFFIX = ".pt"
NOTE_SUFFIX = ".json"
BEGINS_ANEW = "`gradprobe retry` keeps the file aside and begins the training anew"
"""What a cell that failed by its checkpoint promises: `gradprobe retry` looks for these words."""
SECONDS_BETWEEN_NOTES = 1.0
SMOOTHING = 0.7
"""Weight of the former rate when a new one is measured."""


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Workplace:
    """What computing a cell may use besides its specification; no value of the table depends on it.

    Attributes
    ----------
    checkpoint
        The file that a training is saved to and goes on from; its folder is made when it is needed.
    stopping
        Whether the cell is to be given up as soon as a checkpoint is written.
    begins_anew
        Whether a checkpoint that is refused, because it is of another training or damaged, is moved
        aside, rather than ending the cell.

    Examples
    --------
    >>> from pathlib import Path
    >>> place = Workplace(Path("checkpoints/0a1b.pt"))
    >>> place.note.name, place.stopping()
    ('0a1b.json', False)
    """

    checkpoint: Path
    stopping: Callable[[], bool] = _never
    begins_anew: bool = False

    @property
    def note(self) -> Path:
        """The file that says how far the training is."""
        return self.checkpoint.with_suffix(NOTE_SUFFIX)

    @property
    def aside(self) -> Path:
        """Where a checkpoint that was refused is moved; removed when the cell is stored."""
        return self.checkpoint.with_name(f"{self.checkpoint.name}.refused")


@dataclass(frozen=True)
class Note:
    """How far a training is.

    Attributes
    ----------
    iteration, iterations
        Those done, and those to do.
    rate
        Iterations per second at present; None before that can be told.
    metric, value
        The latest validation value and its name; None before the first.
    activity
        As of `gradprobe.training.Progress`.

    Examples
    --------
    >>> Note(50, 250, 4.0).seconds_left
    50.0
    >>> Note(250, 250, 4.0, activity="probing").seconds_left is None
    True
    """

    iteration: int
    iterations: int
    rate: float | None
    metric: str | None = None
    value: float | None = None
    activity: str = "training"

    @property
    def seconds_left(self) -> float | None:
        """How long the iterations will still take at this rate; None if that cannot be told."""
        if self.rate is None or (self.iteration == self.iterations and self.activity != "training"):
            return None
        return (self.iterations - self.iteration) / self.rate


class Notes:
    """Writes how far a training is to a file: at most once a second, but at once what else it does.

    The time of probes, which are few, is not counted in the rate; that of validations is.

    Parameters
    ----------
    path
        The file; it is replaced in one step, so that a reader never sees half of it.
    clock
        Returns seconds.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> times = iter([0.0, 2.0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     notes = Notes(Path(folder, "0a1b.json"), clock=lambda: next(times))
    ...     notes.take(10, 100)
    ...     notes.take(14, 100, "validation_accuracy", 0.5)
    ...     read_note(Path(folder, "0a1b.json"))
    Note(iteration=14, iterations=100, rate=2.0, metric='validation_accuracy', value=0.5,
         activity='training')
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._last: tuple[float, int] | None = None
        self._rate: float | None = None
        self._activity = "training"

    def take(
        self,
        iteration: int,
        iterations: int,
        metric: str | None = None,
        value: float | None = None,
        activity: str = "training",
    ) -> None:
        """Note that `iteration` of `iterations` are done.

        Parameters
        ----------
        iteration, iterations, metric, value, activity
            As of `Note`.
        """
        now, after_probes = self._clock(), self._activity == "probing"
        self._activity = activity
        if self._last is None or after_probes:
            self._last = now, iteration
        if activity != "training":
            self._write(Note(iteration, iterations, self._rate, metric, value, activity))
            return
        since, before = self._last
        if now - since < SECONDS_BETWEEN_NOTES or iteration <= before:
            return
        rate = (iteration - before) / (now - since)
        if self._rate is not None:
            rate = SMOOTHING * self._rate + (1 - SMOOTHING) * rate
        self._last, self._rate = (now, iteration), rate
        self._write(Note(iteration, iterations, rate, metric, value))

    def _write(self, note: Note) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(asdict(note)), encoding="utf-8")
        temporary.replace(self._path)


def read_note(path: Path) -> Note | None:
    """Return the note at `path`; None if none was written yet.

    Parameters
    ----------
    path
        As given to `Notes`.

    Examples
    --------
    >>> from pathlib import Path
    >>> read_note(Path("missing.json"))
    """
    try:
        return Note(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
