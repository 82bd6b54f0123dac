"""One call of a module that runs along a whole sequence, and what came back to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from gradprobe.errors import UnsupportedModelError
from gradprobe.models.opaque.nesting import leaves_of, map_leaves
from gradprobe.training.gradients import Gradients

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class SequencePassage:
    """Inputs and initial state of the call, and the direct gradients g_t of its results.

    Its steps are inside, so ∂L/∂h_t is no tensor of the computation; `adjoint_norms` has it from
    the direct gradients.

    Parameters
    ----------
    module
        A ``torch.nn.RNN``, ``LSTM`` or ``GRU``, or a model of gradprobe.
    inputs, state
        What it was called with.
    result
        What it returned: the outputs and the final state.
    most
        How many of the sequences to keep, the first ones.

    Raises
    ------
    UnsupportedModelError
        The inputs are packed.

    Examples
    --------
    >>> gru, inputs = nn.GRU(2, 3), torch.zeros(7, 5, 2)
    >>> result = gru(inputs)
    >>> passage = SequencePassage(gru, inputs, None, result, most=4)
    >>> result[0][-1].sum().backward()
    >>> passage.batch, passage.direct().shape, passage.arrived
    (4, torch.Size([7, 4, 3]), True)
    """

    def __init__(
        self, module: nn.Module, inputs: object, state: object, result: object, most: int
    ) -> None:
        if not isinstance(inputs, torch.Tensor):
            raise UnsupportedModelError(
                f"a watched {type(module).__name__} was called with inputs of type "
                f"{type(inputs).__name__}; call it with a padded tensor (T, B, D), and mask the "
                "padding in the loss"
            )
        self._torchs = isinstance(module, nn.RNNBase)
        self._without_batch = self._torchs and inputs.ndim == 2
        self._axis = 0 if getattr(module, "batch_first", False) else 1
        self._most = most
        self.inputs = self._cut(inputs).clone()
        self.state = self._initial_state(state)
        outputs, *final = leaves_of(result)
        self._shape, self._final_shapes = self._cut(outputs).shape, [
            self._cut_state(leaf).shape for leaf in final
        ]
        self._gradients = Gradients()
        self._gradients.watch(0, outputs, self._cut)
        for number, leaf in enumerate(final, start=1):
            self._gradients.watch(number, leaf, self._cut_state)

    @property
    def batch(self) -> int:
        """How many sequences are kept."""
        return self.inputs.shape[self._axis]

    @property
    def arrived(self) -> bool:
        """Whether any gradient has come back."""
        return bool(self._gradients.by_number)

    def direct(self) -> Tensor:
        """Return g_1 … g_T, the gradients of the loss by the outputs, shape (T, B, N)."""
        gradient = self._gradients.by_number.get(0)
        if gradient is None:
            gradient = next(iter(self._gradients.by_number.values())).new_zeros(self._shape)
        return gradient.transpose(0, 1) if self._axis == 0 else gradient

    def direct_final(self) -> Tensor | None:
        """Return the gradient of the loss by the returned final state, (B, S); None if unused."""
        found = self._gradients.by_number
        if not any(number > 0 for number in found):
            return None
        like = next(iter(found.values()))
        parts = [
            found.get(number, like.new_zeros(shape))
            for number, shape in enumerate(self._final_shapes, start=1)
        ]
        return self._joint(parts)

    def _initial_state(self, state: object) -> object:
        if state is None:
            return None
        cut = map_leaves(lambda leaf: self._cut_state(leaf).clone(), state)
        return self._joint(list(leaves_of(cut))) if self._torchs else cut

    def _joint(self, parts: Sequence[Tensor]) -> Tensor:
        """Return a state, (B, S), of its parts: for torch.nn, layer by layer each (B, N)."""
        if not self._torchs:
            return parts[0]
        return torch.cat([part[layer] for layer in range(len(parts[0])) for part in parts], dim=-1)

    def _cut(self, tensor: Tensor) -> Tensor:
        """Return the first sequences of inputs or outputs, with their batch axis."""
        tensor = tensor.detach()
        tensor = tensor.unsqueeze(self._axis) if self._without_batch else tensor
        return tensor.narrow(self._axis, 0, min(self._most, tensor.shape[self._axis]))

    def _cut_state(self, tensor: Tensor) -> Tensor:
        """Return the first sequences of a part of a state, (layers, B, N) or (B, …)."""
        tensor = tensor.detach()
        if not self._torchs:
            return tensor[: self._most]
        return (tensor.unsqueeze(1) if self._without_batch else tensor)[:, : self._most]
