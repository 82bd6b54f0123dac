"""The chaos-free network (Laurent & von Brecht, ICLR 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn import functional

from gradprobe import checks
from gradprobe.models.cell import Cell
from gradprobe.models.explicit.rule import (
    PointwiseRule,
    sigmoid_backward,
    tanh_,
    tanh_backward,
)

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.explicit.rule import Planes, Step
    from gradprobe.models.initialiser import Initialiser


class CfnRule(PointwiseRule):
    """φ of a CFN; θ, η, tanh(W x) and tanh(h) are saved.

    Examples
    --------
    >>> CfnRule().saved_planes
    4
    """

    saved_planes: ClassVar[int] = 4
    joined: ClassVar[bool] = False

    def forward(self, step: Step, recurrent: Planes) -> None:
        """Write the gates, the two tanh, and θ ∘ tanh(h) + η ∘ tanh(W x)."""
        forget_gate, input_gate, update, kept = step.saved
        forget_gate.add_(recurrent[0]).sigmoid_()
        input_gate.add_(recurrent[1]).sigmoid_()
        tanh_(step.old[0], out=kept)
        torch.mul(forget_gate, kept, out=step.new[0]).addcmul_(input_gate, tanh_(update))

    def backward(
        self, step: Step, total: Planes, to_drive: Planes, to_recurrent: Planes, to_unit: Tensor
    ) -> None:
        """Write the gradients of θ, η and W x; what goes on to h directly is through tanh(h)."""
        forget_gate, input_gate, update, kept = step.saved
        to_forget, to_input, to_update = to_drive
        torch.mul(total[0], kept, out=to_forget)
        sigmoid_backward(to_forget, forget_gate, grad_input=to_forget)
        torch.mul(total[0], update, out=to_input)
        sigmoid_backward(to_input, input_gate, grad_input=to_input)
        torch.mul(total[0], input_gate, out=to_update)
        tanh_backward(to_update, update, grad_input=to_update)
        for result, source in zip(to_recurrent, (to_forget, to_input), strict=True):
            result.copy_(source)
        total[0].mul_(forget_gate)
        tanh_backward(total[0], kept, grad_input=total[0])


class Cfn(Cell):
    """h_t = θ_t ∘ tanh(h_{t-1}) + η_t ∘ tanh(W x_t).

    θ_t = σ(U_θ h_{t-1} + V_θ x_t + b_θ) is the forget gate, η_t = σ(U_η h_{t-1} + V_η x_t + b_η)
    the input gate.  Without input every unit decays to zero, |h_{t,i}| < |h_{t-1,i}|, whatever the
    weights: the network has no chaotic dynamics of its own.

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from: U, V and W uniform between −0.07 and 0.07, b_θ and b_η
        as below.
    forget_bias, input_bias
        Initial b_θ and b_η; the defaults are the paper's.

    References
    ----------
    Laurent & von Brecht, "A recurrent neural network without chaos", ICLR 2017, equations 1 and 2,
    and section 2.1 (the decay); initialisation: section 3.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> initialiser = Initialiser(torch.Generator().manual_seed(0))
    >>> Cfn(1, 128, initialiser=initialiser).stored_parameters == 2 * 128**2 + 3 * 128 + 2 * 128
    True
    """

    recurrent_terms: ClassVar[int] = 2
    drive_terms: ClassVar[int] = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        initialiser: Initialiser,
        forget_bias: float = 1.0,
        input_bias: float = -1.0,
    ) -> None:
        super().__init__(input_size, hidden_size)
        size = self.hidden_size
        bound = 0.07
        self.recurrent_weight = initialiser.uniform(2 * size, size, low=-bound, high=bound)
        self.input_weight = initialiser.uniform(3 * size, self.input_size, low=-bound, high=bound)
        self.forget_bias = initialiser.constant(
            size, value=checks.finite_number("forget_bias", forget_bias)
        )
        self.input_bias = initialiser.constant(
            size, value=checks.finite_number("input_bias", input_bias)
        )

    def recurrent_matrix(self) -> Tensor:
        """Return U_θ above U_η, shape (2N, N)."""
        return self.recurrent_weight

    def input_matrix(self) -> Tensor:
        """Return V_θ, V_η and W, one above the other, shape (3N, D)."""
        return self.input_weight

    def drive_bias(self) -> Tensor:
        """Return b_θ, b_η and zeros, since W x has no bias, shape (3N,)."""
        biases = torch.cat((self.forget_bias, self.input_bias))
        return functional.pad(biases, (0, self.hidden_size))

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        """Return θ ∘ tanh(h) + η ∘ tanh(W x)."""
        gates = torch.sigmoid(recurrent + drive[..., :2, :])
        forget_gate, input_gate = gates[..., :1, :], gates[..., 1:, :]
        return forget_gate * torch.tanh(state) + input_gate * torch.tanh(drive[..., 2:, :])

    def pointwise_rule(self) -> CfnRule:
        """Return `pointwise` with its derivative."""
        return CfnRule()

    def gates(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> dict[str, Tensor]:
        """Return θ and η."""
        forget_gate, input_gate = torch.sigmoid(recurrent + drive[..., :2, :]).unbind(-2)
        return {"forget": forget_gate, "input": input_gate}
