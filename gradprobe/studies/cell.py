"""Computing one cell, in a worker process: the only part of the studies that imports torch."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch

from gradprobe import models, probes, tasks
from gradprobe.errors import GradprobeError
from gradprobe.probes.registry import PROBES
from gradprobe.registry import look_up
from gradprobe.studies.outcome import Rehearsal

if TYPE_CHECKING:
    import pandas as pd

    from gradprobe.models import RecurrentModel


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
    task = tasks.build(specification["task"]["name"], **specification["task"]["options"])
    inputs, _ = task.draw(
        specification["sequences"], _generator(specification, "inputs"), specification["split"]
    )
    return probes.probe(
        _model(specification, task.input_size),
        inputs.to(dtype),
        probes=specification["probes"],
        lengths=specification["lengths"],
        dtype=dtype,
        generator=_generator(specification, "probes"),
    )


def rehearse(specification: dict[str, Any]) -> Rehearsal:
    """Build the cell's model and look at its probes' options, computing nothing.

    Parameters
    ----------
    specification
        As for `compute`.
    """
    task = tasks.build(specification["task"]["name"], **specification["task"]["options"])
    mistakes = {
        f"probes.{name}": mistake
        for name, options in specification["probes"].items()
        if (mistake := _probe_mistake(name, options))
    }
    try:
        state_size = _model(specification, task.input_size).state_size
    except GradprobeError as error:
        return Rehearsal({"model": str(error), **mistakes}, 0.0)
    steps = max(specification["lengths"]) * specification["sequences"]
    return Rehearsal(mistakes, float(steps) * state_size**2)


def _model(specification: dict[str, Any], input_size: int) -> RecurrentModel:
    choice = specification["model"]
    return models.build(
        choice["name"],
        input_size=input_size,
        hidden_size=choice["hidden_size"],
        num_layers=choice["num_layers"],
        generator=_generator(specification, "model"),
        dtype=getattr(torch, specification["dtype"]),
        **choice["options"],
    )


def _generator(specification: dict[str, Any], stream: str) -> torch.Generator:
    return torch.Generator().manual_seed(specification["streams"][stream])


def _probe_mistake(name: str, options: dict[str, Any]) -> str | None:
    parameters = inspect.signature(look_up("probe", PROBES, name)).parameters.values()
    valid = sorted(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
    unknown = sorted(set(options) - set(valid))
    if not unknown:
        return None
    return (
        f"probe {name!r} has no option {unknown[0]!r}; its options are: "
        f"{', '.join(valid) or '(none)'}"
    )
