"""What a training gives, says while it runs, and raises when it is asked to stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

Activity = Literal["training", "validating", "probing", "testing"]


@dataclass(frozen=True)
class TrainingResult:
    """A training that has ended.

    Attributes
    ----------
    table
        The tidy table of `gradprobe.frame`: rows of the probe ``training`` and those of the probes.
    seconds
        Wall-clock time of all parts of a training that was interrupted and resumed together.

    Examples
    --------
    >>> from gradprobe import frame
    >>> rows = frame.rows(probe="training", quantity="diverged_at", iteration=7, value=7.0)
    >>> TrainingResult(rows, seconds=1.5).diverged_at
    7
    """

    table: pd.DataFrame
    seconds: float

    @property
    def diverged_at(self) -> int | None:
        """The first update, from 1, of which something was not finite; None if all was."""
        rows = self.table[self.table["quantity"] == "diverged_at"]
        return None if rows.empty else int(rows["value"].iloc[0])

    def value(self, quantity: str) -> float:
        """Return the last value of a quantity of the training, such as ``"test_accuracy"``.

        Parameters
        ----------
        quantity
            One of the table's quantities of the probe ``training``.

        Raises
        ------
        LookupError
            The table has no such row.
        """
        training = self.table["probe"] == "training"
        rows = self.table[training & (self.table["quantity"] == quantity)]
        if rows.empty:
            raise LookupError(f"the training has no value of {quantity!r}")
        return float(rows["value"].iloc[-1])


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes
    ----------
    iteration, iterations
        Updates made, and to be made.
    metric
        Name of the score on the validation split: ``validation_accuracy`` or
        ``validation_mean_squared_error``.
    validation
        Its latest value; None before the first.
    activity
        What is being done: ``"training"``, or what takes time between two updates:
        ``"validating"``, ``"probing"`` or ``"testing"``.

    Examples
    --------
    >>> Progress(50, 200, "validation_accuracy", None).iteration
    50
    """

    iteration: int
    iterations: int
    metric: str
    validation: float | None
    activity: Activity = "training"


class TrainingInterruptedError(Exception):
    """A training was asked to stop; its checkpoint is written, and the same call goes on from it.

    Examples
    --------
    >>> str(TrainingInterruptedError(12, 50))
    'the training was stopped after 12 of 50 iterations'
    """

    def __init__(self, iteration: int, iterations: int) -> None:
        super().__init__(f"the training was stopped after {iteration} of {iterations} iterations")
