"""The schema of a study file: what may stand in it, checked without importing torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PrivateAttr

from gradprobe.models.cell_files import CellFile
from gradprobe.probes.registry import PROBES
from gradprobe.studies.choices import ModelChoice, TaskChoice, TrainingTable
from gradprobe.studies.fields import (
    Lengths,
    Options,
    Positive,
    Strict,
    Text,
    distinct,
    distinct_labels,
    registered,
)
from gradprobe.studies.sweeps import StudySweep

GREATEST_SEED = 2**63 - 1
"""Seeds are stored as 64-bit integers."""

Seed = Annotated[int, Field(ge=0, le=GREATEST_SEED)]
ProbeName = Annotated[str, AfterValidator(registered("probe", PROBES))]


class Grid(Strict):
    """The table ``[grid]``: what every model is measured at.

    Attributes
    ----------
    seeds
        Each gives a cell of every model on every task.
    lengths
        The T at which probes measure; each task's whole length if not given.
    sequences
        How many sequences of each task the probes read.
    split
        Which examples the probes read.
    dtype
        Of the probes' arithmetic.
    threads_per_cell
        Threads of the linear algebra.
    time_limit_seconds
        How long a cell may take before it counts as failed; any time if not given.

    Examples
    --------
    >>> Grid(seeds=[0, 1], lengths=[100, 50], sequences=4).lengths
    (100, 50)
    """

    seeds: Annotated[tuple[Seed, ...], Field(strict=False, min_length=1), AfterValidator(distinct)]
    lengths: Lengths | None = None
    sequences: Positive
    split: Literal["train", "validation", "test"] = "train"
    dtype: Literal["float64", "float32"] = "float64"
    threads_per_cell: Positive = 1
    time_limit_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    def lengths_on(self, task: TaskChoice) -> tuple[int, ...]:
        """Return the T at which probes measure on `task`.

        Parameters
        ----------
        task
            One of the study's.
        """
        return task.lengths or self.lengths or (task.build().length,)


class Study(Strict):
    """A whole study: every model, on every task, at every seed, trained or not, and probed.

    Attributes
    ----------
    name
        A file name's worth of letters; the results' folder is called so.
    question
        What is asked, in one sentence.
    description
        What a reader should know besides.
    tasks, grid, models, probes
        The tables of the file.
    training
        What is common to all trainings; without it, models are measured at initialisation.
    sweep
        What to try several values of in every model, task or training.
    text, file_name
        The file as it was read, with the changes that were asked for; and what it was called.
    cell_files
        The Python files of the user's own cells that it names; none until somebody who runs it
        gives them, by `gradprobe.studies.own_cells.with_cell_files`.

    Examples
    --------
    >>> from gradprobe.studies.reading import parse_study
    >>> study = parse_study('''
    ... name = "two_lengths"
    ... question = "Do gradients survive?"
    ... [[tasks]]
    ... name = "digits_pixels"
    ... [grid]
    ... seeds = [0]
    ... lengths = [32, 64]
    ... sequences = 2
    ... [[models]]
    ... label = "GRU"
    ... name = "gru"
    ... hidden_size = 8
    ... [probes.singular_values]
    ... ''', "two_lengths.toml")
    >>> study.models[0].label, study.tasks[0].label, study.grid.lengths
    ('GRU', 'digits_pixels', (32, 64))
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
    question: Text
    description: str = ""
    tasks: Annotated[
        tuple[TaskChoice, ...],
        Field(strict=False, min_length=1),
        AfterValidator(distinct_labels),
    ]
    grid: Grid
    models: Annotated[
        tuple[ModelChoice, ...],
        Field(strict=False, min_length=1),
        AfterValidator(distinct_labels),
    ]
    training: TrainingTable | None = None
    probes: dict[ProbeName, Options] = Field(default_factory=dict)
    sweep: Annotated[StudySweep | None, Field(exclude=True)] = None
    _text: str = PrivateAttr(default="")
    _file_name: str = PrivateAttr(default="study")
    _cell_files: tuple[CellFile, ...] = PrivateAttr(default=())

    @property
    def text(self) -> str:
        """The study file as it was read."""
        return self._text

    @property
    def file_name(self) -> str:
        """What the study file was called when it was read."""
        return self._file_name

    @property
    def cell_files(self) -> tuple[CellFile, ...]:
        """The Python files of its own cells, given by whoever runs it; none when it is read."""
        return self._cell_files
