"""How long a run will still take."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradprobe.studies.grid import Cell, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gradprobe.studies.workplace import Note

OF_THE_SEED = ("seed", "streams")
"""The keys of a specification in which a cell differs from its siblings."""


def sibling_key(cell: Cell) -> str:
    """Return what cells share that differ in their seed alone.

    Examples
    --------
    >>> sibling_key(Cell("GRU", {"model": "gru", "task": "digits_rows", "seed": 1}))
    '{"model":"gru","task":"digits_rows"}'
    """
    shared = {key: cell.specification[key] for key in cell.specification if key not in OF_THE_SEED}
    return canonical(shared)


class Forecast:
    """Predicts seconds from the cells that have ended.

    A cell is expected to take as long as those did that differ in the seed alone; before one of
    them has ended, as long as their trainings need at their present rate, or as its estimated cost
    says, at the speed of all cells so far.

    Parameters
    ----------
    costs
        Estimated cost of a cell of each model on each task, by `sibling_key`, in any one unit.
    workers
        How many cells are computed at once.

    Examples
    --------
    >>> gru, lstm = (Cell(name, {"model": name, "seed": 0}) for name in ("gru", "lstm"))
    >>> forecast = Forecast({sibling_key(gru): 1.0, sibling_key(lstm): 8.0}, workers=2)
    >>> forecast.ended(gru, 3.0)
    >>> forecast.remaining(waiting=[gru], running=[(lstm, 4.0)])
    20.0
    """

    def __init__(self, costs: Mapping[str, float], workers: int) -> None:
        self._costs = costs
        self._workers = workers
        self._keys: dict[str, str] = {}
        self._seconds: dict[str, _Total] = {}
        self._projected: dict[str, float] = {}
        self._left: dict[str, float] = {}

    def ended(self, cell: Cell, seconds: float) -> None:
        """Learn how long `cell` took.

        Parameters
        ----------
        cell
            A cell that has ended.
        seconds
            Its duration.
        """
        key = self._key(cell)
        self._seconds[key] = self._seconds.get(key, _Total()).plus(seconds)

    def noted(self, cell: Cell, note: Note) -> None:
        """Learn how far the training of `cell` is.

        Parameters
        ----------
        cell
            A cell that is being computed.
        note
            What its worker has noted.
        """
        if note.rate is not None:
            self._projected[self._key(cell)] = note.iterations / note.rate
        if note.seconds_left is None:
            self._left.pop(cell.hash, None)
        else:
            self._left[cell.hash] = note.seconds_left

    def remaining(
        self, waiting: Iterable[Cell], running: Iterable[tuple[Cell, float]]
    ) -> float | None:
        """Return the seconds until all cells have ended; None before that can be told.

        Parameters
        ----------
        waiting
            Cells that have not begun.
        running
            Cells that are being computed, with the seconds since each began.
        """
        if not self._seconds and not self._projected:
            return None
        begun = [
            self._left.get(cell.hash, max(0.0, self._expected(self._key(cell)) - elapsed))
            for cell, elapsed in running
        ]
        counts = Counter(self._key(cell) for cell in waiting)
        work = sum(begun) + sum(count * self._expected(key) for key, count in counts.items())
        return max([work / self._workers, *begun])

    def _key(self, cell: Cell) -> str:
        """Return `sibling_key`, which thousands of waiting cells are asked for every second."""
        if cell.hash not in self._keys:
            self._keys[cell.hash] = sibling_key(cell)
        return self._keys[cell.hash]

    def _expected(self, key: str) -> float:
        if key in self._seconds:
            return self._seconds[key].mean
        if key in self._projected:
            return self._projected[key]
        projected = {key: _Total(seconds, 1) for key, seconds in self._projected.items()}
        known = {**projected, **self._seconds}
        spent = sum(total.seconds for total in known.values())
        cost = sum(self._costs[key] * total.count for key, total in known.items())
        return self._costs[key] * spent / cost


@dataclass(frozen=True)
class _Total:
    seconds: float = 0.0
    count: int = 0

    def plus(self, seconds: float) -> _Total:
        return _Total(self.seconds + seconds, self.count + 1)

    @property
    def mean(self) -> float:
        return self.seconds / self.count
