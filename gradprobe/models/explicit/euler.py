"""The rule of Euler steps h + ε tanh(R h + u)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gradprobe.models.explicit.rule import PointwiseRule, tanh_, tanh_backward

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.explicit.rule import Planes, Step


class EulerRule(PointwiseRule):
    """φ = h + ε y with y = tanh(R h + u), which is saved; ε waits for the products.

    Parameters
    ----------
    step_size
        ε.

    Examples
    --------
    >>> EulerRule(0.01).scale
    0.01
    """

    def __init__(self, step_size: float) -> None:
        self.scale = step_size

    def forward(self, step: Step, recurrent: Planes) -> None:
        """Write h + ε y."""
        torch.add(step.old[0], tanh_(step.saved[0]), alpha=self.scale, out=step.new[0])

    def backward(
        self, step: Step, total: Planes, to_drive: Planes, to_recurrent: Planes, to_unit: Tensor
    ) -> None:
        """Write total ∘ (1 − y²); the total itself goes on to h."""
        tanh_backward(total[0], step.saved[0], grad_input=to_drive[0])
