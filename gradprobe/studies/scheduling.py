"""The scheduler: keeps an engine busy until all cells are done, and tries again what is lost.

A cell that fails does not stop the others, and no cell depends on the order.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from gradprobe.errors import GradprobeError
from gradprobe.studies import worker
from gradprobe.studies.engines.base import EngineError, Lost, Raised
from gradprobe.studies.interruption import InterruptedStudyError
from gradprobe.studies.outcome import Outcome, Rehearsal
from gradprobe.studies.progress import title
from gradprobe.studies.workplace import Workplace, read_note
from gradprobe.studies.writer import RunningCell

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

    from gradprobe.studies.engines.base import Engine
    from gradprobe.studies.forecast import Forecast
    from gradprobe.studies.grid import Cell
    from gradprobe.studies.interruption import Interruption
    from gradprobe.studies.monitor import Monitor

TICK_SECONDS = 0.2
SECONDS_BETWEEN_LOOKS = 1.0
"""How often the notes of running trainings are read, and what is running is stored."""
SECONDS_BETWEEN_COMMITS = 0.05
"""Cells that end in quick succession are stored together: a commit waits for the disk."""
SECONDS_OF_DOUBT = 0.5
"""A worker that ends may be the first sign of a signal to the whole group of processes."""
TERMINATED = Lost("its worker process was ended by SIGTERM")


def rehearse_all(
    representatives: Iterable[Cell], place: str, engine: Engine, interruption: Interruption
) -> list[Rehearsal]:
    """Rehearse one cell of each setting, in the workers, and the probes with the first of them.

    Parameters
    ----------
    representatives
        One cell of each model on each task.
    place
        ``"module:function"`` of a function from a specification, and whether to try the probes,
        to a `Rehearsal`.
    engine
        Where.
    interruption
        Checked while waiting.

    Raises
    ------
    GradprobeError
        No worker process can be started, or one died of a model, or there is a bug.
    """
    cells = {
        engine.submit(worker.rehearse, place, cell.specification, index == 0): cell
        for index, cell in enumerate(representatives)
    }
    answers: dict[int, Rehearsal] = {}
    while len(answers) < len(cells):
        arrived = engine.wait(TICK_SECONDS)
        interruption.check()
        for ticket, answer in arrived:
            answers[ticket] = _rehearsed(cells[ticket], answer)
    return [answers[ticket] for ticket in cells]


def _rehearsed(cell: Cell, answer: Rehearsal | Lost | Raised) -> Rehearsal:
    match answer:
        case Lost(begun=False):
            raise GradprobeError(
                "the worker processes end as soon as they start; a script that runs a study needs "
                f'the guard: if __name__ == "__main__" ({answer.cause})'
            )
        case Lost():
            raise GradprobeError(f"the model of {title(cell)} cannot be tried: {answer.cause}")
        case Raised():
            raise GradprobeError(
                f"the model of {title(cell)} cannot be tried, by a bug:\n{answer.traceback}"
            )
    return answer


@dataclass(frozen=True)
class Surroundings:
    """What a scheduler needs besides an engine and cells.

    Attributes
    ----------
    place
        ``"module:function"``, as `gradprobe.studies.worker.work` takes it.
    checkpoint_of
        Returns the file that a cell's training is saved to.
    record
        Called in this process with cells that have ended and their outcomes, to store them.
    beat
        Called now and then with what is running and how many seconds are left.
    monitor
        Told of every step.
    forecast
        Predicts the time that is left.
    time_limit
        Seconds that a cell may take; None for any.
    begin_anew
        Hashes of cells whose trainings begin anew if their checkpoints are refused.
    """

    place: str
    checkpoint_of: Callable[[Cell], Path]
    record: Callable[[Sequence[tuple[Cell, Outcome]]], None]
    beat: Callable[[Sequence[RunningCell], float | None], None]
    monitor: Monitor
    forecast: Forecast
    time_limit: float | None = None
    begin_anew: Collection[str] = ()


@dataclass(frozen=True)
class _Running:
    cell: Cell
    since: float
    at: datetime

    def seconds(self) -> float:
        return time.monotonic() - self.since

    def failed(self, reason: str) -> Outcome:
        times = [moment.isoformat(timespec="milliseconds") for moment in (self.at, _now())]
        return Outcome(times[0], times[1], self.seconds(), error=reason)


class Scheduler:
    """Gives cells to an engine, and sees to what comes of them.

    Parameters
    ----------
    engine
        Where cells are computed.
    surroundings
        Whom to tell, and where to save.
    """

    def __init__(self, engine: Engine, surroundings: Surroundings) -> None:
        self._engine = engine
        self._around = surroundings
        self._waiting: deque[Cell] = deque()
        self._running: dict[int, _Running] = {}
        self._losses: Counter[str] = Counter()
        self._ended: list[tuple[Cell, Outcome]] = []
        self._looked = self._saved = 0.0

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
        EngineError
            Nothing can be computed any more; what had ended is recorded.
        """
        self._waiting.extend(cells)
        try:
            while self._waiting or self._running:
                self._fill()
                self._look()
                tick = SECONDS_BETWEEN_COMMITS if self._ended else TICK_SECONDS
                for ticket, answer in self._engine.wait(tick):
                    self._take(self._running.pop(ticket), answer, interruption)
                interruption.check()
                self._end_what_takes_too_long()
                if not self._running or time.monotonic() - self._saved > SECONDS_BETWEEN_COMMITS:
                    self._save()
            self._around.monitor.remaining(0.0)
        except InterruptedStudyError:
            self._give_up(interruption)
            raise
        except EngineError:
            self._save()
            interruption.check()  # a signal to all processes ends the engine's, too
            raise

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self._engine.count:
            cell = self._waiting.popleft()
            checkpoint = self._around.checkpoint_of(cell)
            anew = cell.hash in self._around.begin_anew
            ticket = self._engine.submit(
                worker.work, self._around.place, cell.specification, checkpoint, anew
            )
            self._running[ticket] = _Running(cell, time.monotonic(), _now())
            self._around.monitor.begun(cell)
            if anew:
                self._around.monitor.keeping(cell, Workplace(checkpoint).aside)

    def _take(self, running: _Running, answer: Any, interruption: Interruption) -> None:
        """Record an answer, or try again what is lost."""
        if isinstance(answer, Outcome) and answer.interrupted:
            answer = TERMINATED
        if isinstance(answer, Lost):
            time.sleep(SECONDS_OF_DOUBT)
            interruption.check()
            self._take_loss(running, answer)
        elif isinstance(answer, Raised):
            self._end(running.cell, running.failed(answer.traceback))
        else:
            self._end(running.cell, answer)

    def _take_loss(self, running: _Running, loss: Lost) -> None:
        cell = running.cell
        self._losses[cell.hash] += 1
        if self._losses[cell.hash] <= loss.retries:
            self._waiting.appendleft(cell)
            self._around.monitor.retried(cell, loss.cause)
            return
        times = self._losses[cell.hash]
        self._end(cell, running.failed(f"{loss.cause}; it was tried {times} times"))

    def _end(self, cell: Cell, outcome: Outcome) -> None:
        self._ended.append((cell, outcome))

    def _save(self) -> None:
        """Store what has ended since the last time; only then it is told."""
        if not self._ended:
            return
        self._around.record(self._ended)
        ended, self._ended = self._ended, []
        for cell, outcome in ended:
            if not outcome.failed:
                self._around.forecast.ended(cell, outcome.seconds)
            self._around.monitor.ended(cell, outcome)
        self._saved = time.monotonic()

    def _end_what_takes_too_long(self) -> None:
        limit = self._around.time_limit
        if limit is None:
            return
        for ticket, running in list(self._running.items()):
            begun = self._engine.begun(ticket)
            if begun is not None and time.monotonic() - begun.at > limit:
                self._engine.cancel(ticket)
                del self._running[ticket]
                reason = f"took longer than the time limit of {limit:g} s, and was ended"
                self._end(running.cell, running.failed(reason))

    def _give_up(self, interruption: Interruption) -> None:
        """Let trainings write their checkpoints, and record what ends meanwhile."""
        try:
            if self._trains():
                self._around.monitor.stopping()
                self._engine.ask_to_stop()
            self._wait_for_the_rest(interruption)
        except EngineError:
            pass  # the signal has ended the engine as well: nothing is left to be waited for
        finally:
            self._save()

    def _wait_for_the_rest(self, interruption: Interruption) -> None:
        deadline = time.monotonic() + worker.GRACE_SECONDS
        while True:
            patient = self._trains() and not interruption.is_urgent
            seconds = max(0.0, deadline - time.monotonic()) if patient else 0.0
            for ticket, answer in self._engine.wait(min(TICK_SECONDS, seconds)):
                running = self._running.pop(ticket)
                if isinstance(answer, Outcome) and not answer.interrupted:
                    self._end(running.cell, answer)
            if not seconds:
                return

    def _trains(self) -> bool:
        return any(running.cell.trains for running in self._running.values())

    def _look(self) -> None:
        """Tell everybody how far things are, if that was not done just now."""
        now = time.monotonic()
        if now - self._looked < SECONDS_BETWEEN_LOOKS:
            return
        self._looked = now
        self._read_notes()
        entries = self._running.values()
        left = self._around.forecast.remaining(
            self._waiting, [(entry.cell, entry.seconds()) for entry in entries]
        )
        self._around.monitor.remaining(left)
        self._around.beat([self._shown(*entry) for entry in self._running.items()], left)

    def _read_notes(self) -> None:
        for running in self._running.values():
            if not running.cell.trains:
                continue
            note = read_note(Workplace(self._around.checkpoint_of(running.cell)).note)
            if note is not None:
                self._around.forecast.noted(running.cell, note)
                self._around.monitor.progressed(running.cell, note)

    def _shown(self, ticket: int, running: _Running) -> RunningCell:
        begun = self._engine.begun(ticket)
        host, process = ("", None) if begun is None else (begun.host, begun.process)
        attempt = 1 + self._losses[running.cell.hash]
        since = running.at
        if begun is not None:
            since = _now() - timedelta(seconds=time.monotonic() - begun.at)
        return RunningCell(
            running.cell.hash, since.isoformat(timespec="seconds"), attempt, host, process
        )


def _now() -> datetime:
    return datetime.now(UTC)
