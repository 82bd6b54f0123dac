"""The step Jacobians of a stack of cells along its states, a chunk of steps at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gradprobe.errors import NonFiniteError
from gradprobe.models.cell import unflatten_units
from gradprobe.models.step_jacobian import (
    LayerJacobian,
    Recurrence,
    StageJacobian,
    StepJacobian,
)
from gradprobe.models.unit_map import unit_maps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from gradprobe.models.cell import Cell, LocalDerivatives


@torch.no_grad()
def linearise(
    cells: Sequence[Cell], inputs: Tensor, states: Sequence[Tensor], start: int, name: str
) -> list[StepJacobian]:
    """Return J_{start+1}, J_{start+2}, …; φ's derivatives are taken for all steps at once.

    Parameters
    ----------
    cells
        The layers, from the input upwards.
    inputs
        x_{start+1}, …, shape (steps, B, D).
    states
        For each layer s_start, s_{start+1}, …, shape (steps + 1, B, S of the layer).
    start
        The t of the first state, for messages.
    name
        What messages call the model.

    Raises
    ------
    NonFiniteError
        A derivative is NaN or infinite; the message names the step and the cell.

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> cells = models.build("gru", input_size=1, hidden_size=3).cells
    >>> len(linearise(cells, torch.zeros(5, 2, 1), [torch.zeros(6, 2, 3)], 0, "gru"))
    5
    """
    per_layer = []
    for index, (cell, part) in enumerate(zip(cells, states, strict=True)):
        where = f"layer {index} ({type(cell).__name__}) of model {name!r}"
        # Nothing that the state depends on drives the first layer.
        driven = index > 0
        per_layer.append(_linearise_layer(cell, inputs, part[:-1], start, where, driven))
        inputs = part[1:, :, : cell.output_size]
    return [StepJacobian(layers) for layers in zip(*per_layer, strict=True)]


def _linearise_layer(
    cell: Cell, inputs: Tensor, previous: Tensor, start: int, where: str, driven: bool
) -> list[LayerJacobian]:
    units, per_stage = unflatten_units(previous, cell.components), []
    for stage in cell.stages():
        matrix = stage.recurrent_matrix()
        arguments = stage.arguments(units, inputs, matrix)
        local = stage.local_derivatives(*arguments)
        _check_finite(local, start, where)
        by_inputs = stage.drive_jacobian(inputs) if driven else None
        per_stage.append(_stage_jacobians(stage, local, matrix, by_inputs))
        if len(per_stage) < len(cell.stages()):
            units = stage.pointwise(*arguments)
    return [LayerJacobian(at_step, cell.output_size) for at_step in zip(*per_stage, strict=True)]


def _stage_jacobians(
    stage: Cell, local: LocalDerivatives, matrix: Tensor, by_inputs: Tensor | None
) -> list[StageJacobian]:
    _, batch, outputs, components, units = local.by_state.shape
    recurrence = Recurrence.of(
        matrix,
        batch=batch,
        first=stage.first_recurrent_component * stage.hidden_size,
        state_size=components * units,
        rows=outputs * units,
    )
    parts = [unit_maps(part) for part in (local.by_state, local.by_recurrent)]
    # Where nothing asks for them, the derivatives by the drive are not taken apart.
    driven = [None] * len(parts[0]) if by_inputs is None else unit_maps(local.by_drive)
    maps = zip(*parts, driven, strict=True)
    jacobians = []
    for step, (by_state, by_recurrent, by_drive) in enumerate(maps):
        # That of a drive which is not linear varies from step to step.
        at_step = by_inputs if by_inputs is None or by_inputs.ndim == 2 else by_inputs[step]
        jacobians.append(StageJacobian(by_state, by_recurrent, by_drive, recurrence, at_step))
    return jacobians


def _check_finite(local: LocalDerivatives, start: int, where: str) -> None:
    # One number tells that all are finite; only a sum that is not must be looked into.
    if bool(torch.stack([derivatives.sum() for derivatives in local[:3]]).isfinite().all()):
        return
    for derivatives in (local.by_state, local.by_recurrent, local.by_drive):
        finite = derivatives.isfinite().flatten(1).all(1)
        if not bool(finite.all()):
            step = start + 1 + int((~finite).nonzero()[0])
            raise NonFiniteError(
                f"the step Jacobian must be finite, but at step t = {step} a derivative of "
                f"{where} is NaN or infinite; see whether a square root, a division or a "
                "logarithm in the cell meets zero there"
            )
