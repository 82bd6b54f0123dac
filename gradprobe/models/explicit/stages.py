"""The explicit pass of a cell whose step has several stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gradprobe.models.explicit.rule import Step
from gradprobe.models.explicit.rule_of_cell import rule_of
from gradprobe.models.explicit.sweep import (
    Backward,
    Forward,
    Layer,
    Leaves,
    Outputs,
    Source,
    fill_drive,
    planes_by_step,
    refuse_second_derivatives,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradprobe.models.cell import Cell
    from gradprobe.models.explicit.workspace import Workspace

TENSORS_OF_A_STAGE = 5
"""R, θ, the inputs, U and b."""


def layers_of(cell: Cell, workspace: Workspace) -> list[Layer] | None:
    """Return a layer for each stage; None if one of the stages has no rule that can be staged.

    Examples
    --------
    >>> from gradprobe import models
    >>> from gradprobe.models.explicit.workspace import Workspace
    >>> cell = models.build("lem", input_size=1, hidden_size=3).cells[0]
    >>> [type(layer.rule).__name__ for layer in layers_of(cell, Workspace())]
    ['MemoryRule', 'OutputRule']
    """
    layers = []
    for stage in cell.stages():
        rule = rule_of(stage)
        if rule is None or rule.in_state or not rule.joined or not stage.has_linear_drive:
            return None
        layers.append(Layer(rule, stage, workspace))
    return layers


def staged_pass(cell: Cell, layers: Sequence[Layer], inputs: Tensor, initial: Tensor) -> Outputs:
    """Return the states of a cell of several stages, differentiable once.

    Parameters
    ----------
    cell
        The cell.
    layers
        Its stages; see `layers_of`.
    inputs
        x_1 … x_T, shape (T, B, D).
    initial
        s_0, shape (B, C, N).

    Examples
    --------
    >>> from gradprobe import models
    >>> from gradprobe.models.explicit.workspace import Workspace
    >>> cell = models.build("lem", input_size=1, hidden_size=3).cells[0]
    >>> layers = layers_of(cell, Workspace())
    >>> staged_pass(cell, layers, torch.zeros(7, 4, 1), torch.zeros(4, 2, 3)).hidden.shape
    torch.Size([1, 7, 4, 3])
    """
    flat: list[Tensor | None] = []
    for stage in cell.stages():
        flat += [stage.recurrent_matrix(), stage.unit_parameters()]
        flat += [inputs, stage.input_matrix(), stage.drive_bias()]
    outputs = _Staged.apply(cell.hidden_components, layers, initial, *flat)  # type: ignore[no-untyped-call]
    return Outputs(*outputs)


def _leaves(initial: Tensor, flat: Sequence[Any]) -> list[Leaves]:
    starts = range(0, len(flat), TENSORS_OF_A_STAGE)
    parts = (flat[start : start + TENSORS_OF_A_STAGE] for start in starts)
    return [Leaves(initial, matrix, unit, Source(*source)) for matrix, unit, *source in parts]


class _Staged(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: int, layers: Sequence[Layer], initial: Tensor, *flat: Any
    ) -> tuple[Tensor, ...]:
        units, saved = _go_forward(layers, _leaves(initial, flat))
        ctx.hidden, ctx.layers = hidden, layers
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(initial, *flat, *units, *saved)
        states = units[0]
        return states[:hidden, 1:], states[hidden:, 1:], states[:, -1].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        stages = len(ctx.layers)
        initial, *others = ctx.saved_tensors
        flat, buffers = others[: -2 * stages], others[-2 * stages :]
        needed = [ctx.needs_input_grad[2], *ctx.needs_input_grad[3:]]
        parts = zip(
            ctx.layers, _leaves(initial, flat), buffers[:stages], buffers[stages:], strict=True
        )
        sweeps = []
        for index, (layer, leaves, units, saved) in enumerate(parts):
            first = 1 + index * TENSORS_OF_A_STAGE
            asked = (needed[0], *needed[first : first + TENSORS_OF_A_STAGE])
            sweeps.append(Backward(layer, leaves, units, saved, asked))
        total = _go_back(sweeps, ctx.hidden, *gradients)
        by_stage = [gradient for sweep in sweeps for gradient in sweep.scaled()]
        to_initial = torch.stack(total[: initial.shape[1]], dim=1) if needed[0] else None
        return None, None, to_initial, *by_stage


def _go_forward(
    layers: Sequence[Layer], leaves: Sequence[Leaves]
) -> tuple[list[Tensor], list[Tensor]]:
    """Return what enters each stage at each step, and what its rule saved; of the first, T + 1.

    What leaves the last stage enters the first one at the next step.
    """
    initial, (steps, batch) = leaves[0].initial, leaves[0].source.values.shape[:2]
    size = initial.shape[-1]
    units, saved = [], []
    for index, (layer, leaf) in enumerate(zip(layers, leaves, strict=True)):
        entering = (layer.cell.components, steps + (index == 0), batch, size)
        units.append(layer.workspace.empty(entering, initial))
        saved.append(layer.workspace.empty((layer.rule.saved_planes, steps, batch, size), initial))
        fill_drive(layer.cell, leaf.source, saved[-1], 0, steps)
    units[0][:, 0] = initial.transpose(0, 1)
    steppers = [
        Forward(layer, leaf.matrix, leaf.unit, batch)
        for layer, leaf in zip(layers, leaves, strict=True)
    ]
    entering_by_step = [list(planes_by_step(planes)) for planes in units]
    saved_by_step = [list(planes_by_step(planes)) for planes in saved]
    for t in range(steps):
        path = [entering[t] for entering in entering_by_step] + [entering_by_step[0][t + 1]]
        for index, stepper in enumerate(steppers):
            stepper.step(path[index], path[index + 1], saved_by_step[index][t])
    return units, saved


def _go_back(
    sweeps: Sequence[Backward],
    hidden: int,
    to_hidden: Tensor | None,
    to_others: Tensor | None,
    final: Tensor | None,
) -> list[Tensor]:
    """Sum the gradients of each stage's tensors, and return that of s_0, plane by plane."""
    widest = max((sweep.total for sweep in sweeps), key=len)
    total = list(torch.zeros_like(widest).unbind(0))
    if final is not None:
        for component, plane in enumerate(final.unbind(0)):
            total[component].copy_(plane)
    arriving = [
        (component, plane)
        for first, part in ((0, to_hidden), (hidden, to_others))
        if part is not None
        for component, plane in enumerate(part.unbind(0), first)
    ]
    batch, size = total[0].shape
    for start, stop in reversed(sweeps[0].chunks):
        shape = (stop - start, batch, size)
        drives = [total[0].new_empty(s.layer.cell.drive_terms, *shape) for s in sweeps]
        _go_back_through(sweeps, range(start, stop), arriving, total, drives)
        for sweep, drive in zip(sweeps, drives, strict=True):
            sweep.add_products(start, stop, drive, drive)
    return total


def _go_back_through(
    sweeps: Sequence[Backward],
    chunk: range,
    arriving: Sequence[tuple[int, Tensor]],
    total: list[Tensor],
    drives: Sequence[Tensor],
) -> None:
    entering = [
        list(planes_by_step(sweep.states[:, chunk.start : chunk.stop + 1])) for sweep in sweeps
    ]
    saved = [list(planes_by_step(sweep.saved[:, chunk.start : chunk.stop])) for sweep in sweeps]
    to_drive = [list(planes_by_step(drive)) for drive in drives]
    for t in reversed(range(len(chunk))):
        for component, plane in arriving:
            total[component].add_(plane[chunk[t]])
        path = [planes[t] for planes in entering] + [entering[0][t + 1]]
        for index in reversed(range(len(sweeps))):
            sweep = sweeps[index]
            step = Step(path[index], path[index + 1], saved[index][t], sweep.leaves.unit)
            sweep.step(step, total, to_drive[index][t], to_drive[index][t])
