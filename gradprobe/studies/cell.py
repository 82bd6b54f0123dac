"""Computing one cell, in a worker process: the only part of the studies that imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from gradprobe import models, probes, tasks
from gradprobe.errors import ArgumentError, GradprobeError
from gradprobe.studies.outcome import Rehearsal

if TYPE_CHECKING:
    import pandas as pd

    from gradprobe.models import RecurrentModel
    from gradprobe.tasks.base import Task


def compute(specification: dict[str, Any]) -> pd.DataFrame:
    """Return the table of one cell: its task's sequences through its model, under all its probes.

    Three generators, one per stream of the specification, give the sequences, the model's initial
    values and what the probes draw.  The sequences' stream depends on the seed alone: at one seed,
    all models meet the same sequences.

    Parameters
    ----------
    specification
        As `gradprobe.studies.grid.cells` makes it.
    """
    torch.set_num_threads(specification["threads"])
    dtype = getattr(torch, specification["dtype"])
    inputs, _ = _task(specification).draw(
        specification["sequences"], _generator(specification, "inputs"), specification["split"]
    )
    return probes.probe(
        _model(specification),
        inputs.to(dtype),
        probes=specification["probes"],
        lengths=specification["lengths"],
        dtype=dtype,
        generator=_generator(specification, "probes"),
    )


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
        state_size = _model(specification).state_size
    except GradprobeError as error:
        return Rehearsal({"model": str(error), **mistakes}, 0.0)
    steps = max(specification["lengths"]) * specification["sequences"]
    return Rehearsal(mistakes, float(steps) * state_size**2)


def _probe_mistakes(specification: dict[str, Any]) -> dict[str, str]:
    """Return what each probe says against its options, at the true lengths."""
    inputs = torch.zeros(max(specification["lengths"]), 1, 1)
    model = models.build("vanilla", input_size=1, hidden_size=2)
    mistakes = {}
    for name, options in specification["probes"].items():
        try:
            probes.probe(model, inputs, probes={name: options}, lengths=specification["lengths"])
        except ArgumentError as error:
            mistakes[f"probes.{name}"] = str(error)
    return mistakes


def _model(specification: dict[str, Any]) -> RecurrentModel:
    choice = specification["model"]
    return models.build(
        choice["name"],
        input_size=_task(specification).input_size,
        hidden_size=choice["hidden_size"],
        num_layers=choice["num_layers"],
        generator=_generator(specification, "model"),
        dtype=getattr(torch, specification["dtype"]),
        **choice["options"],
    )


def _generator(specification: dict[str, Any], stream: str) -> torch.Generator:
    return torch.Generator().manual_seed(specification["streams"][stream])


def _task(specification: dict[str, Any]) -> Task:
    choice = specification["task"]
    return tasks.build(choice["name"], **choice["options"])
