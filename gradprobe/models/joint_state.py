"""The state of a stack of cells, out of the parts that torch.nn's modules return."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gradprobe import checks
from gradprobe.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from gradprobe.models.cell import Cell


def joint_state(state: object, cells: Sequence[Cell]) -> Tensor:
    """Return a state of shape (B, S), layer by layer, each with its components in order.

    Parameters
    ----------
    state
        That already; or a tensor (layers, B, N), or a tuple with one such tensor for each component
        of the units: (h, c) for an LSTM, real and imaginary parts for complex units.
    cells
        The layers.

    Examples
    --------
    >>> from gradprobe import models
    >>> cells = models.build("lstm", input_size=1, hidden_size=3, num_layers=2).cells
    >>> joint_state((torch.zeros(2, 5, 3), torch.ones(2, 5, 3)), cells)[0].tolist()
    [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    """
    if isinstance(state, torch.Tensor) and state.ndim != 3:
        return state
    parts = state if isinstance(state, tuple | list) else (state,)
    components = cells[0].components
    if len(parts) != components or not all(isinstance(part, torch.Tensor) for part in parts):
        kinds = ", ".join(type(part).__name__ for part in parts)
        raise ArgumentError(
            f"state must be a tensor (B, S) or {components} of shape (layers, B, N), got ({kinds})"
        )
    for part in parts:
        checks.shape("each part of state", part, (len(cells), "B", cells[0].hidden_size))
    return torch.cat([part[layer] for layer in range(len(cells)) for part in parts], dim=-1)
