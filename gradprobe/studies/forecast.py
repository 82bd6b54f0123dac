"""How long a run will still take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe.studies.grid import Cell, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gradprobe.studies.workplace import Note

OWN = ("seed", "streams")
"""The keys of a specification in which a cell differs from its siblings."""


def sibling_key(cell: Cell) -> str:
    """Return what cells share that differ in their seed alone.

    Examples
    --------
    >>> sibling_key(Cell("GRU", {"model": "gru", "task": "digits_rows", "seed": 1}))
    '{"model":"gru","task":"digits_rows"}'
    """
    shared = {key: cell.specification[key] for key in cell.specification if key not in OWN}
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
        self._seconds: dict[str, list[float]] = {}
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
        self._seconds.setdefault(sibling_key(cell), []).append(seconds)

    def noted(self, cell: Cell, note: Note) -> None:
        """Learn how far the training of `cell` is.

        Parameters
        ----------
        cell
            A cell that is being computed.
        note
            What its worker has noted.
        """
        self._projected[sibling_key(cell)] = note.iterations / note.rate
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
            self._left.get(cell.hash, max(0.0, self._expected(cell) - elapsed))
            for cell, elapsed in running
        ]
        work = sum(begun) + sum(self._expected(cell) for cell in waiting)
        return max([work / self._workers, *begun])

    def _expected(self, cell: Cell) -> float:
        key = sibling_key(cell)
        if key in self._seconds:
            return sum(self._seconds[key]) / len(self._seconds[key])
        if key in self._projected:
            return self._projected[key]
        known = {**{key: [seconds] for key, seconds in self._projected.items()}, **self._seconds}
        spent = sum(sum(seconds) for seconds in known.values())
        cost = sum(self._costs[key] * len(seconds) for key, seconds in known.items())
        return self._costs[key] * spent / cost
