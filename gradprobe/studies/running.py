"""Running a study: what is stored is kept, what is missing is computed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gradprobe import checks
from gradprobe.errors import BusyStoreError, GradprobeError
from gradprobe.models.cell_files import is_own
from gradprobe.studies import grid
from gradprobe.studies.engines import open_engine
from gradprobe.studies.engines.base import EngineOptions
from gradprobe.studies.engines.supplying import supplying
from gradprobe.studies.forecast import Forecast, sibling_key
from gradprobe.studies.interruption import listening
from gradprobe.studies.mistakes import refuse
from gradprobe.studies.monitor import Monitor
from gradprobe.studies.own_cells import with_cell_files
from gradprobe.studies.provenance import provenance
from gradprobe.studies.recording import Checkpoints, Recorder
from gradprobe.studies.scheduling import Scheduler, Surroundings, rehearse_all
from gradprobe.studies.workplace import BEGINS_ANEW, FOLDER_NAME
from gradprobe.studies.writer import Stored, Writer, refuse_if_busy, stored_before

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from gradprobe.studies.engines.base import Engine
    from gradprobe.studies.grid import Cell
    from gradprobe.studies.interruption import Interruption
    from gradprobe.studies.outcome import Rehearsal
    from gradprobe.studies.schema import Study

COMPUTE = "gradprobe.studies.cell:compute"
REHEARSE = "gradprobe.studies.cell:rehearse"
CHECK = "gradprobe.studies.own_rehearsal:check_contract"
SECONDS_BETWEEN_TRIES = 1.0
"""How often a run that waits for another one looks whether that has ended."""

Done = TypeVar("Done")


@dataclass(frozen=True)
class Summary:
    """How a run ended.

    Attributes
    ----------
    total
        How many cells the study has.
    computed
        How many of them this run finished.
    failures
        The cells that have failed, in this run or earlier, with the reason.
    left
        How many cells were not asked for, and neither are finished nor have failed.

    Examples
    --------
    >>> Summary(total=27, computed=2, failures=[]).finished
    27
    """

    total: int
    computed: int
    failures: list[tuple[Cell, str]]
    left: int = 0

    @property
    def finished(self) -> int:
        """How many cells are stored, from this run and earlier ones."""
        return self.total - len(self.failures) - self.left


def run_study(
    study: Study,
    folder: str | Path,
    *,
    workers: int | None = None,
    monitor: Monitor | None = None,
    compute: str = COMPUTE,
    rehearse: str = REHEARSE,
    engine: EngineOptions | None = None,
    only: Collection[str] | None = None,
    wait: bool = False,
    cells: Sequence[str | Path] = (),
) -> Summary:
    """Compute every cell of `study` that `folder` does not hold yet, and store each at once.

    Before anything is written, every task's data are looked for, every model is built once and
    every probe is tried on a small model.  A training saves checkpoints into the folder
    ``checkpoints`` beside the results and goes on from them; they are removed when the cell is
    stored.  A cell whose worker dies is tried once more.  One that has failed is kept as failed,
    with its reason, until it is asked for by `only`; if it has failed because its checkpoint is of
    another training, or damaged, it then begins anew.

    Parameters
    ----------
    study
        From `load_study`.
    folder
        Where the results are or will be.
    workers
        Processes that compute at the same time; as many as there is room for if not given.
    monitor
        Told of every step; nobody if not given.
    compute, rehearse
        ``"module:function"`` of what computes a cell from its specification and a
        `gradprobe.studies.workplace.Workplace`, and of what checks it before; gradprobe's own if
        not given.
    engine
        Where cells are computed; in processes on this machine if not given.
    only
        Hashes of the cells to compute, if they are not finished; if not given, all those that
        neither are finished nor have failed.
    wait
        Wait for another run that is writing there to end, rather than being refused.
    cells
        Python files of your own, in which the models stand that the study names ``MODULE:CELL``.
        Naming a file here lets its code run, in the workers; no study does so by itself.  Their
        SHA-256 is part of what names a cell: a changed file makes other cells.

    Raises
    ------
    StudyFileError
        A task's data are not there, a model or a probe cannot be made as the study says, or a cell
        of your own is named whose file is not given.
    ArgumentError
        A file of `cells` is missing, or cannot be a module.
    BusyStoreError
        Another run is writing there.
    StoreError
        The folder cannot be used.
    InterruptedStudyError
        Ctrl-C or SIGTERM; the finished cells are stored, trainings have a checkpoint, and the same
        call goes on with them.

    Examples
    --------
    >>> import tempfile
    >>> from gradprobe import studies
    >>> from gradprobe.studies.reading import parse_study
    >>> study = parse_study('''
    ... name = "example"
    ... question = "Do gradients survive eight steps?"
    ... [[tasks]]
    ... name = "digits_rows"
    ... [grid]
    ... seeds = [0]
    ... lengths = [8]
    ... sequences = 1
    ... [[models]]
    ... label = "GRU"
    ... name = "gru"
    ... hidden_size = 2
    ... [probes.gradient_norm]
    ... ''', "example.toml")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     summary = run_study(study, folder, workers=1)
    ...     table = studies.load(folder)
    >>> summary.finished, table["model"].unique().tolist()
    (1, ['GRU'])
    """
    if workers is not None:
        checks.positive_integer("workers", workers)
    options = EngineOptions() if engine is None else engine
    study = with_cell_files(study, cells)
    with listening() as interruption:
        run = _Run(study, Path(folder), Monitor() if monitor is None else monitor, interruption)
        run.only, run.waits = only, wait
        run.patiently(lambda: refuse_if_busy(run.folder))
        waiting = run.missing(stored_before(run.folder))
        if not waiting:
            return run.with_nothing_to_do()
        data = _data_provenance(study, waiting)
        run.monitor.checking()
        threads = study.grid.threads_per_cell
        with open_engine(options, workers, threads, interruption.check) as opened:
            supplied = supplying(opened, study.cell_files)
            costs = _rehearsed_costs(study, waiting, rehearse, supplied, interruption)
            origin = {**provenance(), "engine": options.name, "workers": opened.count}
            return run.compute(supplied, costs, compute, origin, data)


class _Run:
    """A study, where it is stored, and who watches."""

    only: Collection[str] | None = None
    waits: bool = False

    def __init__(
        self, study: Study, folder: Path, monitor: Monitor, interruption: Interruption
    ) -> None:
        self.study = study
        self.folder = folder
        self.monitor = monitor
        self._interruption = interruption
        self._grid = grid.cells(study)
        self._checkpoints = Checkpoints(folder.absolute() / FOLDER_NAME)

    def patiently(self, attempt: Callable[[], Done]) -> Done:
        """Return what `attempt` returns; while another run is writing, wait if that is wished."""
        told = False
        while True:
            try:
                return attempt()
            except BusyStoreError as error:
                if not self.waits:
                    raise
                if not told:
                    self.monitor.queueing(error.reason)
                    told = True
            self._interruption.check()
            time.sleep(SECONDS_BETWEEN_TRIES)

    def missing(self, stored: Stored) -> list[Cell]:
        """Return the cells to be computed."""
        wanted = [cell for cell in self._grid if cell.hash not in stored.finished]
        if self.only is None:
            return [cell for cell in wanted if cell.hash not in stored.failed]
        return [cell for cell in wanted if cell.hash in self.only]

    def with_nothing_to_do(self) -> Summary:
        """Keep the study file, whose words may have changed."""
        with self.patiently(lambda: Writer(self.folder, self.study)) as writer:
            stored = writer.stored()
            self._checkpoints.remove(stored.finished)
            self._checkpoints.remove_if_empty()
            self._tell_plan(0)
            return self._summary(stored, 0)

    def compute(
        self,
        engine: Engine,
        costs: dict[str, float],
        place: str,
        origin: dict[str, Any],
        data: dict[str, str],
    ) -> Summary:
        """Compute what is missing, and store it."""
        with self.patiently(lambda: Writer(self.folder, self.study)) as writer:
            stored = writer.stored()  # another run may have stored some since
            waiting = self.missing(stored)
            self._checkpoints.remove(stored.finished)
            self._tell_plan(len(waiting))
            writer.announce(origin["engine"], engine.count)
            recorder = Recorder(writer, self._checkpoints, origin, data)
            surroundings = Surroundings(
                place=place,
                checkpoint_of=self._checkpoints.path,
                record=recorder.record,
                beat=writer.beat,
                monitor=self.monitor,
                forecast=Forecast(costs, engine.count),
                time_limit=self.study.grid.time_limit_seconds,
                begin_anew={one for one, reason in stored.failed.items() if BEGINS_ANEW in reason},
            )
            order = _longest_first(waiting, costs)
            try:
                Scheduler(engine, surroundings).run(order, self._interruption)
            finally:
                self._checkpoints.remove_if_empty()
            return self._summary(writer.stored(), recorder.computed)

    def _tell_plan(self, waiting: int) -> None:
        self.monitor.planned(len(self._grid), len(self._grid) - waiting)

    def _summary(self, stored: Stored, computed: int) -> Summary:
        unfinished = [cell for cell in self._grid if cell.hash not in stored.finished]
        failures = [
            (cell, stored.failed[cell.hash]) for cell in unfinished if cell.hash in stored.failed
        ]
        left = len(unfinished) - len(failures)
        return Summary(len(self._grid), computed, failures, left)


def _data_provenance(study: Study, waiting: Sequence[Cell]) -> dict[str, str]:
    """Return where each needed task's data come from, or refuse the study if some are missing."""
    needed = {cell.task for cell in waiting}
    found, mistakes = {}, []
    for index, choice in enumerate(study.tasks):
        if choice.label not in needed:
            continue
        task = choice.build()
        try:
            task.check_data()
            found[choice.label] = task.provenance
        except GradprobeError as error:
            mistakes.append(f"tasks[{index}] ({choice.label}): {error}")
    refuse(study.file_name, mistakes, text=study.text)
    return found


def _longest_first(waiting: Sequence[Cell], costs: dict[str, float]) -> list[Cell]:
    """Return `waiting` so that no long cell is left to a single worker at the end."""
    return sorted(waiting, key=lambda cell: -costs[sibling_key(cell)])


def _rehearsed_costs(
    study: Study,
    waiting: Sequence[Cell],
    place: str,
    engine: Engine,
    interruption: Interruption,
) -> dict[str, float]:
    """Return the cost of a cell of each model on each task, or refuse the study with reasons."""
    representatives = {sibling_key(cell): cell for cell in waiting}
    chosen = list(representatives.values())
    rehearsals = rehearse_all(chosen, place, engine, interruption)
    _refuse_mistakes(study, chosen, rehearsals)
    own = {
        name: cell
        for cell in reversed(chosen)
        if is_own(name := cell.specification["model"]["name"])
    }
    checked = list(own.values())
    _refuse_mistakes(study, checked, rehearse_all(checked, CHECK, engine, interruption))
    return {key: found.cost for key, found in zip(representatives, rehearsals, strict=True)}


def _refuse_mistakes(
    study: Study, rehearsed: Sequence[Cell], rehearsals: Sequence[Rehearsal]
) -> None:
    told: dict[tuple[int | None, str, str], str] = {}
    for cell, rehearsal in zip(rehearsed, rehearsals, strict=True):
        index = [model.label for model in study.models].index(cell.label)
        for key, mistake in rehearsal.mistakes.items():
            # Once for all values of a sweep, if it is the same for all.
            position = study.models[index].position(index) if key == "model" else None
            told.setdefault(
                (position, key, mistake), _sentence(study, cell, position, key, mistake)
            )
    refuse(study.file_name, list(told.values()), text=study.text)


def _sentence(study: Study, cell: Cell, position: int | None, key: str, mistake: str) -> str:
    if position is None:
        return f"{key}: {mistake}"
    place = f"{cell.label} on {cell.task}" if len(study.tasks) > 1 else cell.label
    return f"models[{position}] ({place}): {mistake}"
