"""What a worker process sends back; imports nothing, so that workers start fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Computed:
    """What computing a cell gave.

    Attributes
    ----------
    table
        The cell's table.
    seconds
        How long it took, over all processes that had a part in it; None for the time of the call
        that gave it.

    Examples
    --------
    >>> from gradprobe import frame
    >>> len(Computed(frame.rows(value=1.0)).table)
    1
    """

    table: pd.DataFrame
    seconds: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of computing a cell: a table, an error, or a checkpoint to go on from.

    Attributes
    ----------
    started, finished
        Times in ISO 8601, UTC.
    seconds
        Duration of the computation; of a training that was interrupted, of all its parts.
    encoded_table
        As `gradprobe.studies.tables.encode_table` writes it; None if there is none.
    error
        Why it failed; None if it did not.

    Examples
    --------
    >>> Outcome("2026-01-01T00:00:00", "2026-01-01T00:00:01", 1.0, error="out of memory").failed
    True
    """

    started: str
    finished: str
    seconds: float
    encoded_table: bytes | None = None
    error: str | None = None

    @property
    def failed(self) -> bool:
        """Whether the computation ended in an error."""
        return self.error is not None

    @property
    def interrupted(self) -> bool:
        """Whether the computation was asked to stop, and can go on."""
        return self.encoded_table is None and self.error is None


@dataclass(frozen=True)
class Rehearsal:
    """What was found by building a cell's model before anything is computed.

    Attributes
    ----------
    mistakes
        What is wrong with the specification, by key: ``"model"`` or ``"probes.NAME"``.
    cost
        A number that grows with the time that the cell will take; orders the cells.

    Examples
    --------
    >>> Rehearsal({}, 1.0).mistakes
    {}
    """

    mistakes: dict[str, str]
    cost: float
