"""What a worker process sends back; imports nothing, so that workers start fast."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """What came of computing a cell: a table as Parquet, or an error.

    Attributes
    ----------
    started, finished
        Times in ISO 8601, UTC.
    seconds
        Duration of the computation.
    parquet
        The table; None if the cell failed.
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
    parquet: bytes | None = None
    error: str | None = None

    @property
    def failed(self) -> bool:
        """Whether there is no table."""
        return self.parquet is None


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
