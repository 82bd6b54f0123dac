"""Orthogonal networks with a skew-symmetric parameter: expRNN and scoRNN."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from gradprobe import checks
from gradprobe.errors import ArgumentError
from gradprobe.models.orthogonal import OrthogonalCell

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.initialiser import Initialiser

INITIALISATIONS = ("cayley", "henaff")


class SkewMatrix(nn.Module):
    """A = −Aᵀ, stored as its n(n−1)/2 entries above the diagonal.

    It starts block-diagonal, with blocks (0, s; −s, 0).

    Parameters
    ----------
    size
        n.
    initialisation
        ``"henaff"``, s ~ U(−π, π), or ``"cayley"``, s = −√((1 − cos u)/(1 + cos u)) with
        u ~ U(0, π/2).
    initialiser
        Where the entries come from.

    References
    ----------
    Henaff, Szlam, LeCun, "Recurrent Orthogonal Networks and Long-Memory Tasks", ICML 2016;
    Helfrich, Willmott, Ye, "Orthogonal Recurrent Neural Networks with Scaled Cayley Transform",
    ICML 2018.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> initialiser = Initialiser(torch.Generator().manual_seed(0))
    >>> matrix = SkewMatrix(4, "henaff", initialiser)()
    >>> bool(torch.equal(matrix, -matrix.T)), matrix.count_nonzero().item()
    (True, 4)
    """

    def __init__(self, size: int, initialisation: str, initialiser: Initialiser) -> None:
        super().__init__()
        self.size = size
        angles = _block_entries(size // 2, initialisation, initialiser)
        start = angles.new_zeros(size, size)
        start[range(0, size - 1, 2), range(1, size, 2)] = angles
        row, column = torch.triu_indices(size, size, 1, device=start.device)
        self.upper_entries = nn.Parameter(start[row, column])

    def forward(self) -> Tensor:
        """Return A, shape (n, n)."""
        entries = self.upper_entries
        row, column = torch.triu_indices(self.size, self.size, 1, device=entries.device)
        upper = entries.new_zeros(self.size, self.size).index_put((row, column), entries)
        return upper - upper.T


def _block_entries(number: int, initialisation: str, initialiser: Initialiser) -> Tensor:
    if checks.one_of("initialisation", initialisation, INITIALISATIONS) == "henaff":
        return initialiser.uniform(number, low=-math.pi, high=math.pi).detach()
    cosines = initialiser.uniform(number, low=0.0, high=math.pi / 2).detach().cos()
    return -((1 - cosines) / (1 + cosines)).sqrt()


class ExpRnn(OrthogonalCell):
    """h_t = modReLU(exp(A) h_{t-1} + V x_t; b), with A skew-symmetric.

    exp reaches every rotation; modReLU(z; b) = sign(z) relu(|z| + b).

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from, as in the paper's code: A as below, V ~ N(0, 2/D),
        b uniform between −0.01 and 0.01.
    initialisation
        Of A: ``"cayley"`` or ``"henaff"``; see `SkewMatrix`.

    References
    ----------
    Lezcano-Casado & Martínez-Rubio, "Cheap Orthogonal Constraints in Neural Networks: A Simple
    Parametrization of the Orthogonal and Unitary Group", ICML 2019; its code multiplies by
    exp(A)ᵀ = exp(−A) instead, and moves A at a learning rate of its own.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> initialiser = Initialiser(torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> cell = ExpRnn(1, 170, initialiser=initialiser)
    >>> cell.degrees_of_freedom + 10 * 171, cell.constraint_error() < 1e-14
    (16415, True)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        initialiser: Initialiser,
        initialisation: str = "cayley",
    ) -> None:
        super().__init__(input_size, hidden_size, nonlinearity="modrelu")
        self.skew = SkewMatrix(self.hidden_size, initialisation, initialiser)
        self.input_weight = initialiser.normal(
            self.hidden_size, self.input_size, standard_deviation=(2 / self.input_size) ** 0.5
        )
        self.bias = initialiser.uniform(self.hidden_size, low=-0.01, high=0.01)

    def recurrent_matrix(self) -> Tensor:
        """Return exp(A)."""
        matrix: Tensor = torch.linalg.matrix_exp(self.skew())
        return matrix


class ScoRnn(OrthogonalCell):
    """h_t = modReLU((I + A)⁻¹(I − A) D h_{t-1} + V x_t; b), with A skew-symmetric.

    D is diagonal and stays as it is, with entries 1, the last ρ of them −1: the Cayley transform
    alone cannot reach a matrix that has an eigenvalue −1, and with D some choice of ρ reaches any.
    modReLU(z; b) = sign(z) relu(|z| + b).

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from, as in the paper's code: A as below, V uniform between
        −0.01 and 0.01, b = 0.
    negative_share
        ρ/N, between 0 and 1; ρ is rounded to the nearest integer.  The default is that of the
        paper's code for pixel MNIST.
    initialisation
        Of A: ``"cayley"`` or ``"henaff"``; see `SkewMatrix`.

    References
    ----------
    Helfrich, Willmott, Ye, "Orthogonal Recurrent Neural Networks with Scaled Cayley Transform",
    ICML 2018; its code multiplies by the transpose of this matrix, and moves A at a learning rate
    of its own.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> initialiser = Initialiser(torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> cell = ScoRnn(1, 360, initialiser=initialiser)
    >>> cell.degrees_of_freedom + 10 * 361, cell.constraint_error() < 1e-14
    (68950, True)
    """

    signs: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        initialiser: Initialiser,
        negative_share: float = 0.1,
        initialisation: str = "cayley",
    ) -> None:
        super().__init__(input_size, hidden_size, nonlinearity="modrelu")
        size = self.hidden_size
        share = checks.non_negative_number("negative_share", negative_share)
        if share > 1:
            raise ArgumentError(f"negative_share must be a number between 0 and 1, got {share}")
        self.skew = SkewMatrix(size, initialisation, initialiser)
        self.input_weight = initialiser.uniform(size, self.input_size, low=-0.01, high=0.01)
        self.bias = initialiser.constant(size)
        signs = torch.ones_like(self.bias.detach())
        signs[size - round(share * size) :] = -1
        self.register_buffer("signs", signs)

    def recurrent_matrix(self) -> Tensor:
        """Return (I + A)⁻¹(I − A) D."""
        skew = self.skew()
        identity = torch.eye(len(skew), dtype=skew.dtype, device=skew.device)
        rotation: Tensor = torch.linalg.solve(identity + skew, identity - skew)
        return rotation * self.signs
