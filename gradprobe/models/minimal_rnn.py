"""The MinimalRNN (Chen 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn import functional

from gradprobe.models.cell import Cell
from gradprobe.models.explicit.rule import PointwiseRule, sigmoid_backward

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.explicit.rule import Planes, Step
    from gradprobe.models.initialiser import Initialiser


class MinimalRnnRule(PointwiseRule):
    """φ = u ∘ h + (1 − u) ∘ z; u and z are saved.

    Examples
    --------
    >>> MinimalRnnRule().saved_planes
    2
    """

    saved_planes: ClassVar[int] = 2
    joined: ClassVar[bool] = False

    def forward(self, step: Step, recurrent: Planes) -> None:
        """Write u, and z + u ∘ (h − z)."""
        gate, latent = step.saved
        gate.add_(recurrent[0]).sigmoid_()
        torch.lerp(latent, step.old[0], gate, out=step.new[0])

    def backward(
        self, step: Step, total: Planes, to_drive: Planes, to_recurrent: Planes, to_unit: Tensor
    ) -> None:
        """Write the gradients of u and z; what goes on to h directly is total ∘ u."""
        gate, latent = step.saved
        to_gate, to_latent = to_drive
        torch.sub(step.old[0], latent, out=to_gate).mul_(total[0])
        sigmoid_backward(to_gate, gate, grad_input=to_gate)
        to_recurrent[0].copy_(to_gate)
        torch.addcmul(total[0], total[0], gate, value=-1, out=to_latent)
        total[0].mul_(gate)


class MinimalRnn(Cell):
    """h_t = u_t ∘ h_{t-1} + (1 − u_t) ∘ z_t, with z_t = Φ(x_t) = tanh(W x_t + b_z).

    u_t = σ(U_h h_{t-1} + U_z z_t + b_u) is the update gate, which keeps the old state where it is
    open.  The drive of a unit is U_z z_t + b_u and z_t, a nonlinear function of x_t.

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from: U_h and U_z ~ N(0, σ_w²/N), W ~ N(0, 1/D), biases 0.
    recurrent_scale
        σ_w.

    References
    ----------
    Chen, "MinimalRNN: Toward More Interpretable and Trainable Recurrent Neural Networks", 2017
    (arXiv 1711.06788); Gaussian initial values: Chen, Pennington, Schoenholz, "Dynamical Isometry
    and a Mean Field Theory of RNNs", ICML 2018.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> cell = MinimalRnn(1, 128, initialiser=Initialiser(torch.Generator().manual_seed(0)))
    >>> cell.stored_parameters == 2 * 128**2 + 128 + 2 * 128
    True
    """

    drive_terms: ClassVar[int] = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        initialiser: Initialiser,
        recurrent_scale: float = 1.0,
    ) -> None:
        super().__init__(input_size, hidden_size)
        size = self.hidden_size
        self.recurrent_weight = initialiser.recurrent_weight(size, recurrent_scale)
        self.latent_weight = initialiser.recurrent_weight(size, recurrent_scale)
        self.input_weight = initialiser.input_weight(size, self.input_size)
        self.latent_bias = initialiser.constant(size)
        self.gate_bias = initialiser.constant(size)

    def recurrent_matrix(self) -> Tensor:
        """Return U_h."""
        return self.recurrent_weight

    def drive(self, inputs: Tensor) -> Tensor:
        """Return U_z z + b_u and z of every x: (..., D) to (..., 2, N)."""
        latent = torch.tanh(functional.linear(inputs, self.input_weight, self.latent_bias))
        gate = functional.linear(latent, self.latent_weight, self.gate_bias)
        return torch.stack((gate, latent), dim=-2)

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        """Return u ∘ h + (1 − u) ∘ z."""
        gate = torch.sigmoid(recurrent + drive[..., :1, :])
        latent = drive[..., 1:, :]
        return latent + gate * (state - latent)

    def pointwise_rule(self) -> MinimalRnnRule:
        """Return `pointwise` with its derivative."""
        return MinimalRnnRule()

    def gates(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> dict[str, Tensor]:
        """Return u."""
        return {"update": torch.sigmoid(recurrent + drive[..., :1, :]).squeeze(-2)}
