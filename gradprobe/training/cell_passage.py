"""The calls of a cell along one sequence in a caller's loop, and what came back to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from gradprobe.errors import UnsupportedModelError
from gradprobe.models.opaque.nesting import leaves_of, map_leaves, same_nesting
from gradprobe.training.gradients import Gradients

if TYPE_CHECKING:
    from torch import Tensor


class CellPassage:
    """Inputs and initial state of a loop over a cell, and ∂L/∂h_t for each state it went through.

    Every h_t is a tensor of the computation here, so that what comes back to it is the whole
    derivative.  h is the first tensor of the state.

    Parameters
    ----------
    module
        The cell.
    most
        How many of the sequences to keep, the first ones.

    Examples
    --------
    >>> cell = nn.GRUCell(2, 3)
    >>> passage, h = CellPassage(cell, most=4), torch.zeros(5, 3)
    >>> for x in torch.zeros(7, 5, 2):
    ...     previous, h = h, cell(x, h)
    ...     passage.append(x, previous, h)
    >>> h.sum().backward()
    >>> passage.batch, len(passage.log_norms()), passage.arrived
    (4, 7, True)
    """

    def __init__(self, module: nn.Module, most: int) -> None:
        self._module = module
        self._most = most
        self._steps: list[Tensor] = []
        self._gradients = Gradients()
        self._last: list[Tensor] = []
        self._dtype = torch.float64
        self.state: Any = None
        self.interrupted_at: int | None = None

    @property
    def inputs(self) -> Tensor:
        """x_1 … x_T, shape (T, B, …)."""
        return torch.stack(self._steps)

    @property
    def batch(self) -> int:
        """How many sequences are kept."""
        return len(self._steps[0])

    @property
    def arrived(self) -> bool:
        """Whether any gradient has come back."""
        return bool(self._gradients.by_number)

    @property
    def dtype(self) -> torch.dtype:
        """What the gradients were computed in."""
        return self._dtype

    def continues(self, state: object) -> bool:
        """Return whether a call with this state is the next step of this sequence.

        It is, if no gradient has come back yet, and the state is what the last call returned, or is
        at least the result of a computation with parameters in it.
        """
        if not self._steps or self.arrived or state is None:
            return False
        return self._is_last(state) or any(
            leaf.requires_grad and not leaf.is_leaf for leaf in leaves_of(state)
        )

    def append(self, inputs: Tensor, state: object, result: object) -> None:
        """Take up one call of the cell."""
        new = new_state(self._module, state, result)
        if not self._steps:
            self.state = map_leaves(self._copied, state)
        elif not self._is_last(state) and self.interrupted_at is None:
            self.interrupted_at = len(self._steps) + 1
        self._steps.append(self._copied(inputs))
        self._last = list(leaves_of(new))
        self._dtype = self._last[0].dtype
        self._gradients.watch(len(self._steps), self._last[0], self._cut)

    def release(self) -> None:
        """Let go of the caller's tensors, once the sequence is over."""
        self._last = []

    def log_norms(self) -> Tensor:
        """Return log‖∂L/∂h_t‖ for t = 1 … T, shape (T, B); −inf where nothing came back."""
        found = self._gradients.by_number
        like = torch.zeros_like(next(iter(found.values())))
        gradients = [found.get(t, like) for t in range(1, len(self._steps) + 1)]
        norms: Tensor = torch.stack(gradients).flatten(2).norm(dim=-1)
        return norms.double().log()

    def _is_last(self, state: object) -> bool:
        leaves = list(leaves_of(state))
        return len(leaves) == len(self._last) and all(
            given is returned for given, returned in zip(leaves, self._last, strict=True)
        )

    def _copied(self, leaf: Tensor | None) -> Tensor | None:
        return None if leaf is None else self._cut(leaf).clone()

    def _cut(self, tensor: Tensor) -> Tensor:
        tensor = tensor.detach()
        single = isinstance(self._module, nn.RNNCellBase) and tensor.ndim == 1
        return (tensor.unsqueeze(0) if single else tensor)[: self._most]


def new_state(module: nn.Module, state: object, result: object) -> object:
    """Return the new state out of what a cell returned, which may be a pair (output, state).

    Raises
    ------
    UnsupportedModelError
        It is not to be told from the output.

    Examples
    --------
    >>> old, new, output = torch.zeros(5, 3), torch.ones(5, 3), torch.zeros(5, 1)
    >>> new_state(nn.Identity(), old, (output, new)) is new
    True
    """
    if isinstance(module, nn.RNNCellBase) or (state is None and isinstance(result, torch.Tensor)):
        return result
    pair = isinstance(result, tuple | list) and len(result) == 2
    candidates = [result, result[1]] if pair else [result]  # type: ignore[index]
    for candidate in candidates:
        if state is not None and _alike(candidate, state):
            return candidate
    raise UnsupportedModelError(
        f"a watched cell must be called as (input, state) and return the new state, shaped like "
        f"the old one, or a pair (output, new state), but {type(module).__name__} was not; give it "
        "its first state too, and watch the part of the network that makes one step"
    )


def _alike(a: object, b: object) -> bool:
    return same_nesting(a, b) and all(
        isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor) and x.shape == y.shape
        for x, y in zip(leaves_of(a), leaves_of(b), strict=True)
    )
