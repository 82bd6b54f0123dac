"""The vanilla recurrent network (Elman 1990)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gradprobe import checks
from gradprobe.models.explicit.activations import ReluRule, TanhRule
from gradprobe.models.unconstrained import UnconstrainedCell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from gradprobe.models.explicit.rule import PointwiseRule
    from gradprobe.models.initialiser import Initialiser

NONLINEARITIES = {"tanh": torch.tanh, "relu": torch.relu}
RULES = {"tanh": TanhRule, "relu": ReluRule}


class Vanilla(UnconstrainedCell):
    """h_t = tanh(W h_{t-1} + V x_t + b).

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from: W ~ N(0, σ_w²/N), V ~ N(0, 1/D), b = 0.
    recurrent_scale
        σ_w; 1 is the edge at which a linear network's gradient neither grows nor decays on average.
    nonlinearity
        ``"tanh"`` or ``"relu"``.
    biases
        ``"one"`` vector, torch's ``"two"`` (added), or ``"none"``.
    recurrent_matrix, input_matrix
        Initial W, shape (N, N), and V, shape (N, D), row by row, in place of those that are drawn.

    References
    ----------
    Initialisation: Chang, Chen, Haber, Chi, "AntisymmetricRNN", ICLR 2019, Appendix C.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> Vanilla(2, 5, initialiser=Initialiser(torch.Generator().manual_seed(0))).stored_parameters
    40
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        initialiser: Initialiser,
        recurrent_scale: float = 1.0,
        nonlinearity: str = "tanh",
        biases: str = "one",
        recurrent_matrix: Sequence[Sequence[float]] | None = None,
        input_matrix: Sequence[Sequence[float]] | None = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            initialiser=initialiser,
            recurrent_scale=recurrent_scale,
            biases=biases,
        )
        self.nonlinearity = checks.one_of("nonlinearity", nonlinearity, NONLINEARITIES)
        if recurrent_matrix is not None:
            shape = (self.hidden_size, self.hidden_size)
            self.recurrent_weight = initialiser.given("recurrent_matrix", recurrent_matrix, shape)
        if input_matrix is not None:
            shape = (self.hidden_size, self.input_size)
            self.input_weight = initialiser.given("input_matrix", input_matrix, shape)

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        """Return tanh(W h + V x + b)."""
        return NONLINEARITIES[self.nonlinearity](recurrent + drive)

    def pointwise_rule(self) -> PointwiseRule:
        """Return `pointwise` with its derivative."""
        return RULES[self.nonlinearity]()
