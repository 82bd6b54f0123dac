"""One forward pass of a monitored module: what went in, and what gradient came back."""

from __future__ import annotations

import itertools
import operator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from gradprobe.errors import MonitorError
from gradprobe.models import OpaqueModel, RecurrentModel
from gradprobe.models.joint_state import joint_state
from gradprobe.models.opaque.nesting import leaves_of, map_leaves
from gradprobe.training.gradients import Gradients, widened

if TYPE_CHECKING:
    from torch import Tensor

SEQUENCE_MODULES = (nn.RNNBase, RecurrentModel, OpaqueModel)
"""Modules that are called once for a whole sequence; every other is called at each step."""


class SequencePass:
    """A call of a module that takes a whole sequence.

    The gradient that comes back to its output, and to its final state, is what the loss has to do
    with them directly; what it has to do with h_t through later states is for the step Jacobians to
    tell.  Only what belongs to the first sequences is kept, and copied: a loop may use the same
    memory for its next batch.

    Parameters
    ----------
    module
        The module.
    arguments, result
        Of the call.
    sequences
        How many of the batch are followed, the first ones.

    Attributes
    ----------
    layered
        Whether each part of a state is (layers, B, N), as torch.nn has it.

    Raises
    ------
    MonitorError
        The inputs are packed, or not of one of torch.nn's shapes.
    """

    def __init__(
        self, module: nn.Module, arguments: tuple[Any, ...], result: Any, sequences: int
    ) -> None:
        inputs, torchs = arguments[0], isinstance(module, nn.RNNBase)
        self._unbatched = torchs and isinstance(inputs, torch.Tensor) and inputs.ndim == 2
        self._batch_axis = 0 if getattr(module, "batch_first", False) else 1
        self.layered = torchs
        self._first = slice(0, sequences)
        _check_inputs(inputs, torchs)
        self.inputs = self._time_first(inputs).clone()
        state = arguments[1] if len(arguments) > 1 else None
        self.initial = (
            None if state is None else map_leaves(lambda leaf: self._of_state(leaf).clone(), state)
        )
        output, final = result
        self._like = torch.zeros_like(self._time_first(output))
        self._like_final = map_leaves(lambda leaf: torch.zeros_like(self._of_state(leaf)), final)
        self._gradients = Gradients()
        self._gradients.watch(0, output, self._time_first)
        for index, tensor in enumerate(leaves_of(final), start=1):
            self._gradients.watch(index, tensor, self._of_state)

    @property
    def batch(self) -> int:
        """How many sequences are followed."""
        return self.inputs.shape[1]

    @property
    def is_complete(self) -> bool:
        """Whether a gradient has come back."""
        return bool(self._gradients.by_number)

    def direct(self) -> Tensor:
        """Return ∂⁺L/∂h_t for t = 1 … T, shape (T, b, N)."""
        return self._gradients.by_number.get(0, widened(self._like))

    def final(self, model: RecurrentModel | OpaqueModel) -> Tensor:
        """Return ∂⁺L/∂s_T, shape (b, S)."""
        numbers = itertools.count(1)
        gradients = map_leaves(
            lambda zeros: self._gradients.by_number.get(next(numbers), widened(zeros)),
            self._like_final,
        )
        return flat_state(gradients, model)

    def _time_first(self, tensor: Tensor) -> Tensor:
        tensor = tensor.detach()
        tensor = tensor.unsqueeze(self._batch_axis) if self._unbatched else tensor
        return tensor.movedim(self._batch_axis, 1)[:, self._first]

    def _of_state(self, tensor: Tensor) -> Tensor:
        tensor = tensor.detach()
        tensor = tensor.unsqueeze(1) if self._unbatched else tensor
        return tensor[:, self._first] if self.layered else tensor[self._first]


def _check_inputs(inputs: object, torchs: bool) -> None:
    shapes = "(T, B, D), or (B, T, D) if it is batch_first, or (T, D)"
    if not isinstance(inputs, torch.Tensor) or inputs.ndim < 2 or (torchs and inputs.ndim > 3):
        shape = f" {tuple(inputs.shape)}" if isinstance(inputs, torch.Tensor) else ""
        raise MonitorError(
            f"a monitored module must be given inputs {shapes}, got {type(inputs).__name__}{shape};"
            " pad packed sequences"
        )


class CellPass:
    """The calls of a cell along one sequence.

    Automatic differentiation brings the whole gradient ∂L/∂h_t to each new state by itself.

    Parameters
    ----------
    module
        The cell.
    initial
        s_0 as the cell was given it, or None.
    sequences
        How many of the batch are followed, the first ones.

    Attributes
    ----------
    changed_at
        The first step t whose state is not the tensors that the step before returned; None if the
        steps are the cell's alone.
    dtype
        Of the gradients.
    """

    def __init__(self, module: nn.Module, initial: Any, sequences: int) -> None:
        self._first = slice(0, sequences)
        self._torchs = isinstance(module, nn.RNNCellBase)
        self.initial = (
            None
            if initial is None
            else map_leaves(lambda leaf: self._chosen(leaf).clone(), initial)
        )
        self.changed_at: int | None = None
        self.dtype = torch.float64
        self._inputs: list[Tensor] = []
        self._last: list[Tensor] = []
        self._gradients = Gradients()

    def continues(self, state: Any) -> bool:
        """Return whether a call with this state is the next step of this sequence.

        It is if no gradient has come back yet, and the state is what the last call returned or else
        was computed from it, or from parameters.
        """
        if self.is_complete or state is None:
            return False
        return self._is_last(state) or any(leaf.grad_fn is not None for leaf in leaves_of(state))

    def add(self, inputs: Tensor, state: Any, new: Any, hidden: Tensor) -> None:
        """Take note of one step: x_t, s_{t-1}, s_t and h_t."""
        if self._inputs and self.changed_at is None and not self._is_last(state):
            self.changed_at = len(self._inputs) + 1
        self._last = list(leaves_of(new))
        self.dtype = hidden.dtype
        self._gradients.watch(len(self._inputs), hidden, self._chosen)
        self._inputs.append(self._chosen(inputs).clone())

    @property
    def inputs(self) -> Tensor:
        """x_1 … x_T, shape (T, b, …)."""
        return torch.stack(self._inputs)

    @property
    def batch(self) -> int:
        """How many sequences are followed."""
        return len(self._inputs[0])

    @property
    def is_complete(self) -> bool:
        """Whether a gradient has come back."""
        return bool(self._gradients.by_number)

    def gradients(self) -> Tensor:
        """Return ∂L/∂h_t for t = 1 … T, shape (T, b, N), zero where none came back."""
        kept = self._gradients.by_number
        zeros = torch.zeros_like(next(iter(kept.values())))
        return torch.stack([kept.get(t, zeros) for t in range(len(self._inputs))]).flatten(2)

    def _is_last(self, state: Any) -> bool:
        leaves = list(leaves_of(state))
        return len(leaves) == len(self._last) and all(map(operator.is_, leaves, self._last))

    def _chosen(self, tensor: Tensor) -> Tensor:
        tensor = tensor.detach()
        unbatched = self._torchs and tensor.ndim == 1
        return (tensor.unsqueeze(0) if unbatched else tensor)[self._first]


def flat_state(state: Any, model: RecurrentModel | OpaqueModel) -> Tensor:
    """Return a state as (B, S), from the parts that a module of torch.nn returns, or flat already.

    Examples
    --------
    >>> import gradprobe as gp
    >>> parts = torch.zeros(2, 5, 3), torch.ones(2, 5, 4)
    >>> flat_state(parts, gp.adapt(nn.LSTM(1, 4, num_layers=2, proj_size=3)))[0].tolist()
    [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]
    """
    if isinstance(model, RecurrentModel):
        return joint_state(state, model.cells)
    if isinstance(state, torch.Tensor) and state.ndim == 2:
        return state
    layers = range(len(state[0]))
    return model.structure.flatten([tuple(part[layer] for part in state) for layer in layers])
