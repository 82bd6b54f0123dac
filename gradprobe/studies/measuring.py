"""What a cell's specification says, made: its task, its model, its streams, its probes' table."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from gradprobe import models, probes, tasks
from gradprobe.errors import ArgumentError, GradprobeError
from gradprobe.models.cell_files import module_of
from gradprobe.models.importing import imported
from gradprobe.seeds import stream_seed

if TYPE_CHECKING:
    import pandas as pd

    from gradprobe.models import OpaqueModel, RecurrentModel
    from gradprobe.tasks.base import Task


def generator_of(specification: dict[str, Any], stream: str) -> torch.Generator:
    """Return the generator of one of the cell's streams.

    Parameters
    ----------
    specification
        As `gradprobe.studies.grid.cells` makes it.
    stream
        As for `gradprobe.seeds.stream_seed`.

    Examples
    --------
    >>> generator_of({"seed": 0}, "model").initial_seed() == stream_seed(0, "model")
    True
    """
    return torch.Generator().manual_seed(stream_seed(specification["seed"], stream))


def task_of(specification: dict[str, Any]) -> Task:
    """Return the cell's task.

    Parameters
    ----------
    specification
        As `gradprobe.studies.grid.cells` makes it.

    Examples
    --------
    >>> task_of({"task": {"name": "noise_padded_digits", "options": {"length": 50}}}).length
    50
    """
    choice = specification["task"]
    return tasks.build(choice["name"], **choice["options"])


def model_of(specification: dict[str, Any], dtype: torch.dtype) -> RecurrentModel | OpaqueModel:
    """Return the cell's model at initialisation, the same numbers in every dtype but for rounding.

    A user's own cell comes out of the files that are importable at present, if they are those that
    the specification names; see `gradprobe.models.importing`.

    Parameters
    ----------
    specification
        As `gradprobe.studies.grid.cells` makes it.
    dtype
        Of its parameters.

    Examples
    --------
    >>> choice = {"name": "gru", "hidden_size": 4, "num_layers": 1, "options": {}}
    >>> task = {"name": "digits_rows", "options": {}}
    >>> model_of({"model": choice, "task": task, "seed": 0}, torch.float64).state_size
    4
    """
    choice = specification["model"]
    make = partial(
        models.build,
        input_size=task_of(specification).input_size,
        hidden_size=choice["hidden_size"],
        num_layers=choice["num_layers"],
        generator=generator_of(specification, "model"),
        dtype=dtype,
        **choice["options"],
    )
    if "source" not in choice:
        return make(choice["name"])
    found = imported(choice["name"], choice["source"])
    try:
        return make(found)
    except GradprobeError as error:
        raise ArgumentError(f"{module_of(choice['name'])}.py: {error}") from error


def dtype_of_parameters(specification: dict[str, Any]) -> torch.dtype:
    """Return the dtype in which the cell's model is made: its training's, or that of the probes.

    Parameters
    ----------
    specification
        As `gradprobe.studies.grid.cells` makes it.

    Examples
    --------
    >>> dtype_of_parameters({"training": None, "dtype": "float64"})
    torch.float64
    """
    name = (specification["training"] or specification)["dtype"]
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def measure(specification: dict[str, Any], model: RecurrentModel | OpaqueModel) -> pd.DataFrame:
    """Return what the cell's probes say of `model`: of its own one, at whatever iteration.

    The inputs and what the probes draw are the same at every call.

    Parameters
    ----------
    specification
        As `gradprobe.studies.grid.cells` makes it.
    model
        Left as it is: a copy in the dtype of the probes is measured if its own is another.
    """
    dtype = getattr(torch, specification["dtype"])
    inputs, targets = task_of(specification).draw(
        specification["sequences"], generator_of(specification, "inputs"), specification["split"]
    )
    return probes.probe(
        _in_dtype(specification, model, dtype),
        inputs.to(dtype),
        probes=specification["probes"],
        lengths=specification["lengths"],
        targets=targets,
        dtype=dtype,
        generator=generator_of(specification, "probes"),
    )


def _in_dtype(
    specification: dict[str, Any], model: RecurrentModel | OpaqueModel, dtype: torch.dtype
) -> RecurrentModel | OpaqueModel:
    """Return `model`, or a new one with its values if it has another dtype.

    `torch.nn.Module.to` would discard the imaginary parts of complex parameters.  A user's own
    module is converted by the probes, which also know what to do if it computes in one dtype only.
    """
    if model.dtype == dtype or isinstance(model, models.OpaqueModel):
        return model
    converted = model_of(specification, dtype)
    converted.load_state_dict(model.state_dict())
    return converted
