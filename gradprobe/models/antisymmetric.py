"""The AntisymmetricRNN (Chang, Chen, Haber, Chi, ICLR 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from gradprobe import checks
from gradprobe.models.cell import Cell
from gradprobe.models.explicit.euler import EulerRule

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.initialiser import Initialiser


class DiffusedAntisymmetricMatrix(nn.Module):
    """W − Wᵀ − γI, with W strictly upper triangular and stored as its n(n−1)/2 entries.

    The eigenvalues of W − Wᵀ are imaginary; the diffusion γ ≥ 0 moves them all to the real part −γ,
    which gives forward Euler room to be stable (equation 12 of the paper).

    Parameters
    ----------
    size
        n.
    diffusion
        γ.
    scale
        σ_w; the stored entries are N(0, σ_w²/n).
    initialiser
        Where the entries come from.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> initialiser = Initialiser(torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> matrix = DiffusedAntisymmetricMatrix(4, 0.01, 1.0, initialiser)
    >>> identity = torch.eye(4, dtype=torch.float64)
    >>> bool(torch.equal(matrix() + matrix().T, -0.02 * identity))
    True
    """

    def __init__(self, size: int, diffusion: float, scale: float, initialiser: Initialiser) -> None:
        super().__init__()
        self.size = size
        self.diffusion = checks.non_negative_number("diffusion", diffusion)
        checks.non_negative_number("recurrent_scale", scale)
        self.upper_entries = initialiser.normal(
            size * (size - 1) // 2, standard_deviation=scale / size**0.5
        )

    def forward(self) -> Tensor:
        """Return W − Wᵀ − γI, shape (n, n)."""
        entries = self.upper_entries
        row, column = torch.triu_indices(self.size, self.size, 1, device=entries.device)
        upper = entries.new_zeros(self.size, self.size).index_put((row, column), entries)
        identity = torch.eye(self.size, dtype=entries.dtype, device=entries.device)
        return upper - upper.T - self.diffusion * identity

    def constraint_error(self) -> float:
        """Return the largest entry of |A + Aᵀ + 2γI|, A being the matrix."""
        matrix = self().detach()
        matrix = matrix + matrix.T
        matrix.diagonal().add_(2 * self.diffusion)
        return float(matrix.abs().max())


class Antisymmetric(Cell):
    """h_t = h_{t-1} + ε tanh((W − Wᵀ − γI) h_{t-1} + V x_t + b).

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from: W's entries ~ N(0, σ_w²/N), V ~ N(0, 1/D), b = 0.
    step_size
        ε of the forward Euler method.
    diffusion
        γ.
    recurrent_scale
        σ_w.

    References
    ----------
    Chang, Chen, Haber, Chi, "AntisymmetricRNN: A Dynamical System View on Recurrent Neural
    Networks", ICLR 2019, equations 10 (γ = 0) and 12; initialisation: Appendix C.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> initialiser = Initialiser(torch.Generator().manual_seed(0))
    >>> Antisymmetric(1, 128, initialiser=initialiser).degrees_of_freedom + 10 * 129
    9674
    """

    step_size: float

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        initialiser: Initialiser,
        step_size: float = 0.01,
        diffusion: float = 0.01,
        recurrent_scale: float = 1.0,
    ) -> None:
        super().__init__(input_size, hidden_size)
        size = self.hidden_size
        self.step_size = checks.positive_number("step_size", step_size)
        self.matrix = DiffusedAntisymmetricMatrix(size, diffusion, recurrent_scale, initialiser)
        self.input_weight = initialiser.input_weight(size, self.input_size)
        self.bias = initialiser.constant(size)

    def recurrent_matrix(self) -> Tensor:
        """Return W − Wᵀ − γI."""
        matrix: Tensor = self.matrix()
        return matrix

    def input_matrix(self) -> Tensor:
        """Return V."""
        return self.input_weight

    def drive_bias(self) -> Tensor:
        """Return b."""
        return self.bias

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        """Return h + ε tanh((W − Wᵀ − γI) h + V x + b)."""
        return state + self.step_size * torch.tanh(recurrent + drive)

    def pointwise_rule(self) -> EulerRule:
        """Return `pointwise` with its derivative."""
        return EulerRule(self.step_size)

    def constraint_error(self) -> float:
        """Return the largest entry of |A + Aᵀ + 2γI|, A being the recurrent matrix."""
        return self.matrix.constraint_error()
