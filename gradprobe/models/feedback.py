"""The vanilla network with a residual feedback connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe import checks
from gradprobe.models.explicit.euler import EulerRule
from gradprobe.models.vanilla import Vanilla

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from gradprobe.models.initialiser import Initialiser


class Feedback(Vanilla):
    """h_t = h_{t-1} + ε tanh(W h_{t-1} + V x_t + b).

    The forward Euler method, with step size ε, for h′ = tanh(W h + V x + b).

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from: W ~ N(0, σ_w²/N), V ~ N(0, 1/D), b = 0.
    step_size
        ε.
    recurrent_scale
        σ_w.
    recurrent_matrix, input_matrix
        Initial W, shape (N, N), and V, shape (N, D), row by row, in place of those that are drawn.

    References
    ----------
    Chang, Chen, Haber, Chi, "AntisymmetricRNN", ICLR 2019, Section 4 ("RNNs with feedback").

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> initialiser = Initialiser(torch.Generator().manual_seed(0))
    >>> Feedback(2, 5, initialiser=initialiser, step_size=0.1).step_size
    0.1
    """

    step_size: float

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        initialiser: Initialiser,
        step_size: float = 0.01,
        recurrent_scale: float = 1.0,
        recurrent_matrix: Sequence[Sequence[float]] | None = None,
        input_matrix: Sequence[Sequence[float]] | None = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            initialiser=initialiser,
            recurrent_scale=recurrent_scale,
            recurrent_matrix=recurrent_matrix,
            input_matrix=input_matrix,
        )
        self.step_size = checks.positive_number("step_size", step_size)

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        """Return h + ε tanh(W h + V x + b)."""
        return state + self.step_size * super().pointwise(state, recurrent, drive, unit_parameters)

    def pointwise_rule(self) -> EulerRule:
        """Return `pointwise` with its derivative."""
        return EulerRule(self.step_size)
