"""The grid of a study: a cell for each model, task and seed, with a specification that names it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gradprobe import frame
from gradprobe.seeds import stream_seed
from gradprobe.studies.own_cells import require_cell_files
from gradprobe.studies.settings import settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradprobe.studies.schema import Study
    from gradprobe.studies.settings import Setting

SPECIFICATION_VERSION = 2
"""Version of what a cell's specification means; a change of it makes every cell a new one."""

STREAMS = ("inputs", "model", "probes")
"""The independent random streams of a cell: the sequences, the initialisation, the probes.

A training has more, `gradprobe.training` says which; they follow from the cell's seed, too.
"""


def canonical(specification: object) -> str:
    """Return `specification` as the one JSON text that stands for it: sorted keys, no spaces.

    Examples
    --------
    >>> canonical({"b": 1, "a": [1.5, "ε"]})
    '{"a":[1.5,"ε"],"b":1}'
    """
    return json.dumps(
        specification, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(specification: object) -> str:
    """Return the SHA-256 of the canonical text of `specification`, in hexadecimal.

    Examples
    --------
    >>> digest({})[:8]
    '44136fa3'
    """
    return hashlib.sha256(canonical(specification).encode()).hexdigest()


@dataclass(frozen=True)
class Cell:
    """One model on one task at one seed: the unit that is computed, stored and resumed.

    Attributes
    ----------
    label, task
        What the study calls the model and the task; not part of the specification, so that renaming
        one computes nothing again.
    specification
        Everything that determines the cell's table, and nothing else: model, task, training, seed
        and its streams, lengths, sequences, dtype, threads, probes, versions of the schemas.
    published
        What a paper prints of the model on the task; not part of the specification either.
    parameters
        The swept values, by name; they stand in the specification, too, where they belong.

    Examples
    --------
    >>> Cell("GRU", {"seed": 3}).seed
    3
    """

    label: str
    specification: dict[str, Any]
    task: str = ""
    published: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical specification."""
        return digest(self.specification)

    @property
    def seed(self) -> int:
        """The cell's seed."""
        return int(self.specification["seed"])

    @property
    def trains(self) -> bool:
        """Whether the cell's model is trained."""
        return self.specification.get("training") is not None


def cells(study: Study) -> list[Cell]:
    """Return the cells of `study`: seed by seed, task by task, the models in the file's order.

    Parameters
    ----------
    study
        A checked study.

    Examples
    --------
    >>> import gradprobe.studies.schema as schema
    >>> study = schema.Study(
    ...     name="example", question="?",
    ...     tasks=[{"label": "digits", "name": "digits_rows"}],
    ...     grid={"seeds": [0, 1], "lengths": [8], "sequences": 1},
    ...     models=[{"label": "GRU", "name": "gru", "hidden_size": 4}],
    ...     probes={"singular_values": {}},
    ... )
    >>> [(cell.label, cell.task, cell.seed) for cell in cells(study)]
    [('GRU', 'digits', 0), ('GRU', 'digits', 1)]
    """
    require_cell_files(study)
    shared = [(setting, unseeded_specification(setting)) for setting in settings(study)]
    return [
        Cell(
            setting.model.label,
            {
                **specification,
                "seed": seed,
                "streams": {stream: stream_seed(seed, stream) for stream in STREAMS},
            },
            setting.task.label,
            setting.published(),
            {**setting.task.parameters, **setting.model.parameters},
        )
        for seed in study.grid.seeds
        for setting, specification in shared
    ]


def unseeded_specification(setting: Setting) -> dict[str, Any]:
    """Return what determines the table of `setting` at every seed.

    Parameters
    ----------
    setting
        A model on a task.
    """
    grid, task, protocol = setting.study.grid, setting.task, setting.protocol()
    return {
        "versions": {"specification": SPECIFICATION_VERSION, "table": frame.SCHEMA_VERSION},
        "task": {
            "name": task.name,
            "options": dict(task.options),
            "length": task.build().length,
        },
        "model": setting.model_specification(),
        "training": None if protocol is None else protocol.model_dump(mode="json"),
        "split": grid.split,
        "lengths": sorted(grid.lengths_on(task)),
        "sequences": grid.sequences,
        "dtype": grid.dtype,
        "threads": grid.threads_per_cell,
        "probes": {name: dict(options) for name, options in setting.study.probes.items()},
    }


def study_hash(study: Study) -> str:
    """Return the SHA-256 of the whole checked study: names and words as well as the grid.

    Parameters
    ----------
    study
        A checked study.

    Examples
    --------
    >>> from gradprobe.listing import shipped_study_files
    >>> from gradprobe.studies import load_study
    >>> [len(study_hash(load_study(path))) for path in shipped_study_files()][0]
    64
    """
    return digest(study.model_dump(mode="json"))
