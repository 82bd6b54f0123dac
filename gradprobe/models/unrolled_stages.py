"""The unrolled pass of cells whose step has several stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from gradprobe.models.cell import unflatten_units
from gradprobe.models.explicit.stages import layers_of, staged_pass
from gradprobe.models.unrolled import LayerPass

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.cell import Cell
    from gradprobe.models.explicit.workspace import Workspace


def unroll_stages(
    cell: Cell, inputs: Tensor, initial_state: Tensor, workspace: Workspace
) -> LayerPass:
    """Return the states s_1 … s_T of a cell of several stages.

    Where all stages have their derivatives written out the pass is explicit, and can be
    differentiated once; otherwise the way back is left to autograd.

    Parameters
    ----------
    cell
        The cell.
    inputs
        x_1 … x_T, shape (T, B, D).
    initial_state
        s_0, shape (B, S).
    workspace
        Where the large buffers come from.

    Examples
    --------
    >>> from gradprobe import models
    >>> from gradprobe.models.explicit.workspace import Workspace
    >>> cell = models.build("lem", input_size=2, hidden_size=3).cells[0]
    >>> unroll_stages(cell, torch.zeros(7, 4, 2), torch.zeros(4, 6), Workspace()).states.shape
    torch.Size([7, 4, 6])
    """
    initial, layers = unflatten_units(initial_state, cell.components), layers_of(cell, workspace)
    if layers is None:
        return LayerPass.of_states(cell, _by_plain_operations(cell, inputs, initial))
    return LayerPass.of_planes(staged_pass(cell, layers, inputs, initial))


def _by_plain_operations(cell: Cell, inputs: Tensor, units: Tensor) -> Tensor:
    """Return s_1 … s_T, shape (T, B, S); matrices and drives are computed once for all steps."""
    stages = [
        (stage, stage.recurrent_matrix(), stage.drive(inputs).unbind(0), stage.unit_parameters())
        for stage in cell.stages()
    ]
    states = []
    for step in range(len(inputs)):
        for stage, matrix, drives, parameters in stages:
            product = functional.linear(stage.recurrent_argument(units), matrix)
            recurrent = unflatten_units(product, stage.recurrent_terms)
            units = stage.pointwise(units, recurrent, drives[step], parameters)
        states.append(units)
    return torch.stack(states).flatten(-2)
