"""The explicit pass itself: forward in time and back, for one layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from gradprobe.errors import UnsupportedModelError
from gradprobe.models.explicit.rule import Step
from gradprobe.models.explicit.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradprobe.models.cell import Cell
    from gradprobe.models.explicit.rule import Planes, PointwiseRule

    Arriving = Sequence[tuple[int, Sequence[Tensor]]]

CHUNK_ELEMENTS = 1 << 18
"""Entries of a plane of a chunk of steps: few enough for the products over a chunk to find them in
the cache."""


@dataclass(frozen=True)
class Layer:
    """What a pass through one layer needs beside the tensors that it differentiates."""

    rule: PointwiseRule
    cell: Cell
    workspace: Workspace

    @property
    def multiplied(self) -> range:
        """The components that R multiplies."""
        first = self.cell.first_recurrent_component
        return range(first, first + self.cell.recurrent_components)

    def blocks(self, matrix: Tensor) -> list[tuple[int, int, Tensor]]:
        """Return R's blocks (N, N) with their recurrent term and the component they multiply."""
        size = self.cell.hidden_size
        return [
            (term, component, matrix[term * size :, position * size :][:size, :size])
            for term in range(self.cell.recurrent_terms)
            for position, component in enumerate(self.multiplied)
        ]

    def chunks(self, steps: int, batch: int) -> list[tuple[int, int]]:
        """Return where the chunks of steps start and stop."""
        length = max(1, CHUNK_ELEMENTS // (batch * self.cell.hidden_size))
        return [(start, min(start + length, steps)) for start in range(0, steps, length)]


class Source(NamedTuple):
    """Where the drive comes from: inputs (T, B, D) with U and b, or a drive (T, B, K, N)."""

    values: Tensor
    matrix: Tensor | None
    bias: Tensor | None


class Leaves(NamedTuple):
    """The tensors that the pass differentiates, and then what it saved of itself."""

    initial: Tensor
    matrix: Tensor
    unit: Tensor
    source: Source


class Outputs(NamedTuple):
    """s_1 … s_T as views: h (C_h, T, B, N), the other components, and s_T apart, (C, B, N).

    What is read of them is differentiated at its own cost: the last state alone brings no gradients
    of the others.
    """

    hidden: Tensor
    others: Tensor
    final: Tensor


def explicit_pass(layer: Layer, leaves: Leaves) -> Outputs:
    """Return the states of a layer; differentiable once, unless nothing asks for a gradient."""
    flat = (leaves.initial, leaves.matrix, leaves.unit, *leaves.source)
    if torch.is_grad_enabled() and any(leaf is not None and leaf.requires_grad for leaf in flat):
        return Outputs(*_Explicit.apply(layer, *flat))  # type: ignore[no-untyped-call]
    with torch.no_grad():
        states, _ = _go_forward(layer, leaves, keep=False)
    return _outputs(layer, states)


def _outputs(layer: Layer, states: Tensor) -> Outputs:
    first = layer.cell.hidden_components
    return Outputs(states[:first, 1:], states[first:, 1:], states[:, -1].clone())


class _Explicit(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, layer: Layer, initial: Tensor, matrix: Tensor, unit: Tensor, *source: Any
    ) -> tuple[Tensor, ...]:
        states, saved = _go_forward(
            layer, Leaves(initial, matrix, unit, Source(*source)), keep=True
        )
        ctx.layer = layer
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(initial, matrix, unit, *source, states, saved)
        return tuple(_outputs(layer, states))

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        initial, matrix, unit, *source, states, saved = ctx.saved_tensors
        leaves = Leaves(initial, matrix, unit, Source(*source))
        sweep = Backward(ctx.layer, leaves, states, saved, ctx.needs_input_grad[1:])
        return None, *sweep.run(*gradients)


def refuse_second_derivatives() -> None:
    """Raise if the backward pass that is under way is itself recorded."""
    if torch.is_grad_enabled():
        raise UnsupportedModelError(
            "the unrolled pass can be differentiated once, but create_graph=True asks for "
            "second derivatives; loop over model.step(inputs[t], state) instead, which is "
            "made of ordinary differentiable operations"
        )


def _go_forward(layer: Layer, leaves: Leaves, *, keep: bool) -> tuple[Tensor, Tensor]:
    """Return the states s_0 … s_T (C, T + 1, B, N), and what the rule saved, for all T steps.

    Without `keep` only one chunk of what is saved exists at a time.
    """
    rule, workspace = layer.rule, layer.workspace if keep else Workspace()
    values, initial = leaves.source.values, leaves.initial
    steps, batch = values.shape[:2]
    chunks, units = layer.chunks(steps, batch), initial.shape[1:]
    shape = (units[0], steps + 1, batch, units[1])
    states = workspace.empty(shape, initial)
    states[:, 0] = initial.transpose(0, 1)
    if rule.in_state:
        saved = states[:1, 1:]
    elif keep:
        saved = workspace.empty((rule.saved_planes, steps, batch, units[1]), initial)
    else:
        saved = initial.new_empty(rule.saved_planes, chunks[0][1], batch, units[1])
    stepper = Forward(layer, leaves.matrix, leaves.unit, batch)
    for start, stop in chunks:
        here = saved[:, start:stop] if keep or rule.in_state else saved[:, : stop - start]
        fill_drive(layer.cell, leaves.source, here, start, stop)
        stepper.run(states[:, start : stop + 1], here)
    return states, saved


def fill_drive(cell: Cell, source: Source, planes: Tensor, start: int, stop: int) -> None:
    """Write the drive of a chunk of steps into the first K planes.

    Examples
    --------
    >>> from gradprobe import models
    >>> cell = models.build("cornn", input_size=1, hidden_size=2).cells[0]
    >>> inputs, planes = torch.ones(5, 3, 1), torch.empty(1, 5, 3, 2)
    >>> source = Source(inputs, cell.input_matrix().detach(), cell.drive_bias().detach())
    >>> fill_drive(cell, source, planes, 0, 5)
    >>> torch.allclose(planes[0], cell.drive(inputs)[:, :, 0])
    True
    """
    values = source.values[start:stop]
    if source.matrix is None:
        planes[: cell.drive_terms].copy_(values.permute(2, 0, 1, 3))
        return
    size = cell.hidden_size
    rows = values.reshape(-1, values.shape[-1])
    for term, weight in enumerate(source.matrix.split(size)):
        out = planes[term].view(-1, size)
        if source.bias is None:
            torch.mm(rows, weight.T, out=out)
        else:
            torch.addmm(source.bias[term * size :][:size], rows, weight.T, out=out)


class Forward:
    """Goes through the steps of a chunk, one after the other.

    Parameters
    ----------
    layer
        The layer.
    matrix, unit
        R and θ.
    batch
        B.

    Examples
    --------
    >>> from gradprobe import models
    >>> from gradprobe.models.explicit.rule_of_cell import rule_of
    >>> from gradprobe.models.explicit.workspace import Workspace
    >>> cell = models.build("antisymmetric", input_size=1, hidden_size=2).cells[0]
    >>> layer = Layer(rule_of(cell), cell, Workspace())
    >>> forward = Forward(layer, cell.recurrent_matrix().detach(), cell.unit_parameters(), 3)
    >>> old, new, drive = torch.ones(1, 3, 2), torch.empty(1, 3, 2), torch.zeros(1, 3, 2)
    >>> forward.step(old, new, drive)
    >>> torch.allclose(new[0], cell.step(torch.zeros(3, 1), old[0]))
    True
    """

    def __init__(self, layer: Layer, matrix: Tensor, unit: Tensor, batch: int) -> None:
        cell = layer.cell
        self.rule, self.unit = layer.rule, unit
        first = layer.multiplied[0]
        self.blocks = [
            (term, component, block.T.contiguous(), int(layer.rule.joined or component != first))
            for term, component, block in layer.blocks(matrix)
        ]
        shape = (0 if layer.rule.joined else cell.recurrent_terms, batch, cell.hidden_size)
        self.recurrent = list(matrix.new_empty(shape).unbind(0))

    def run(self, states: Tensor, saved: Tensor) -> None:
        """Write the states after the first from what `saved` holds of the drive."""
        by_step = list(planes_by_step(states))
        for old, new, planes in zip(by_step, by_step[1:], planes_by_step(saved), strict=False):
            self.step(old, new, planes)

    def step(self, old: Planes, new: Planes, saved: Planes) -> None:
        """Write one new state."""
        targets = saved if self.rule.joined else self.recurrent
        for term, component, block, kept in self.blocks:
            targets[term].addmm_(old[component], block, beta=kept)
        self.rule.forward(Step(old, new, saved, self.unit), self.recurrent)


def planes_by_step(planes: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield the planes (B, N) of each step of a tensor (planes, steps, B, N).

    Examples
    --------
    >>> steps = list(planes_by_step(torch.zeros(2, 5, 3, 4)))
    >>> len(steps), [plane.shape for plane in steps[0]]
    (5, [torch.Size([3, 4]), torch.Size([3, 4])])
    """
    return zip(*(plane.unbind(0) for plane in planes.unbind(0)), strict=True)


class Backward:
    """Goes back through time and sums the gradients of the leaves that need one.

    Parameters
    ----------
    layer, leaves
        The layer and what it is differentiated by.
    states
        s_0 … s_T, shape (C, T + 1, B, N).
    saved
        What the rule saved, shape (planes, T, B, N).
    needed
        Which of the leaves need a gradient.

    Examples
    --------
    >>> from gradprobe import models
    >>> model = models.build("antisymmetric", input_size=1, hidden_size=2)
    >>> hidden, _ = model(torch.ones(5, 3, 1))
    >>> hidden.sum().backward()  # by way of this class
    >>> model.get_parameter("layers.0.bias").grad.shape
    torch.Size([2])
    """

    def __init__(
        self, layer: Layer, leaves: Leaves, states: Tensor, saved: Tensor, needed: tuple[bool, ...]
    ) -> None:
        self.layer, self.leaves = layer, leaves
        self.states, self.saved = states, saved
        initial, self.needed = leaves.initial, needed
        self.chunks = layer.chunks(saved.shape[1], states.shape[2])
        self.to_matrix = torch.zeros_like(leaves.matrix)
        self.to_unit = torch.zeros_like(leaves.unit)
        values, matrix, bias = leaves.source
        self.to_values = layer.workspace.empty(values.shape, values) if needed[3] else None
        self.to_input_matrix = None if matrix is None else torch.zeros_like(matrix)
        self.to_bias = None if bias is None else torch.zeros_like(bias)
        self.total = initial.new_zeros(states.shape[0], *states.shape[2:])
        self.products = self._products()

    def run(
        self, hidden: Tensor | None, others: Tensor | None, final: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """Return the gradients of the leaves from those of the `Outputs`."""
        layer, batch = self.layer, self.states.shape[2]
        if final is not None:
            self.total.copy_(final)
        arriving = [
            (component, plane)
            for first, part in ((0, hidden), (layer.cell.hidden_components, others))
            if part is not None
            for component, plane in enumerate(part.unbind(0), first)
        ]
        cell, length = layer.cell, self.chunks[0][1]
        shape = (length, batch, cell.hidden_size)
        to_drive = self.states.new_empty(cell.drive_terms, *shape)
        to_recurrent = (
            to_drive if layer.rule.joined else self.states.new_empty(cell.recurrent_terms, *shape)
        )
        for start, stop in reversed(self.chunks):
            here = [(component, plane[start:stop].unbind(0)) for component, plane in arriving]
            drive, recurrent = to_drive[:, : stop - start], to_recurrent[:, : stop - start]
            self._go_back(start, stop, here, drive, recurrent)
            self.add_products(start, stop, drive, recurrent)
        return self.total.transpose(0, 1) if self.needed[0] else None, *self.scaled()

    def _go_back(
        self, start: int, stop: int, arriving: Arriving, drive: Tensor, recurrent: Tensor
    ) -> None:
        total = list(self.total.unbind(0))
        states = list(planes_by_step(self.states[:, start : stop + 1]))
        saved = list(planes_by_step(self.saved[:, start:stop]))
        to_drive, to_recurrent = list(planes_by_step(drive)), list(planes_by_step(recurrent))
        for t in range(stop - start - 1, -1, -1):
            for component, gradients in arriving:
                total[component].add_(gradients[t])
            step = Step(states[t], states[t + 1], saved[t], self.leaves.unit)
            self.step(step, total, to_drive[t], to_recurrent[t])

    def step(self, step: Step, total: Planes, to_drive: Planes, to_recurrent: Planes) -> None:
        """Go back through one step, from the gradient of s_t to that of s_{t-1}, in place."""
        rule = self.layer.rule
        rule.backward(step, total, to_drive, to_recurrent, self.to_unit)
        for component, term, block, kept in self.products:
            total[component].addmm_(to_recurrent[term], block, beta=kept, alpha=rule.scale)

    def _products(self) -> list[tuple[int, int, Tensor, int]]:
        """Return R's blocks: component they lead to, recurrent term, whether the total stays."""
        seen: set[int] = set()
        result = []
        for term, component, block in self.layer.blocks(self.leaves.matrix):
            kept = self.layer.rule.keeps_hidden or component in seen
            seen.add(component)
            result.append((component, term, block, int(kept)))
        return result

    def add_products(self, start: int, stop: int, drive: Tensor, recurrent: Tensor) -> None:
        """Add a chunk's part of the gradients of R, U, b and the inputs."""
        _, matrix_needed, _, _, input_matrix_needed, bias_needed = self.needed
        size = self.layer.cell.hidden_size
        if matrix_needed:
            for term, component, block in self.layer.blocks(self.to_matrix):
                multiplied = self.states[component, start:stop].view(-1, size)
                block.addmm_(recurrent[term].view(-1, size).T, multiplied)
        values, matrix, _ = self.leaves.source
        if matrix is None or self.to_input_matrix is None:
            if self.to_values is not None:
                self.to_values[start:stop].copy_(drive.permute(1, 2, 0, 3))
            return
        rows = values[start:stop].reshape(-1, values.shape[-1])
        for term, weight in enumerate(matrix.split(size)):
            part, place = drive[term].view(-1, size), slice(term * size, (term + 1) * size)
            if input_matrix_needed:
                self.to_input_matrix[place].addmm_(part.T, rows)
            if bias_needed and self.to_bias is not None:
                self.to_bias[place] += part.sum(0)
            if self.to_values is not None:
                out = self.to_values[start:stop].view(-1, values.shape[-1])
                out.addmm_(part, weight, beta=int(term > 0))

    def scaled(self) -> tuple[Tensor | None, ...]:
        """Return the gradients of R, θ, the inputs, U and b that were asked for."""
        scale = self.layer.rule.scale
        products = (
            self.to_matrix,
            self.to_unit,
            self.to_values,
            self.to_input_matrix,
            self.to_bias,
        )
        if scale != 1.0:
            for gradient in products:
                if gradient is not None:
                    gradient.mul_(scale)
        return tuple(
            gradient if needed else None
            for gradient, needed in zip(products, self.needed[1:], strict=True)
        )
