"""Ctrl-C and SIGTERM during a run: noticed between two steps, never inside one."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SECONDS_OF_ONE_SIGNAL = 1.0


class InterruptedStudyError(Exception):
    """A signal ended the run; all cells that were finished are stored.

    Attributes
    ----------
    number
        The signal's number.

    Examples
    --------
    >>> InterruptedStudyError(15).exit_code
    143
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.number = number

    @property
    def exit_code(self) -> int:
        """What a shell expects of a process that this signal ended: 130 or 143."""
        return 128 + self.number


class Interruption:
    """Remembers the first signal, and whether there was a second one.

    Examples
    --------
    >>> interruption = Interruption()
    >>> interruption.check()
    >>> interruption.notice(2)
    >>> interruption.is_urgent
    False
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._last = 0.0
        self._count = 0

    @property
    def is_urgent(self) -> bool:
        """Whether a second signal has come: nothing is to be waited for any more."""
        return self._count > 1

    def notice(self, number: int, frame: object = None) -> None:
        """Remember signal `number`; a third one acts at once, as if nobody were listening.

        One that comes right after another is taken for the same: whoever starts a run may pass on a
        signal that the whole group of processes is sent as well.  Nothing is raised here, where
        compiled code may be at work.

        Parameters
        ----------
        number
            The signal's number.
        frame
            Ignored; signal handlers are given one.
        """
        now = time.monotonic()
        if self._number is not None and now - self._last <= SECONDS_OF_ONE_SIGNAL:
            return
        self._number = self._number or number
        self._count, self._last = self._count + 1, now
        if self._count > 2:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def check(self) -> None:
        """Raise `InterruptedStudyError` if a signal has come."""
        if self._number is not None:
            raise InterruptedStudyError(self._number)


@contextmanager
def listening() -> Iterator[Interruption]:
    """Return an `Interruption` that notices SIGINT and SIGTERM until the block ends.

    Outside the main thread, where Python cannot handle signals, it notices nothing.

    Examples
    --------
    >>> import os, signal
    >>> with listening() as interruption:
    ...     os.kill(os.getpid(), signal.SIGTERM)
    ...     interruption.check()
    Traceback (most recent call last):
    ...
    gradprobe.studies.interruption.InterruptedStudyError: interrupted by SIGTERM
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before: dict[int, Any] = {
        number: signal.signal(number, interruption.notice) for number in SIGNALS
    }
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
