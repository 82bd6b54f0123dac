"""A trajectory: the states of a model along its inputs, and the step Jacobians at them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from gradprobe import checks
from gradprobe.errors import ArgumentError
from gradprobe.models.cell import unflatten_units
from gradprobe.models.step_jacobian import LayerJacobian, StepJacobian
from gradprobe.models.unit_map import unit_maps
from gradprobe.models.unrolled import recurrent_terms, steps_per_chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from gradprobe.models.cell import Cell
    from gradprobe.models.recurrent_model import RecurrentModel


@dataclass(frozen=True)
class Trajectory:
    """States s_0 … s_T of a model, from which its step Jacobians are made as they are asked for.

    Parameters
    ----------
    model
        The model, in the dtype of the states; nothing here changes it.
    inputs
        x_1 … x_T, shape (T, B, D).
    states
        For each layer s_0 … s_T, shape (T + 1, B, S of the layer).

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> model = models.build("vanilla", input_size=1, hidden_size=4)
    >>> trajectory = models.trace(model, torch.zeros(6, 2, 1))
    >>> trajectory.length, trajectory.batch
    (6, 2)
    >>> sum(1 for jacobian in trajectory.step_jacobians())
    6
    """

    model: RecurrentModel
    inputs: Tensor
    states: list[Tensor]

    @property
    def length(self) -> int:
        """T."""
        return self.inputs.shape[0]

    @property
    def batch(self) -> int:
        """B."""
        return self.inputs.shape[1]

    def step_jacobian(self, t: int) -> StepJacobian:
        """Return J_t = ∂s_t/∂s_{t-1} for t in 1 … T."""
        if not 1 <= t <= self.length:
            raise ArgumentError(f"t must lie between 1 and {self.length}, got {t}")
        return self._linearise(t - 1, t)[0]

    def step_jacobians(self, stop: int | None = None) -> Iterator[StepJacobian]:
        """Yield J_1, J_2, … J_stop; `stop` is T if not given."""
        stop = self.length if stop is None else stop
        for start in range(0, stop, self._steps_per_chunk):
            yield from self._linearise(start, min(stop, start + self._steps_per_chunk))

    def step_jacobians_reversed(self, stop: int | None = None) -> Iterator[StepJacobian]:
        """Yield J_stop, … J_2, J_1; `stop` is T if not given."""
        stop = self.length if stop is None else stop
        for end in range(stop, 0, -self._steps_per_chunk):
            yield from reversed(self._linearise(max(0, end - self._steps_per_chunk), end))

    @property
    def _steps_per_chunk(self) -> int:
        return min(steps_per_chunk(cell, self.batch) for cell in self.model.cells)

    @torch.no_grad()
    def _linearise(self, start: int, stop: int) -> list[StepJacobian]:
        """Return J_{start+1} … J_stop; φ's derivatives are taken for all of these steps at once."""
        inputs = self.inputs[start:stop]
        per_layer = []
        for cell, states in zip(self.model.cells, self.states, strict=True):
            per_layer.append(_linearise_layer(cell, inputs, states[start:stop]))
            inputs = states[start + 1 : stop + 1, :, : cell.hidden_size]
        return [StepJacobian(layers) for layers in zip(*per_layer, strict=True)]


def _linearise_layer(cell: Cell, inputs: Tensor, previous: Tensor) -> list[LayerJacobian]:
    units = unflatten_units(previous, cell.components)
    matrix, input_matrix = cell.recurrent_matrix(), cell.input_matrix()
    local = cell.local_derivatives(
        units, recurrent_terms(cell, units, matrix), cell.drive(inputs), cell.unit_parameters()
    )
    by_state, by_recurrent, by_drive = (
        unit_maps(part) for part in (local.by_state, local.by_recurrent, local.by_drive)
    )
    return [
        LayerJacobian(state, recurrent, drive, matrix, input_matrix)
        for state, recurrent, drive in zip(by_state, by_recurrent, by_drive, strict=True)
    ]


@torch.no_grad()
def trace(
    model: RecurrentModel,
    inputs: Tensor,
    state: Tensor | None = None,
    *,
    dtype: torch.dtype | None = torch.float64,
) -> Trajectory:
    """Run `model` along `inputs` and return the trajectory.

    Parameters
    ----------
    model
        The model; its parameters are copied into `dtype`, the model itself is not changed.
    inputs
        Shape (T, B, D), or (B, T, D) if the model is `batch_first`.
    state
        s_0, shape (B, S); zeros if not given.
    dtype
        What to compute in; float64 by default, None for the model's own.

    Raises
    ------
    ArgumentError
        A shape or dtype does not fit.
    NonFiniteError
        A parameter, an input, or a state along the way is NaN or infinite.

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> model = models.build("vanilla", input_size=1, hidden_size=4)
    >>> trace(model, torch.zeros(6, 2, 1)).states[0].dtype
    torch.float64
    """
    dtype = model.dtype if dtype is None else dtype
    for name, parameter in model.named_parameters():
        checks.finite(f"parameter {name} of model {model.name!r}", parameter)
    working = copy.deepcopy(model).to(dtype=dtype).requires_grad_(False)
    inputs, initial = working.check(
        _converted("inputs", inputs, dtype),
        None if state is None else _converted("state", state, dtype),
    )
    checks.finite("inputs", inputs)
    checks.finite("state", initial)
    per_layer = working.unroll_layers(inputs, initial)
    states = [
        checks.finite(
            f"states (t, sequence, unit) of layer {index} of model {model.name!r}",
            torch.cat((first[None], later)),
        )
        for index, (first, later) in enumerate(zip(working.split(initial), per_layer, strict=True))
    ]
    return Trajectory(working, inputs, states)


def _converted(name: str, value: Tensor, dtype: torch.dtype) -> Tensor:
    if not isinstance(value, torch.Tensor):
        raise ArgumentError(f"{name} must be a torch.Tensor, got {type(value).__name__}")
    if not value.dtype.is_floating_point:
        raise ArgumentError(
            f"{name} must have a floating-point dtype, got {value.dtype}; "
            f"convert with {name}.double()"
        )
    return value.to(dtype)
