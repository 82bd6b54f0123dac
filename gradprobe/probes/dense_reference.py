"""The dense autograd reference: slow, plain, and independent of the fast paths.

It differentiates a loop over ``model.step`` by reverse-mode automatic differentiation, one length
at a time.  Tests and tutorials share it; it underflows and rounds as any dense product does, so it
is a reference for short sequences only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models import Dynamics


def end_to_end_jacobian(
    model: Dynamics, inputs: Tensor, state: object = None, *, start: int = 0
) -> Tensor:
    """Return ∂s_T/∂s_start for each sequence, by autograd.

    Parameters
    ----------
    model
        The model.
    inputs
        x_1 … x_T, shape (T, B, D).
    state
        s_0, shape (B, S); where the model starts by itself if not given.
    start
        The t in ∂s_T/∂s_t.

    Returns
    -------
    Tensor
        Shape (B, S, S), in the model's dtype.

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> model = models.build("lstm", input_size=1, hidden_size=3)
    >>> end_to_end_jacobian(model, torch.zeros(5, 2, 1)).shape
    torch.Size([2, 6, 6])
    """
    inputs, initial = model.prepare(inputs, state)
    with torch.no_grad():
        for now in inputs[:start]:
            initial = model.step(now, initial)

    def run(state: Tensor) -> Tensor:
        for now in inputs[start:]:
            state = model.step(now, state)
        # Sequences do not interact, so the sum over them loses nothing and saves a factor B.
        return state.sum(0)

    with torch.enable_grad():
        jacobian: Tensor = torch.autograd.functional.jacobian(run, initial)
    return jacobian.transpose(0, 1)
