"""Running a study: what is stored is kept, what is missing is computed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gradprobe import checks
from gradprobe.errors import GradprobeError
from gradprobe.studies.engine import Engine, rehearse_all
from gradprobe.studies.forecast import Forecast, sibling_key
from gradprobe.studies.grid import cells
from gradprobe.studies.interruption import listening
from gradprobe.studies.monitor import Monitor
from gradprobe.studies.provenance import provenance
from gradprobe.studies.reading import refuse
from gradprobe.studies.workers import Workers, usable_cores
from gradprobe.studies.workplace import CHECKPOINT_SUFFIX, FOLDER_NAME, NOTE_SUFFIX
from gradprobe.studies.writer import Writer, finished_before

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from gradprobe.studies.grid import Cell
    from gradprobe.studies.interruption import Interruption
    from gradprobe.studies.outcome import Outcome
    from gradprobe.studies.schema import Study

COMPUTE = "gradprobe.studies.cell:compute"
OURS = (CHECKPOINT_SUFFIX, NOTE_SUFFIX)
REHEARSE = "gradprobe.studies.cell:rehearse"


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
        The cells that failed, with the reason.

    Examples
    --------
    >>> Summary(total=27, computed=2, failures=[]).finished
    27
    """

    total: int
    computed: int
    failures: list[tuple[Cell, str]]

    @property
    def finished(self) -> int:
        """How many cells are stored, from this run and earlier ones."""
        return self.total - len(self.failures)


def run_study(
    study: Study,
    folder: str | Path,
    *,
    workers: int | None = None,
    monitor: Monitor | None = None,
    compute: str = COMPUTE,
    rehearse: str = REHEARSE,
) -> Summary:
    """Compute every cell of `study` that `folder` does not hold yet, and store each at once.

    Before anything is written, every task's data are looked for, every model is built once and
    every probe is tried on a small model.  A training saves checkpoints into the folder
    ``checkpoints`` beside the results and goes on from them; they are removed when the cell is
    stored.

    Parameters
    ----------
    study
        From `load_study`.
    folder
        Where the results are or will be.
    workers
        Processes that compute at the same time; as many as there are usable cores if not given.
    monitor
        Told of every step; nobody if not given.
    compute, rehearse
        ``"module:function"`` of what computes a cell from its specification and a
        `gradprobe.studies.workplace.Workplace`, and of what checks it before; gradprobe's own if
        not given.

    Raises
    ------
    StudyFileError
        A task's data are not there, or a model or a probe cannot be made as the study says.
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
    watcher = Monitor() if monitor is None else monitor
    grid = cells(study)
    stored = finished_before(folder, study)
    waiting = [cell for cell in grid if cell.hash not in stored]
    checkpoints = _Checkpoints(Path(folder) / FOLDER_NAME)
    count = _worker_count(workers, study.grid.threads_per_cell, len(waiting))
    if not waiting:
        with Writer(folder, study):  # keeps the study file, whose words may have changed
            checkpoints.remove(stored)
        watcher.planned(len(grid), len(grid))
        return Summary(len(grid), 0, [])
    data = _data_provenance(study, waiting)
    with listening() as interruption, Workers(count, study.grid.threads_per_cell) as pool:
        watcher.checking()
        costs = _rehearsed_costs(study, waiting, rehearse, pool, interruption)
        with Writer(folder, study) as writer:
            checkpoints.remove(stored)
            watcher.planned(len(grid), len(grid) - len(waiting))
            recorder = _Recorder(writer, checkpoints, data, count)
            engine = Engine(
                pool, compute, checkpoints.path, recorder.record, watcher, Forecast(costs, count)
            )
            engine.run(_longest_first(waiting, costs), interruption)
    failures = recorder.failures
    return Summary(len(grid), len(waiting) - len(failures), failures)


class _Checkpoints:
    """The folder of the trainings' checkpoints; there only while it holds some."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, cell: Cell) -> Path:
        return self._folder / f"{cell.hash}{CHECKPOINT_SUFFIX}"

    def remove(self, hashes: Container[str]) -> None:
        """Remove what is left of cells that are stored; other files are nobody's business."""
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            name, *suffixes = path.name.removeprefix(".").split(".")  # a dot: half-written
            if name in hashes and suffixes and f".{suffixes[0]}" in OURS:
                path.unlink()
        with suppress(OSError):  # it holds other trainings
            self._folder.rmdir()


class _Recorder:
    """Writes each outcome with where it came from, and remembers the failures."""

    def __init__(
        self, writer: Writer, checkpoints: _Checkpoints, data: dict[str, str], workers: int
    ) -> None:
        self._writer = writer
        self._checkpoints = checkpoints
        self._origin = {**provenance(), "workers": workers}
        self._data = data
        self.failures: list[tuple[Cell, str]] = []

    def record(self, cell: Cell, outcome: Outcome) -> None:
        self._writer.record(cell, {**self._origin, "task": self._data[cell.task]}, outcome)
        if outcome.error is not None:
            self.failures.append((cell, outcome.error))
        elif cell.trains:
            self._checkpoints.remove([cell.hash])


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
    refuse(study.file_name, mistakes)
    return found


def _worker_count(requested: int | None, threads: int, waiting: int) -> int:
    if requested is not None:
        checks.positive_integer("workers", requested)
    available = max(1, usable_cores() // threads) if requested is None else requested
    return max(1, min(available, waiting))


def _longest_first(waiting: Sequence[Cell], costs: dict[str, float]) -> list[Cell]:
    """Return `waiting` so that no long cell is left to a single worker at the end."""
    return sorted(waiting, key=lambda cell: -costs[sibling_key(cell)])


def _rehearsed_costs(
    study: Study,
    waiting: Sequence[Cell],
    place: str,
    pool: Workers,
    interruption: Interruption,
) -> dict[str, float]:
    """Return the cost of a cell of each model on each task, or refuse the study with reasons."""
    representatives = {sibling_key(cell): cell for cell in waiting}
    rehearsals = rehearse_all(representatives.values(), place, pool, interruption)
    mistakes = [
        _sentence(study, cell, key, mistake)
        for cell, rehearsal in zip(representatives.values(), rehearsals, strict=True)
        for key, mistake in rehearsal.mistakes.items()
    ]
    refuse(study.file_name, mistakes)
    return {key: found.cost for key, found in zip(representatives, rehearsals, strict=True)}


def _sentence(study: Study, cell: Cell, key: str, mistake: str) -> str:
    if key != "model":
        return f"{key}: {mistake}"
    index = [model.label for model in study.models].index(cell.label)
    place = f"{cell.label} on {cell.task}" if len(study.tasks) > 1 else cell.label
    return f"models[{index}] ({place}): {mistake}"
