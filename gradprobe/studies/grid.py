"""The grid of a study: one cell for each model and seed, with a specification that names it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gradprobe import frame
from gradprobe.seeds import stream_seed

if TYPE_CHECKING:
    from gradprobe.studies.schema import Study

SPECIFICATION_VERSION = 1
"""Version of what a cell's specification means; a change of it makes every cell a new one."""

STREAMS = ("inputs", "model", "probes")
"""The independent random streams of a cell: the sequences, the initialisation, the probes."""


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
    """One model at one seed: the unit that is computed, stored and resumed.

    Attributes
    ----------
    label
        What the study calls the model; not part of the specification, so that renaming a model
        computes nothing again.
    specification
        Everything that determines the cell's table, and nothing else: model, task, seed and its
        streams, lengths, sequences, dtype, threads, probes, versions of the schemas.

    Examples
    --------
    >>> Cell("GRU", {"seed": 3}).seed
    3
    """

    label: str
    specification: dict[str, Any]

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical specification."""
        return digest(self.specification)

    @property
    def seed(self) -> int:
        """The cell's seed."""
        return int(self.specification["seed"])

    @property
    def task(self) -> str:
        """The name of the cell's task."""
        return str(self.specification["task"]["name"])


def cells(study: Study) -> list[Cell]:
    """Return the cells of `study`, seed by seed, the models of one seed in the file's order.

    Parameters
    ----------
    study
        A checked study.

    Examples
    --------
    >>> import gradprobe.studies.schema as schema
    >>> study = schema.Study(
    ...     name="example", question="?",
    ...     task={"name": "digits_rows"},
    ...     grid={"seeds": [0, 1], "lengths": [8], "sequences": 1},
    ...     models=[{"label": "GRU", "name": "gru", "hidden_size": 4}],
    ...     probes={"singular_values": {}},
    ... )
    >>> [(cell.label, cell.seed) for cell in cells(study)]
    [('GRU', 0), ('GRU', 1)]
    """
    shared = _shared_specification(study)
    return [
        Cell(
            model.label,
            {
                **shared,
                "model": model.model_dump(mode="json", exclude={"label"}),
                "seed": seed,
                "streams": {stream: stream_seed(seed, stream) for stream in STREAMS},
            },
        )
        for seed in study.grid.seeds
        for model in study.models
    ]


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


def _shared_specification(study: Study) -> dict[str, Any]:
    task = study.task.build()
    return {
        "versions": {"specification": SPECIFICATION_VERSION, "table": frame.SCHEMA_VERSION},
        "task": {
            "name": study.task.name,
            "options": dict(study.task.options),
            "length": task.length,
        },
        "split": study.grid.split,
        "lengths": sorted(study.grid.lengths),
        "sequences": study.grid.sequences,
        "dtype": study.grid.dtype,
        "threads": study.grid.threads_per_cell,
        "probes": {name: dict(options) for name, options in study.probes.items()},
    }
