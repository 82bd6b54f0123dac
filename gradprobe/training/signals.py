"""Ctrl-C and SIGTERM during a training: held back until its checkpoint is written."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class HeldSignals:
    """Notes the first SIGINT or SIGTERM within a ``with`` block, and delivers it at its end.

    Whoever listened before gets it then: usually, `KeyboardInterrupt` is raised after Ctrl-C, and
    the process ends after SIGTERM.  A second signal is delivered at once; one that is ignored, as
    under nohup, stays ignored.  Outside the main thread, where Python cannot handle signals,
    nothing is held back.

    Examples
    --------
    >>> before = signal.signal(signal.SIGTERM, lambda number, frame: print("delivered"))
    >>> with HeldSignals() as held:
    ...     signal.raise_signal(signal.SIGTERM)
    ...     print(held.noticed())
    True
    delivered
    >>> _ = signal.signal(signal.SIGTERM, before)
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._before: dict[int, Any] = {}

    def noticed(self) -> bool:
        """Return whether a signal has come."""
        return self._number is not None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {
                number: signal.signal(number, self._notice)
                for number in SIGNALS
                if signal.getsignal(number) is not signal.SIG_IGN
            }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore()
        if self._number is not None:
            signal.raise_signal(self._number)

    def _notice(self, number: int, frame: object) -> None:
        self._number = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            # None: a handler that was not installed from Python, which cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}
