"""Computing one cell, in a worker process: with its parts, all of the studies that needs torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from gradprobe import models, probes
from gradprobe.errors import ArgumentError, GradprobeError, UnsupportedModelError
from gradprobe.studies.measuring import dtype_of_parameters, measure, model_of, task_of
from gradprobe.studies.outcome import Computed, Rehearsal
from gradprobe.studies.own_rehearsal import rehearse_own_cell
from gradprobe.studies.trained_cell import train_cell

if TYPE_CHECKING:
    from gradprobe.models import OpaqueModel, RecurrentModel
    from gradprobe.studies.workplace import Workplace

TRAINING_PASSES = 3
"""A forward pass, and twice that for the backward one."""

FEW_SEQUENCES = 3
"""On so many sequences probes are tried: enough for those that compare some."""


def compute(specification: dict[str, Any], workplace: Workplace) -> Computed | None:
    """Return the table of one cell: its task's sequences through its model, under all its probes.

    Three generators, one per stream of the specification, give the sequences, the model's initial
    values and what the probes draw.  The sequences' stream depends on the seed alone: at one seed,
    all models meet the same sequences.  If the model is trained, the probes measure at the
    iterations that its protocol names.

    Parameters
    ----------
    specification
        As `gradprobe.studies.grid.cells` makes it.
    workplace
        Where a training is saved, and whether it is to stop; None is returned if it was.
    """
    torch.set_num_threads(specification["threads"])
    if specification["training"] is not None:
        return train_cell(specification, workplace)
    model = model_of(specification, getattr(torch, specification["dtype"]))
    return Computed(measure(specification, model))


def rehearse(specification: dict[str, Any], *, with_probes: bool) -> Rehearsal:
    """Build the cell's model, and try its probes on one of two units; what is refused is returned.

    Parameters
    ----------
    specification
        As for `compute`.
    with_probes
        Whether to try the probes, whose options do not depend on the model.
    """
    mistakes = _probe_mistakes(specification) if with_probes else {}
    try:
        model = model_of(specification, dtype_of_parameters(specification))
        if "source" in specification["model"]:
            rehearse_own_cell(specification, model)
    except GradprobeError as error:
        return Rehearsal({"model": str(error), **mistakes}, 0.0)
    return Rehearsal(mistakes, _cost(specification, model))


def _cost(specification: dict[str, Any], model: RecurrentModel | OpaqueModel) -> float:
    """Return about how many products of numbers the cell takes."""
    steps = max(specification["lengths"]) * specification["sequences"]
    probing = float(steps * model.state_size**3) if specification["probes"] else 0.0
    training = specification["training"]
    if training is None:
        return probing
    task = task_of(specification)
    evaluations = training["iterations"] // training["validate_every"] + 1
    sequences = (
        TRAINING_PASSES * training["iterations"] * training["batch_size"]
        + evaluations * task.size("validation")
        + task.size("test")
    )
    return float(sequences * task.length * _products(model)) + probing * len(training["probe_at"])


def _products(model: RecurrentModel | OpaqueModel) -> int:
    """Return about how many products of numbers a step takes."""
    if isinstance(model, models.OpaqueModel):
        return max(model.state_size, model.stored_parameters)
    stages = [stage for cell in model.cells for stage in cell.stages()]
    return sum(stage.recurrent_matrix().numel() for stage in stages)


def _probe_mistakes(specification: dict[str, Any]) -> dict[str, str]:
    """Return what each probe says against its options, at the true lengths."""
    batch = min(specification["sequences"], FEW_SEQUENCES)
    inputs = torch.zeros(max(specification["lengths"]), batch, 1)
    targets = torch.arange(batch)  # of any kind: those of the task are as good
    model = models.build("vanilla", input_size=1, hidden_size=2)
    mistakes = {}
    for name, options in specification["probes"].items():
        try:
            probes.probe(model, inputs, {name: options}, specification["lengths"], targets=targets)
        except UnsupportedModelError:
            continue  # the probe wants other models than the one of two units
        except ArgumentError as error:
            mistakes[f"probes.{name}"] = str(error)
    return mistakes
