"""A cell whose model is trained: its sizes, its training, and its probes along the way."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from gradprobe import frame, training
from gradprobe.errors import CheckpointError, StoreError
from gradprobe.models import Readout
from gradprobe.models.initialiser import Initialiser
from gradprobe.studies.database import FULL
from gradprobe.studies.measuring import generator_of, measure, model_of, task_of
from gradprobe.studies.outcome import Computed
from gradprobe.studies.workplace import BEGINS_ANEW, Notes

if TYPE_CHECKING:
    import pandas as pd

    from gradprobe.models import OpaqueModel, RecurrentModel
    from gradprobe.studies.workplace import Workplace
    from gradprobe.tasks.base import Task


def train_cell(specification: dict[str, Any], workplace: Workplace) -> Computed | None:
    """Train the cell's model, or go on with it; return its table, or None if it was asked to stop.

    Parameters
    ----------
    specification
        As `gradprobe.studies.grid.cells` makes it, with a training.
    workplace
        Where the training is saved and its progress noted.

    Raises
    ------
    CheckpointError
        The checkpoint is refused, and the workplace does not say that it is to be begun anew then.
    StoreError
        There is no room for the checkpoint.
    """
    try:
        return _trained_or_refused(specification, workplace)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise StoreError(
            f"no checkpoint can be written: {error.strerror}; make room on the disk: "
            f"{workplace.checkpoint.parent}"
        ) from error


def _trained_or_refused(specification: dict[str, Any], workplace: Workplace) -> Computed | None:
    try:
        return _trained(specification, workplace)
    except CheckpointError as error:
        if not workplace.begins_anew:
            raise CheckpointError(error.reason, f"{BEGINS_ANEW}: {workplace.checkpoint}") from error
    workplace.checkpoint.replace(workplace.aside)
    return _trained(specification, workplace)


def _trained(specification: dict[str, Any], workplace: Workplace) -> Computed | None:
    protocol = training.TrainingProtocol.model_validate(specification["training"])
    dtype = getattr(torch, protocol.dtype)
    task, model = task_of(specification), model_of(specification, dtype)
    initialiser = Initialiser(generator_of(specification, "readout"), dtype=dtype)
    readout = Readout(model.output_size, task.output_size, initialiser)
    workplace.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    notes = Notes(workplace.note)
    try:
        result = training.train(
            model,
            readout,
            task,
            protocol,
            seed=specification["seed"],
            checkpoint=workplace.checkpoint,
            probes=partial(measure, specification) if specification["probes"] else None,
            progress=lambda progress: notes.take(
                progress.iteration,
                progress.iterations,
                progress.metric,
                progress.validation,
                progress.activity,
            ),
            stop=workplace.stopping,
        )
    except training.TrainingInterruptedError:
        return None
    table = frame.concatenate([sizes(model, readout, task), result.table])
    return Computed(table, result.seconds)


def sizes(
    model: RecurrentModel | OpaqueModel, readout: torch.nn.Module, task: Task
) -> pd.DataFrame:
    """Return the rows of probe ``size``: numbers of parameters and of examples.

    ``stored_parameters`` and ``degrees_of_freedom`` are the model's, without the readout; ``total``
    is ``degrees_of_freedom`` and ``readout_parameters`` together, as papers count.

    Parameters
    ----------
    model, readout, task
        What is trained, and on what.
    """
    in_readout = sum(parameter.numel() for parameter in readout.parameters())
    counts = {
        "stored_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "degrees_of_freedom": model.degrees_of_freedom,
        "readout_parameters": in_readout,
        "total": model.degrees_of_freedom + in_readout,
        "test_examples": task.size("test"),
        "validation_examples": task.size("validation"),
        "number_of_classes": task.output_size,
    }
    return frame.rows(
        iteration=0,
        probe="size",
        quantity=list(counts),
        value=list(counts.values()),
        error=0.0,
        resolved=True,
    )
