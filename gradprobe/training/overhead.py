"""What the monitor costs, measured by itself."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Overhead(NamedTuple):
    """Wall time that went into the monitor.

    Attributes
    ----------
    seconds
        In its hooks and in its `step`.
    fraction
        Of the wall time between the monitor's making and its last `step`; 0 before the first.

    Examples
    --------
    >>> Overhead(seconds=0.5, fraction=0.01).fraction
    0.01
    """

    seconds: float
    fraction: float


class Stopwatch:
    """Adds up the time spent inside `running` blocks.

    Examples
    --------
    >>> watch = Stopwatch()
    >>> with watch.running():
    ...     _ = sum(range(1000))
    >>> watch.overhead().seconds > 0
    True
    """

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time inside this block."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._last = time.perf_counter()
            self._seconds += self._last - begin

    def overhead(self) -> Overhead:
        """Return the time so far."""
        whole = self._last - self._start
        return Overhead(self._seconds, self._seconds / whole if whole > 0 else 0.0)

    def passed(self) -> None:
        """Note that the loop has come this far, without the monitor having worked."""
        self._last = time.perf_counter()
