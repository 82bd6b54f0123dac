"""A network whose singular values stay within a margin of one (Vorontsov et al., ICML 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gradprobe import checks
from gradprobe.errors import ArgumentError
from gradprobe.models.cell import Cell
from gradprobe.models.orthogonal import orthogonal_linear
from gradprobe.models.vanilla import NONLINEARITIES, RULES

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.explicit.rule import PointwiseRule
    from gradprobe.models.initialiser import Initialiser


class SoftOrthogonal(Cell):
    """h_t = φ(W h_{t-1} + V x_t + b), W = P diag(s) Qᵀ, with s_i = 1 + 2m (σ(p_i) − ½).

    P and Q are orthogonal, so that W's singular values are the s_i, between 1 − m and 1 + m.  Such
    W are an open set of matrices: n(n−1)/2 dimensions of P, as many of Q, and n singular values
    make n².

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from: P and Q uniform over the orthogonal group and p = 0,
        hence W orthogonal; V uniform between −0.01 and 0.01, as in the paper's code; b = 0.
    margin
        m, above 0 and at most 1.
    nonlinearity
        φ: ``"tanh"`` or ``"relu"``.

    References
    ----------
    Vorontsov, Trabelsi, Kadoury, Pal, "On orthogonality and learning recurrent networks with long
    term dependencies", ICML 2017, "Our approach".  There P and Q move by geodesic steps, p at a
    learning rate divided by 2m, and in the authors' code h_0 is learnt; here P and Q are
    parametrised, one optimiser moves all, and h_0 = 0.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> initialiser = Initialiser(torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> cell = SoftOrthogonal(1, 128, initialiser=initialiser)
    >>> cell.degrees_of_freedom + 10 * 129 == 128**2 + 128 + 128 + 1290 == 17930
    True
    >>> cell.constraint_error() < 1e-13
    True
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        initialiser: Initialiser,
        margin: float = 0.1,
        nonlinearity: str = "tanh",
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.margin = checks.positive_number("margin", margin)
        if self.margin > 1:
            raise ArgumentError(f"margin must be a number between 0 and 1, got {margin!r}")
        self.nonlinearity = checks.one_of("nonlinearity", nonlinearity, NONLINEARITIES)
        size = self.hidden_size
        self.left = orthogonal_linear(initialiser.orthogonal(size))
        self.right = orthogonal_linear(initialiser.orthogonal(size))
        self.spectrum = initialiser.constant(size)
        self.input_weight = initialiser.uniform(size, self.input_size, low=-0.01, high=0.01)
        self.bias = initialiser.constant(size)

    def singular_values(self) -> Tensor:
        """Return s, shape (N,), in no particular order."""
        return 1 + 2 * self.margin * (torch.sigmoid(self.spectrum) - 0.5)

    def recurrent_matrix(self) -> Tensor:
        """Return W = P diag(s) Qᵀ."""
        scaled: Tensor = self.left.weight * self.singular_values()
        return scaled @ self.right.weight.T

    def input_matrix(self) -> Tensor:
        """Return V."""
        return self.input_weight

    def drive_bias(self) -> Tensor:
        """Return b."""
        return self.bias

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        """Return φ(W h + V x + b)."""
        return NONLINEARITIES[self.nonlinearity](recurrent + drive)

    def pointwise_rule(self) -> PointwiseRule:
        """Return `pointwise` with its derivative."""
        return RULES[self.nonlinearity]()

    @property
    def degrees_of_freedom(self) -> int:
        """An orthogonal matrix has n(n−1)/2 of them, not n²."""
        size = self.hidden_size
        return self.stored_parameters - 2 * size**2 + size * (size - 1)

    def constraint_error(self) -> float:
        """Return how far the furthest singular value of W is outside of [1 − m, 1 + m]."""
        distances = (torch.linalg.svdvals(self.recurrent_matrix().detach()) - 1).abs()
        return max(float(distances.max()) - self.margin, 0.0)
