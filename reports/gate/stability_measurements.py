"""Measuring the models of `studies/stability.toml`, sound or with a fault."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from gradprobe import frame, probes
from gradprobe.gate import Measured
from gradprobe.gate.reduction import metrics
from gradprobe.studies import load_study
from gradprobe.studies.grid import cells
from gradprobe.studies.measuring import generator_of, model_of, task_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from faults import Fault

    from gradprobe.models import RecurrentModel

STUDY = Path(__file__).parents[2] / "studies" / "stability.toml"


def measured(
    seeds: Iterable[int], models: Iterable[str] | None = None, fault: Fault | None = None
) -> Measured:
    """Return what the gate sees of the study at some seeds, of all its models or of some.

    A fault comes into every model that is measured.
    """
    study = load_study(STUDY)
    chosen = None if models is None else set(models)
    every = study.model_copy(update={"grid": study.grid.model_copy(update={"seeds": tuple(seeds)})})
    tables = [
        frame.concatenate(
            [measured_table(cell.specification, fault)],
            model=cell.label,
            task=cell.task,
            seed=cell.seed,
        )
        for cell in cells(every)
        if chosen is None or cell.label in chosen
    ]
    found = metrics(frame.concatenate(tables))
    return Measured("stability", {}, every.grid.seeds, found)


def measured_table(specification: dict[str, Any], fault: Fault | None) -> pd.DataFrame:
    """Return the table of a cell's probes, with a fault in its model or without."""
    model = cast("RecurrentModel", model_of(specification, torch.float64))
    inputs, _ = task_of(specification).draw(
        specification["sequences"], generator_of(specification, "inputs"), specification["split"]
    )
    inputs, state = inputs.double(), None
    if fault is not None:
        with torch.no_grad():
            fault.change(model)
            inputs = fault.inputs(inputs)
            state = None if fault.state is None else fault.state(model, inputs)
    return probes.probe(
        model,
        inputs,
        probes=specification["probes"],
        lengths=specification["lengths"],
        state=state,
        generator=generator_of(specification, "probes"),
    )
