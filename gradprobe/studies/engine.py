"""The local engine: keeps every worker process busy with one cell until all cells are done."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gradprobe.errors import GradprobeError
from gradprobe.studies import worker
from gradprobe.studies.interruption import InterruptedStudyError
from gradprobe.studies.outcome import Outcome, Rehearsal
from gradprobe.studies.workplace import Workplace, read_note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from gradprobe.studies.forecast import Forecast
    from gradprobe.studies.grid import Cell
    from gradprobe.studies.interruption import Interruption
    from gradprobe.studies.monitor import Monitor
    from gradprobe.studies.workers import Workers

TICK_SECONDS = 0.2
SECONDS_BETWEEN_LOOKS = 1.0
"""How often the notes of running trainings are read."""
LOST = "the worker process ended without a result: it was killed, or the machine ran out of memory"


def rehearse_all(
    representatives: Iterable[Cell], place: str, workers: Workers, interruption: Interruption
) -> list[Rehearsal]:
    """Rehearse one cell of each setting, in the workers, and the probes with the first of them.

    Parameters
    ----------
    representatives
        One cell of each model on each task.
    place
        ``"module:function"`` of a function from a specification, and whether to try the probes,
        to a `Rehearsal`.
    workers
        A pool.
    interruption
        Checked while waiting.

    Raises
    ------
    GradprobeError
        No worker process can be started.
    """
    try:
        futures = [
            workers.submit(worker.call, place, cell.specification, with_probes=index == 0)
            for index, cell in enumerate(representatives)
        ]
        while wait(futures, timeout=TICK_SECONDS).not_done:
            interruption.check()
        return [future.result() for future in futures]
    except BrokenProcessPool as error:
        raise GradprobeError(
            "the worker processes end as soon as they start; a script that runs a study needs "
            'the guard: if __name__ == "__main__"'
        ) from error


@dataclass(frozen=True)
class _Running:
    cell: Cell
    since: float
    alone: bool


class Engine:
    """Computes cells in worker processes; a cell that fails does not stop the others.

    Parameters
    ----------
    workers
        A pool; each of its processes gets one cell at a time.
    place
        ``"module:function"``, as `gradprobe.studies.worker.work` takes it.
    checkpoint_of
        Returns the file that a cell's training is saved to.
    record
        Called in this process with every cell that has ended and its outcome.
    monitor
        Told of every step.
    forecast
        Predicts the time that is left.
    """

    def __init__(
        self,
        workers: Workers,
        place: str,
        checkpoint_of: Callable[[Cell], Path],
        record: Callable[[Cell, Outcome], None],
        monitor: Monitor,
        forecast: Forecast,
    ) -> None:
        self._workers = workers
        self._place = place
        self._checkpoint_of = checkpoint_of
        self._record = record
        self._monitor = monitor
        self._forecast = forecast
        self._waiting: deque[Cell] = deque()
        self._suspects: deque[Cell] = deque()
        self._running: dict[Future[Outcome], _Running] = {}
        self._looked = 0.0

    def run(self, cells: Sequence[Cell], interruption: Interruption) -> None:
        """Compute `cells`, in this order.

        Parameters
        ----------
        cells
            Those that are not finished.
        interruption
            Checked several times a second.

        Raises
        ------
        InterruptedStudyError
            A signal has come; what had ended is recorded, and trainings have written a checkpoint
            if they could in a few seconds.
        """
        self._waiting.extend(cells)
        try:
            while self._waiting or self._suspects or self._running:
                self._fill()
                done, _ = wait(self._running, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED)
                self._collect(done)
                interruption.check()
                self._tell_progress()
                self._tell_remaining()
        except InterruptedStudyError:
            self._give_up()
            raise

    def _fill(self) -> None:
        """Give every idle worker a cell; one that may have killed a worker is computed alone."""
        while self._waiting and not self._suspects and len(self._running) < self._workers.count:
            if not self._begin(self._waiting, alone=False):
                return
        if self._suspects and not self._running:
            self._begin(self._suspects, alone=True)

    def _begin(self, queue: deque[Cell], *, alone: bool) -> bool:
        try:
            cell = queue[0]
            future = self._workers.submit(
                worker.work, self._place, cell.specification, self._checkpoint_of(cell)
            )
        except BrokenProcessPool:
            if not self._running:
                self._workers.restart()
            return False
        queue.popleft()
        self._running[future] = _Running(cell, time.monotonic(), alone)
        self._monitor.begun(cell)
        return True

    def _collect(self, done: Iterable[Future[Outcome]]) -> None:
        for future in done:
            running = self._running.pop(future)
            try:
                outcome = future.result()
            except BrokenProcessPool:
                if not running.alone:
                    self._suspects.append(running.cell)
                    continue
                outcome = _lost_outcome(running)
            self._end(running.cell, outcome)

    def _end(self, cell: Cell, outcome: Outcome) -> None:
        if outcome.interrupted:
            return
        self._record(cell, outcome)
        if not outcome.failed:
            self._forecast.ended(cell, outcome.seconds)
        self._monitor.ended(cell, outcome)

    def _give_up(self) -> None:
        """Let trainings write their checkpoints, and record what ends meanwhile."""
        trainings = [future for future, running in self._running.items() if running.cell.trains]
        if trainings:
            self._monitor.stopping()
            self._workers.ask_to_stop()
            wait(trainings, timeout=worker.GRACE_SECONDS)
        self._collect([future for future in self._running if future.done()])

    def _tell_progress(self) -> None:
        now = time.monotonic()
        if now - self._looked < SECONDS_BETWEEN_LOOKS:
            return
        self._looked = now
        for running in self._running.values():
            if not running.cell.trains:
                continue
            note = read_note(Workplace(self._checkpoint_of(running.cell)).note)
            if note is not None:
                self._forecast.noted(running.cell, note)
                self._monitor.progressed(running.cell, note)

    def _tell_remaining(self) -> None:
        now = time.monotonic()
        running = [(entry.cell, now - entry.since) for entry in self._running.values()]
        left = self._forecast.remaining([*self._waiting, *self._suspects], running)
        self._monitor.remaining(left)


def _lost_outcome(running: _Running) -> Outcome:
    seconds = time.monotonic() - running.since
    now = datetime.now(UTC)
    started = datetime.fromtimestamp(now.timestamp() - seconds, UTC)
    times = [moment.isoformat(timespec="milliseconds") for moment in (started, now)]
    return Outcome(times[0], times[1], seconds, error=LOST)
