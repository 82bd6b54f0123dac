"""The gated recurrent unit (Cho et al. 2014), in the form that torch and cuDNN compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from gradprobe.models.explicit.rule import (
    PointwiseRule,
    sigmoid_backward,
    tanh_,
    tanh_backward,
)
from gradprobe.models.unconstrained import UnconstrainedCell

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.explicit.rule import Planes, Step
    from gradprobe.models.initialiser import Initialiser


class GruRule(PointwiseRule):
    """φ of a GRU; r, z, n and W_n h + b′_n are saved.

    Examples
    --------
    >>> GruRule().saved_planes
    4
    """

    saved_planes: ClassVar[int] = 4
    joined: ClassVar[bool] = False

    def forward(self, step: Step, recurrent: Planes) -> None:
        """Write the gates and the candidate, then h."""
        reset, update, candidate, inner = step.saved
        reset.add_(recurrent[0]).sigmoid_()
        update.add_(recurrent[1]).sigmoid_()
        torch.add(recurrent[2], step.unit.sum(0), out=inner)
        tanh_(candidate.addcmul_(reset, inner))
        torch.lerp(candidate, step.old[0], update, out=step.new[0])

    def backward(
        self, step: Step, total: Planes, to_drive: Planes, to_recurrent: Planes, to_unit: Tensor
    ) -> None:
        """Write the gradients of r, z and n; what goes on to h directly is total ∘ z."""
        reset, update, candidate, inner = step.saved
        to_reset, to_update, to_candidate = to_drive
        torch.sub(step.old[0], candidate, out=to_update).mul_(total[0])
        sigmoid_backward(to_update, update, grad_input=to_update)
        torch.addcmul(total[0], total[0], update, value=-1, out=to_candidate)
        tanh_backward(to_candidate, candidate, grad_input=to_candidate)
        torch.mul(to_candidate, inner, out=to_reset)
        sigmoid_backward(to_reset, reset, grad_input=to_reset)
        to_recurrent[0].copy_(to_reset)
        to_recurrent[1].copy_(to_update)
        torch.mul(to_candidate, reset, out=to_recurrent[2])
        if len(to_unit):
            to_unit[0] += to_recurrent[2].sum(0)
        total[0].mul_(update)


class Gru(UnconstrainedCell):
    """A GRU.

    r, z = σ(W_{r,z} h_{t-1} + V_{r,z} x_t + b_{r,z}),
    n = tanh(V_n x_t + b_n + r ∘ (W_n h_{t-1} + b′_n)),  h_t = (1 − z) ∘ n + z ∘ h_{t-1};
    the gates are stacked in torch's order r, z, n.  b′_n, which the reset gate multiplies, is a
    parameter of the pointwise map; it exists with two bias vectors only.

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from: W ~ N(0, σ_w²/N), V ~ N(0, 1/D), biases 0.
    recurrent_scale
        σ_w.
    biases
        ``"one"`` vector, torch's ``"two"``, or ``"none"``.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> initialiser = Initialiser(torch.Generator().manual_seed(0))
    >>> Gru(1, 4, initialiser=initialiser, biases="two").degrees_of_freedom
    76
    """

    recurrent_terms: ClassVar[int] = 3
    drive_terms: ClassVar[int] = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        initialiser: Initialiser,
        recurrent_scale: float = 1.0,
        biases: str = "one",
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            initialiser=initialiser,
            recurrent_scale=recurrent_scale,
            biases=biases,
        )

    def drive_bias(self) -> Tensor | None:
        """Return the biases that are simply added, shape (3N,): all but b′_n."""
        if self.biases.input is None or self.biases.recurrent is None:
            return self.biases.input
        added = self.biases.recurrent[: 2 * self.hidden_size]
        return self.biases.input + torch.nn.functional.pad(added, (0, self.hidden_size))

    def unit_parameters(self) -> Tensor:
        """Return b′_n, shape (1, N), or shape (0, N) without a second bias vector."""
        if self.biases.recurrent is None:
            return super().unit_parameters()
        return self.biases.recurrent[None, 2 * self.hidden_size :]

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        """Return (1 − z) ∘ n + z ∘ h."""
        gates = torch.sigmoid(recurrent[..., :2, :] + drive[..., :2, :])
        reset, update = gates[..., :1, :], gates[..., 1:, :]
        inner = recurrent[..., 2:, :] + unit_parameters.sum(-2, keepdim=True)
        candidate = torch.tanh(drive[..., 2:, :] + reset * inner)
        return candidate + update * (state - candidate)

    def pointwise_rule(self) -> GruRule:
        """Return `pointwise` with its derivative."""
        return GruRule()

    def gates(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> dict[str, Tensor]:
        """Return r, and z, which keeps the old state where it is open."""
        reset, update = torch.sigmoid(recurrent[..., :2, :] + drive[..., :2, :]).unbind(-2)
        return {"reset": reset, "update": update}

    @property
    def degrees_of_freedom(self) -> int:
        """The biases of r and z, which are only ever added, count once."""
        return self.stored_parameters - self.biases.redundant * 2 // 3
