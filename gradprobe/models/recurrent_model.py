"""A recurrent model: one cell, or several stacked."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from gradprobe import checks
from gradprobe.errors import ArgumentError
from gradprobe.models.explicit.workspace import Workspace
from gradprobe.models.joint_state import joint_state
from gradprobe.models.linearisation import linearise
from gradprobe.models.staged import StagedCell
from gradprobe.models.unrolled import LayerPass, steps_per_chunk, unroll_layer
from gradprobe.models.unrolled_stages import unroll_stages
from gradprobe.models.working_copy import working_copy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from gradprobe.models.cell import Cell
    from gradprobe.models.step_jacobian import StepJacobian


class RecurrentModel(nn.Module):
    """A stack of cells: the drive of layer l is the new hidden state of layer l − 1.

    Parameters
    ----------
    cells
        The layers, from the input upwards; each takes the hidden values of the one below.
    name
        What tables call the model.
    batch_first
        Whether inputs and outputs are (B, T, ·) rather than (T, B, ·).

    Attributes
    ----------
    input_size, hidden_size
        D of the first layer and N of the last.
    output_size
        The entries of the last layer's h, which a readout takes: N, or 2N for complex units.
    state_size
        S, the sum over the layers; the state is theirs one after the other.

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> model = models.build("lstm", input_size=2, hidden_size=3, num_layers=2)
    >>> hidden, state = model(torch.zeros(7, 4, 2))
    >>> hidden.shape, state.shape
    (torch.Size([7, 4, 3]), torch.Size([4, 12]))
    """

    def __init__(self, cells: Sequence[Cell], *, name: str, batch_first: bool = False) -> None:
        super().__init__()
        if not cells:
            raise ArgumentError("cells must name at least one cell, got none")
        for below, above in itertools.pairwise(cells):
            if above.input_size != below.output_size:
                raise ArgumentError(
                    f"a stacked cell must take the {below.output_size} hidden values below it as "
                    f"its input, got input_size {above.input_size}"
                )
        self.layers = nn.ModuleList(cells)
        self.name = name
        self.batch_first = batch_first
        self._workspace = Workspace()

    @property
    def cells(self) -> list[Cell]:
        """The layers, from the input upwards."""
        return [cast("Cell", layer) for layer in self.layers]

    @property
    def input_size(self) -> int:
        """D of the first layer."""
        return self.cells[0].input_size

    @property
    def hidden_size(self) -> int:
        """N of the last layer."""
        return self.cells[-1].hidden_size

    @property
    def output_size(self) -> int:
        """The entries of the last layer's h."""
        return self.cells[-1].output_size

    @property
    def state_size(self) -> int:
        """S, the sum over the layers."""
        return sum(cell.state_size for cell in self.cells)

    @property
    def hidden_slice(self) -> slice:
        """Where the last layer's h stands in the state: rows and columns of the hidden block."""
        start = self.state_size - self.cells[-1].state_size
        return slice(start, start + self.output_size)

    @property
    def step_size(self) -> float | None:
        """ε if all layers are of the Euler type with the same step size, else None."""
        sizes = {cell.step_size for cell in self.cells}
        return sizes.pop() if len(sizes) == 1 else None

    @property
    def stored_parameters(self) -> int:
        """The number of real scalars that an optimiser would update."""
        return sum(cell.stored_parameters for cell in self.cells)

    @property
    def degrees_of_freedom(self) -> int:
        """The number of free parameters, which papers print; see `Cell.degrees_of_freedom`."""
        return sum(cell.degrees_of_freedom for cell in self.cells)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the parameters."""
        return self.cells[0].dtype

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return self.cells[0].device

    def initial_state(self, batch: int) -> Tensor:
        """Return s_0 where none is given, shape (B, S): zeros, or what the cells have learnt."""
        parts = [cell.initial_units().flatten() for cell in self.cells]
        return torch.cat(parts).expand(batch, -1)

    def penalty(self) -> Tensor:
        """Return the sum of the layers' soft constraints; see `Cell.penalty`."""
        return torch.stack([cell.penalty() for cell in self.cells]).sum()

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the hidden states of the last layer and the final state.

        Parameters
        ----------
        inputs
            Shape (T, B, D), or (B, T, D) with `batch_first`.
        state
            s_0, shape (B, S); `initial_state` if not given.

        Returns
        -------
        tuple of Tensor
            The hidden states, shape (T, B, output_size) or (B, T, output_size), and s_T, shape
            (B, S).

        Raises
        ------
        ArgumentError
            A shape, dtype or device does not fit the model.
        """
        inputs, state = self.check(inputs, state)
        layers = self._unrolled(inputs, state)
        hidden, final = layers[-1].hidden, torch.cat([layer.final for layer in layers], dim=-1)
        return (hidden.transpose(0, 1) if self.batch_first else hidden), final

    def unroll(self, inputs: Tensor, state: Tensor) -> Tensor:
        """Return s_1 … s_T, shape (T, B, S), time first."""
        return torch.cat(self.unroll_layers(inputs, state), dim=-1)

    def unroll_layers(self, inputs: Tensor, state: Tensor) -> list[Tensor]:
        """Return each layer's states s_1 … s_T, shape (T, B, S of the layer), time first."""
        return [layer.states for layer in self._unrolled(inputs, state)]

    def _unrolled(self, inputs: Tensor, state: Tensor) -> list[LayerPass]:
        layers: list[LayerPass] = []
        for cell, initial in zip(self.cells, self.split(state), strict=True):
            run = unroll_stages if isinstance(cell, StagedCell) else unroll_layer
            layers.append(run(cell, inputs, initial, self._workspace))
            inputs = layers[-1].hidden
        return layers

    def step(self, inputs: Tensor, state: Tensor) -> Tensor:
        """Return s_t from x_t, shape (B, D), and s_{t-1}, shape (B, S), by plain operations.

        Differentiable as often as wanted; the reference for everything faster.
        """
        results = []
        for cell, part in zip(self.cells, self.split(state), strict=True):
            results.append(cell.step(inputs, part))
            inputs = results[-1][..., : cell.output_size]
        return torch.cat(results, dim=-1)

    def split(self, state: Tensor) -> tuple[Tensor, ...]:
        """Split a state along its last axis into the layers' states."""
        return torch.split(state, [cell.state_size for cell in self.cells], dim=-1)

    @property
    def jacobian_method(self) -> str:
        """``pointwise``: one matrix product and the derivatives of one pointwise map."""
        return "pointwise"

    def steps_per_chunk(self, batch: int) -> int:
        """Return how many steps to linearise at once."""
        stages = (stage for cell in self.cells for stage in cell.stages())
        return min(steps_per_chunk(stage, batch) for stage in stages)

    def linearise(self, inputs: Tensor, states: Tensor, start: int) -> list[StepJacobian]:
        """Return the step Jacobians along s_start, s_{start+1}, …, shape (steps + 1, B, S)."""
        return linearise(self.cells, inputs, self.split(states), start, self.name)

    def working_copy(self, dtype: torch.dtype) -> RecurrentModel:
        """Return a copy in another dtype, which shares nothing with this model."""
        return working_copy(self, dtype)

    def owner(self, entry: int) -> str:
        """Return which layer an entry of the state belongs to."""
        ends = itertools.accumulate(cell.state_size for cell in self.cells)
        layer = next(index for index, end in enumerate(ends) if entry < end)
        return f"layer {layer} ({type(self.cells[layer]).__name__}) of model {self.name!r}"

    def prepare(self, inputs: Tensor, state: object) -> tuple[Tensor, Tensor]:
        """Return the inputs time first and s_0, in the model's dtype, or raise what does not fit.

        Parameters
        ----------
        inputs
            Shape (T, B, D), or (B, T, D) with `batch_first`, of any floating-point dtype.
        state
            None for `initial_state`; shape (B, S); or as torch.nn has it: one tensor for each
            component of the units, (h, c) for an LSTM, of shape (layers, B, N).
        """
        flat = None if state is None else self._convert("state", joint_state(state, self.cells))
        return self.check(self._convert("inputs", inputs), flat)

    def check(self, inputs: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the inputs time first, and the initial state, or raise what does not fit."""
        axes = ("B", "T", self.input_size) if self.batch_first else ("T", "B", self.input_size)
        self._check_kind("inputs", inputs, "dtype", "device")
        checks.shape("inputs", inputs, axes)
        if 0 in inputs.shape:
            raise ArgumentError(
                "inputs must hold at least one step and one sequence, got shape "
                f"{tuple(inputs.shape)}"
            )
        inputs = inputs.transpose(0, 1) if self.batch_first else inputs
        if state is None:
            return inputs, self.initial_state(inputs.shape[1])
        self._check_kind("state", state, "dtype", "device")
        return inputs, checks.shape("state", state, (inputs.shape[1], self.state_size))

    def _convert(self, name: str, value: object) -> Tensor:
        if not isinstance(value, torch.Tensor):
            raise ArgumentError(f"{name} must be a torch.Tensor, got {type(value).__name__}")
        if not value.dtype.is_floating_point:
            raise ArgumentError(
                f"{name} must have a floating-point dtype, got {value.dtype}; "
                f"convert with {name}.double()"
            )
        self._check_kind(name, value, "device")
        # A tensor made in inference mode cannot take part in a differentiation; its copy can.
        return (value.clone() if value.is_inference() else value.detach()).to(self.dtype)

    def _check_kind(self, name: str, value: object, *kinds: str) -> None:
        if not isinstance(value, torch.Tensor):
            raise ArgumentError(f"{name} must be a torch.Tensor, got {type(value).__name__}")
        for kind in kinds:
            expected, got = getattr(self, kind), getattr(value, kind)
            if got != expected:
                argument = repr(str(expected)) if kind == "device" else expected
                raise ArgumentError(
                    f"{name} must have the model's {kind} {expected}, got {got}; "
                    f"convert with {name}.to({argument})"
                )

    def extra_repr(self) -> str:
        """Return the name, for `repr`."""
        return f"name={self.name!r}, batch_first={self.batch_first}"
