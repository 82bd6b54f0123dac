"""The chaos-free network (Laurent & von Brecht, ICLR 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn import functional

from gradprobe import checks
from gradprobe.models.cell import Cell

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.initialiser import Initialiser


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
    Laurent & von Brecht, "A recurrent neural network without chaos", ICLR 2017, Section 2;
    initialisation: Section 4.

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

    def gates(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> dict[str, Tensor]:
        """Return θ and η."""
        forget_gate, input_gate = torch.sigmoid(recurrent + drive[..., :2, :]).unbind(-2)
        return {"forget": forget_gate, "input": input_gate}
