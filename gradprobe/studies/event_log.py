"""What a run tells a program that watches it: a line of JSON for every event."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from gradprobe.studies.progress import Reporter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gradprobe.studies.grid import Cell
    from gradprobe.studies.outcome import Outcome
    from gradprobe.studies.workplace import Note

SECONDS_BETWEEN_FORECASTS = 10.0


class EventLog(Reporter):
    """Writes a JSON object in a line for every event, with its ``time`` and its ``event``.

    Events are ``checking``, ``planned``, ``begun``, ``keeping``, ``progressed``, ``retried``,
    ``ended``, ``remaining``, ``queueing`` and ``stopping``, with the arguments of `Monitor`'s
    methods; `gradprobe run` ends with ``reported`` and the report's ``path``.  A cell is told by
    ``cell``, its hash, ``model``, ``task``, ``seed`` and ``parameters``.

    Parameters
    ----------
    stream
        Where to.
    clock
        Returns seconds.

    Examples
    --------
    >>> import io
    >>> stream = io.StringIO()
    >>> EventLog(stream).planned(27, 20)
    >>> {key: value for key, value in json.loads(stream.getvalue()).items() if key != "time"}
    {'event': 'planned', 'total': 27, 'finished': 20}
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._forecast = float("-inf")

    def checking(self) -> None:
        """Write that the models are being built."""
        self.write("checking")

    def planned(self, total: int, finished: int) -> None:
        """Write how much there is to do."""
        self.write("planned", total=total, finished=finished)

    def begun(self, cell: Cell) -> None:
        """Write which cell is being computed."""
        self.write("begun", **_identity(cell))

    def progressed(self, cell: Cell, note: Note) -> None:
        """Write how far the training is."""
        self.write(
            "progressed",
            **_identity(cell),
            iteration=note.iteration,
            iterations=note.iterations,
            activity=note.activity,
            rate=note.rate,
            metric=note.metric,
            value=note.value,
            seconds_left=note.seconds_left,
        )

    def keeping(self, cell: Cell, path: Path) -> None:
        """Write where a refused checkpoint is kept."""
        self.write("keeping", **_identity(cell), path=str(path))

    def retried(self, cell: Cell, cause: str) -> None:
        """Write that a worker was lost."""
        self.write("retried", **_identity(cell), cause=cause)

    def queueing(self, reason: str) -> None:
        """Write what the run waits for."""
        self.write("queueing", reason=reason)

    def stopping(self) -> None:
        """Write that the run was interrupted."""
        self.write("stopping")

    def ended(self, cell: Cell, outcome: Outcome) -> None:
        """Write what came of a cell."""
        status = "failed" if outcome.failed else "finished"
        self.write(
            "ended",
            **_identity(cell),
            status=status,
            seconds=outcome.seconds,
            error=outcome.error,
        )

    def remaining(self, seconds: float | None) -> None:
        """Write, now and then, how long is left."""
        now = self._clock()
        if now - self._forecast >= SECONDS_BETWEEN_FORECASTS:
            self._forecast = now
            self.write("remaining", seconds=seconds)

    def write(self, event: str, **fields: Any) -> None:
        """Write one event.

        Parameters
        ----------
        event
            Its name.
        **fields
            JSON values; a number that JSON does not have becomes null.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "event": event, **_finite(fields)}, ensure_ascii=False)
        print(line, file=self._stream, flush=True)


def _identity(cell: Cell) -> dict[str, Any]:
    return {
        "cell": cell.hash,
        "model": cell.label,
        "task": cell.task,
        "seed": cell.seed,
        "parameters": dict(cell.parameters),
    }


def _finite(fields: dict[str, Any]) -> dict[str, Any]:
    infinite = (float("inf"), float("-inf"))
    return {
        key: None if isinstance(value, float) and (value != value or value in infinite) else value  # noqa: PLR0124 - NaN
        for key, value in fields.items()
    }
