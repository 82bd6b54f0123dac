"""One forward pass of a monitored module: what went in, and what gradient came back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from gradprobe.errors import MonitorError
from gradprobe.models import OpaqueModel, RecurrentModel
from gradprobe.models.joint_state import joint_state
from gradprobe.models.opaque.nesting import leaves_of, map_leaves

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

SEQUENCE_MODULES = (nn.RNNBase, RecurrentModel, OpaqueModel)
"""Modules that are called once for a whole sequence; every other is called at each step."""


class SequencePass:
    """A call of a module that takes a whole sequence.

    The gradient that comes back to its output, and to its final state, is what the loss has to do
    with them directly; what it has to do with h_t through later states is for the step Jacobians to
    tell.

    Parameters
    ----------
    module
        The module.
    arguments, result
        Of the call.
    sequences
        How many of the batch are followed, the first ones.
    """

    def __init__(
        self, module: nn.Module, arguments: tuple[Any, ...], result: Any, sequences: int
    ) -> None:
        inputs = arguments[0]
        if not isinstance(inputs, torch.Tensor) or inputs.ndim != 3:
            kind = type(inputs).__name__
            shape = f" {tuple(inputs.shape)}" if isinstance(inputs, torch.Tensor) else ""
            raise MonitorError(
                "a monitored module must be given inputs (T, B, D), or (B, T, D) if it is "
                f"batch_first, got {kind}{shape}; pad packed sequences"
            )
        self._batch_axis = 0 if getattr(module, "batch_first", False) else 1
        self._first = slice(0, sequences)
        self._state_axis = 1 if isinstance(module, nn.RNNBase) else 0
        self.inputs = self._time_first(inputs.detach())
        state = arguments[1] if len(arguments) > 1 else None
        self.initial = None if state is None else map_leaves(self._of_state, state)
        self._output, self._final = result
        self._gradients: dict[int, Tensor] = {}
        for index, tensor in enumerate((self._output, *leaves_of(self._final))):
            if tensor.requires_grad:
                tensor.register_hook(self._keeper(index))

    @property
    def is_complete(self) -> bool:
        """Whether a gradient has come back."""
        return bool(self._gradients)

    def direct(self) -> Tensor:
        """Return ∂⁺L/∂h_t for t = 1 … T, shape (T, b, N)."""
        gradient = self._gradients.get(0)
        return self._time_first(torch.zeros_like(self._output) if gradient is None else gradient)

    def final(self, model: RecurrentModel | OpaqueModel) -> Tensor:
        """Return ∂⁺L/∂s_T, shape (b, S)."""
        zeros = (torch.zeros_like(tensor) for tensor in leaves_of(self._final))
        kept = iter([self._gradients.get(i, zero) for i, zero in enumerate(zeros, start=1)])
        gradients = map_leaves(lambda _: self._of_state(next(kept)), self._final)
        return flat_state(gradients, model)

    def _keeper(self, index: int) -> Callable[[Tensor], None]:
        def keep(gradient: Tensor) -> None:
            kept = self._gradients.get(index)
            self._gradients[index] = gradient.detach() if kept is None else kept + gradient

        return keep

    def _time_first(self, tensor: Tensor) -> Tensor:
        return tensor.detach().movedim(self._batch_axis, 1)[:, self._first]

    def _of_state(self, tensor: Tensor) -> Tensor:
        chosen = (slice(None), self._first) if self._state_axis == 1 else (self._first,)
        return tensor.detach()[chosen]


class CellPass:
    """The calls of a cell along one sequence.

    Automatic differentiation brings the whole gradient ∂L/∂h_t to each new state by itself.

    Parameters
    ----------
    initial
        s_0 as the cell was given it, or None.
    sequences
        How many of the batch are followed, the first ones.
    """

    def __init__(self, initial: Any, sequences: int) -> None:
        self._first = slice(0, sequences)
        self.initial = None if initial is None else map_leaves(self._chosen, initial)
        self._inputs: list[Tensor] = []
        self._gradients: dict[int, Tensor] = {}

    def add(self, inputs: Tensor, hidden: Tensor) -> None:
        """Take note of one step: x_t and h_t."""
        step = len(self._inputs)
        self._inputs.append(self._chosen(inputs))
        if hidden.requires_grad:
            hidden.register_hook(lambda gradient: self._keep(step, gradient))

    @property
    def inputs(self) -> Tensor:
        """x_1 … x_T, shape (T, b, …)."""
        return torch.stack(self._inputs)

    @property
    def is_complete(self) -> bool:
        """Whether a gradient has come back."""
        return bool(self._gradients)

    def gradients(self) -> Tensor:
        """Return ∂L/∂h_t for t = 1 … T, shape (T, b, N), zero where none came back."""
        like = next(iter(self._gradients.values()))
        zeros = torch.zeros_like(like)
        return torch.stack([self._gradients.get(t, zeros) for t in range(len(self._inputs))])

    def _keep(self, step: int, gradient: Tensor) -> None:
        self._gradients[step] = self._chosen(gradient).flatten(1)

    def _chosen(self, tensor: Tensor) -> Tensor:
        return tensor.detach()[self._first]


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
