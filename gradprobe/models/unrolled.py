"""The unrolled pass: forward in time, and back-propagation through time, for any cell.

One autograd node for the whole sequence.  Going forward, a step is one matrix product into a buffer
and φ.  Going back, a step is φ's derivative and one matrix product, and the weight gradient is one
large product per chunk of steps.  A cell that writes φ's derivative out goes the explicit way
(`gradprobe.models.explicit`); here is the generic one, which takes the derivatives of a chunk at
once by automatic differentiation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from gradprobe.models.cell import unflatten_units
from gradprobe.models.explicit.rule_of_cell import rule_of
from gradprobe.models.explicit.sweep import (
    Layer,
    Leaves,
    Source,
    explicit_pass,
    refuse_second_derivatives,
)
from gradprobe.models.explicit.workspace import Workspace

if TYPE_CHECKING:
    from gradprobe.models.cell import Cell, LocalDerivatives
    from gradprobe.models.explicit.sweep import Outputs

CHUNK_ELEMENTS = 1 << 20
"""Entries of the largest intermediate tensor of a chunk of steps; bounds the extra memory."""


def unroll(cell: Cell, inputs: Tensor, initial_state: Tensor) -> Tensor:
    """Return the states s_1 … s_T of one cell.

    Parameters
    ----------
    cell
        The cell.
    inputs
        x_1 … x_T, shape (T, B, D).
    initial_state
        s_0, shape (B, S).

    Returns
    -------
    Tensor
        Shape (T, B, S).  It can be differentiated once with respect to the inputs, the initial
        state and the cell's parameters.

    Raises
    ------
    UnsupportedModelError
        When its gradient is itself to be differentiated (``create_graph=True``).

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> cell = models.build("lstm", input_size=2, hidden_size=3).cells[0]
    >>> unroll(cell, torch.zeros(7, 4, 2), torch.zeros(4, 6)).shape
    torch.Size([7, 4, 6])
    """
    return unroll_layer(cell, inputs, initial_state, Workspace()).states


class LayerPass(NamedTuple):
    """The way of one layer through time; reading one of the fields costs nothing for the others.

    Attributes
    ----------
    hidden
        h_1 … h_T, shape (T, B, C_h·N).
    final
        s_T, shape (B, S).
    others
        The other components, shape (T, B, S − C_h·N).
    """

    hidden: Tensor
    final: Tensor
    others: Tensor

    @property
    def states(self) -> Tensor:
        """s_1 … s_T, shape (T, B, S)."""
        return torch.cat((self.hidden, self.others), -1) if self.others.shape[-1] else self.hidden

    @classmethod
    def of_states(cls, cell: Cell, states: Tensor) -> LayerPass:
        """Take the parts out of s_1 … s_T, shape (T, B, S)."""
        sizes = (cell.output_size, cell.state_size - cell.output_size)
        hidden, others = states.split(sizes, dim=-1)
        return cls(hidden, states[-1], others)

    @classmethod
    def of_planes(cls, outputs: Outputs) -> LayerPass:
        """Lay the components of a unit, which an explicit pass keeps apart, one after the other."""
        hidden, others = (part.permute(1, 2, 0, 3).flatten(-2) for part in outputs[:2])
        return cls(hidden, outputs.final.transpose(0, 1).flatten(-2), others)


def unroll_layer(
    cell: Cell, inputs: Tensor, initial_state: Tensor, workspace: Workspace
) -> LayerPass:
    """Return what `unroll` returns, in parts.

    Parameters
    ----------
    cell, inputs, initial_state
        As for `unroll`.
    workspace
        Where the large buffers come from when a gradient will be asked for; kept between the steps
        of a training it saves a third of their time.

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> cell = models.build("lstm", input_size=2, hidden_size=3).cells[0]
    >>> layer = unroll_layer(cell, torch.zeros(7, 4, 2), torch.zeros(4, 6), Workspace())
    >>> layer.hidden.shape, layer.final.shape
    (torch.Size([7, 4, 3]), torch.Size([4, 6]))
    """
    rule, initial = rule_of(cell), unflatten_units(initial_state, cell.components)
    if rule is None:
        states: Tensor = _Unrolled.apply(  # type: ignore[no-untyped-call]
            cell, initial, cell.recurrent_matrix(), cell.drive(inputs), cell.unit_parameters()
        )
        return LayerPass.of_states(cell, states.flatten(-2))
    if cell.has_linear_drive:
        source = Source(inputs, cell.input_matrix(), cell.drive_bias())
    else:
        source = Source(cell.drive(inputs), None, None)
    leaves = Leaves(initial, cell.recurrent_matrix(), cell.unit_parameters(), source)
    return LayerPass.of_planes(explicit_pass(Layer(rule, cell, workspace), leaves))


def recurrent_terms(cell: Cell, states: Tensor, matrix: Tensor) -> Tensor:
    """Return R h for states of shape (..., C, N), in one product: shape (..., G, N)."""
    product: Tensor = torch.nn.functional.linear(cell.recurrent_argument(states), matrix)
    return unflatten_units(product, cell.recurrent_terms)


def steps_per_chunk(cell: Cell, batch: int) -> int:
    """Return how many steps' local derivatives are held at once."""
    terms = cell.components + cell.recurrent_terms + cell.drive_terms
    per_step = batch * cell.hidden_size * cell.components * terms
    return max(1, CHUNK_ELEMENTS // per_step)


class _Unrolled(torch.autograd.Function):
    """States (T, B, C, N) from s_0 (B, C, N), R (G·N, N), drive (T, B, K, N) and θ (P, N)."""

    @staticmethod
    def forward(
        ctx: Any, cell: Cell, initial: Tensor, matrix: Tensor, drive: Tensor, unit: Tensor
    ) -> Tensor:
        states = drive.new_empty(drive.shape[0], *initial.shape)
        product = drive.new_empty(initial.shape[0], matrix.shape[0])
        recurrent = unflatten_units(product, cell.recurrent_terms)
        transposed, state = matrix.T, initial
        for drive_now, new in zip(drive.unbind(0), states.unbind(0), strict=True):
            torch.mm(cell.recurrent_argument(state), transposed, out=product)
            state = new.copy_(cell.pointwise(state, recurrent, drive_now, unit))
        ctx.cell = cell
        ctx.save_for_backward(initial, matrix, drive, unit, states)
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        return None, *_back_propagate(ctx.cell, _Saved(*ctx.saved_tensors), gradients[0])


class _Saved(NamedTuple):
    initial: Tensor
    matrix: Tensor
    drive: Tensor
    unit: Tensor
    states: Tensor


def _back_propagate(cell: Cell, saved: _Saved, gradients: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients with respect to s_0, R, the drive and θ."""
    initial, matrix, drive, unit, states = saved
    steps, batch = drive.shape[:2]
    to_state = torch.zeros_like(initial)
    to_matrix, to_drive = torch.zeros_like(matrix), torch.empty_like(drive)
    to_unit = torch.zeros_like(unit)
    chunk = steps_per_chunk(cell, batch)
    for stop in range(steps, 0, -chunk):
        start = max(0, stop - chunk)
        first = initial[None] if start == 0 else states[start - 1 : start]
        previous = torch.cat((first, states[start : stop - 1]))
        recurrent = recurrent_terms(cell, previous, matrix)
        local = cell.local_derivatives(previous, recurrent, drive[start:stop], unit)
        to_states, to_recurrent, to_state = _sweep(local, matrix, gradients[start:stop], to_state)
        multiplied = cell.recurrent_argument(previous)
        to_matrix.addmm_(to_recurrent.flatten(2).flatten(0, 1).T, multiplied.flatten(0, 1))
        to_drive[start:stop] = torch.einsum("tbckn,tbcn->tbkn", local.by_drive, to_states)
        to_unit += torch.einsum("tbcpn,tbcn->pn", local.by_unit_parameters, to_states)
    return to_state, to_matrix, to_drive, to_unit


def _sweep(
    local: LocalDerivatives, matrix: Tensor, gradients: Tensor, to_state: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Go back through one chunk; `to_state` is the gradient that arrives from later steps.

    Returns the gradients with respect to the chunk's states and recurrent terms, and to the state
    before the chunk.
    """
    to_states = torch.empty_like(gradients)
    to_recurrent = torch.empty_like(local.by_recurrent[:, :, 0])
    for t in range(gradients.shape[0] - 1, -1, -1):
        total = torch.add(gradients[t], to_state, out=to_states[t]).unsqueeze(2)
        torch.sum(local.by_recurrent[t] * total, 1, out=to_recurrent[t])
        to_state = (local.by_state[t] * total).sum(1)
        # A view of the first components, as many as R multiplies.
        to_state.flatten(1)[:, : matrix.shape[1]].addmm_(to_recurrent[t].flatten(1), matrix)
    return to_states, to_recurrent, to_state
