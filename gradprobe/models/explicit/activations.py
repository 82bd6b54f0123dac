"""The rules of steps φ = f(R h + u) whose derivative can be read off the new state itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from gradprobe.models.explicit.rule import PointwiseRule, tanh_, tanh_backward

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.explicit.rule import Planes, Step

threshold_backward = torch.ops.aten.threshold_backward.grad_input


class TanhRule(PointwiseRule):
    """φ = tanh(R h + u).

    Examples
    --------
    >>> TanhRule().in_state
    True
    """

    in_state: ClassVar[bool] = True
    keeps_hidden: ClassVar[bool] = False

    def forward(self, step: Step, recurrent: Planes) -> None:
        """Write tanh."""
        tanh_(step.new[0])

    def backward(
        self, step: Step, total: Planes, to_drive: Planes, to_recurrent: Planes, to_unit: Tensor
    ) -> None:
        """Write total ∘ (1 − h²)."""
        tanh_backward(total[0], step.new[0], grad_input=to_drive[0])


class ReluRule(PointwiseRule):
    """φ = relu(R h + u); its derivative at 0 is 0, as torch has it.

    Examples
    --------
    >>> ReluRule().in_state
    True
    """

    in_state: ClassVar[bool] = True
    keeps_hidden: ClassVar[bool] = False

    def forward(self, step: Step, recurrent: Planes) -> None:
        """Write relu."""
        step.new[0].relu_()

    def backward(
        self, step: Step, total: Planes, to_drive: Planes, to_recurrent: Planes, to_unit: Tensor
    ) -> None:
        """Write the total where h > 0, and 0 elsewhere."""
        threshold_backward(total[0], step.new[0], 0, grad_input=to_drive[0])


class ModReluRule(PointwiseRule):
    """φ = sign(a) relu(|a| + b) of a = R h + u; b is the one parameter of a unit.

    Examples
    --------
    >>> ModReluRule().in_state
    True
    """

    in_state: ClassVar[bool] = True
    keeps_hidden: ClassVar[bool] = False

    def forward(self, step: Step, recurrent: Planes) -> None:
        """Write modReLU."""
        argument = step.new[0]
        sign = argument.sign()
        argument.abs_().add_(step.unit[0]).relu_().mul_(sign)

    def backward(
        self, step: Step, total: Planes, to_drive: Planes, to_recurrent: Planes, to_unit: Tensor
    ) -> None:
        """Write the total where h ≠ 0, and 0 elsewhere; for b its sum with the sign of h."""
        sign = step.new[0].sign()
        signed = torch.mul(total[0], sign, out=to_drive[0])
        to_unit[0] += signed.sum(0)
        signed.mul_(sign)
