"""Unitary evolution networks: restricted (Arjovsky et al. 2016) and full (Wisdom et al. 2016)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.utils import parametrizations

from gradprobe.models.complex_units import ComplexCell

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.initialiser import Initialiser


class RestrictedUnitaryMatrix(nn.Module):
    """W = D_3 R_2 F⁻¹ D_2 Π R_1 F D_1, of 7n parameters, unitary whatever they are.

    D_k = diag(e^{iθ_k}), R_k = I − 2 v_k v_kᴴ/‖v_k‖² is a reflection, F the unitary discrete
    Fourier transform, Π a fixed permutation.

    Parameters
    ----------
    size
        n.
    initialiser
        Where the initial values come from: θ uniform between ±π, the parts of v between
        ±1, Π uniform over all permutations.  R does not depend on the length of v, but how far a
        gradient step turns it does: the authors' code draws the parts between ±√(3/(n + 1)).

    References
    ----------
    Arjovsky, Shah, Bengio, "Unitary Evolution Recurrent Neural Networks", ICML 2016 (the product,
    whose order and factors are those of their code).

    Examples
    --------
    >>> from gradprobe.models import Initialiser
    >>> matrix = RestrictedUnitaryMatrix(4, Initialiser(torch.Generator().manual_seed(0)))
    >>> torch.linalg.svdvals(matrix()).round(decimals=5).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """

    permutation: Tensor

    def __init__(self, size: int, initialiser: Initialiser) -> None:
        super().__init__()
        self.phases = initialiser.uniform(3, size, low=-math.pi, high=math.pi)
        self.reflections = initialiser.uniform(2, 2, size, low=-1.0, high=1.0)
        source = initialiser.generator
        permutation = torch.randperm(size, generator=source, device=source.device)
        self.register_buffer("permutation", permutation.to(initialiser.device))

    def forward(self) -> Tensor:
        """Return W, complex, shape (n, n)."""
        first, second, third = torch.polar(torch.ones_like(self.phases), self.phases).unbind(0)
        matrix = torch.fft.fft(first.diag(), dim=0, norm="ortho")
        matrix = _reflected(matrix, self.reflections[0])[self.permutation]
        matrix = torch.fft.ifft(second[:, None] * matrix, dim=0, norm="ortho")
        return third[:, None] * _reflected(matrix, self.reflections[1])


def _reflected(matrix: Tensor, vector: Tensor) -> Tensor:
    """Return R M, R being the reflection at a vector given as its real and imaginary parts."""
    normal = torch.complex(*vector.unbind(0)) / torch.linalg.vector_norm(vector)
    return matrix - 2 * torch.outer(normal, normal.conj() @ matrix)


class Urnn(ComplexCell):
    """h_t = modReLU(W h_{t-1} + V x_t; b) with the restricted unitary W of 7n parameters.

    Parameters
    ----------
    input_size, hidden_size
        D and N, the number of complex units; h has 2N entries.
    initialiser
        Where the initial values come from: see `RestrictedUnitaryMatrix` and
        `gradprobe.models.complex_units.ComplexCell`.

    References
    ----------
    Arjovsky, Shah, Bengio, "Unitary Evolution Recurrent Neural Networks", ICML 2016.

    Examples
    --------
    >>> from gradprobe.models import Initialiser
    >>> cell = Urnn(1, 128, initialiser=Initialiser(torch.Generator().manual_seed(0)))
    >>> cell.degrees_of_freedom + 10 * (cell.output_size + 1) == 32 * 128 + 10
    True
    """

    def __init__(self, input_size: int, hidden_size: int, *, initialiser: Initialiser) -> None:
        super().__init__(input_size, hidden_size, initialiser)
        self.matrix = RestrictedUnitaryMatrix(self.hidden_size, initialiser)

    def complex_matrix(self) -> Tensor:
        """Return W."""
        matrix: Tensor = self.matrix()
        return matrix


class FullCapacityUrnn(ComplexCell):
    """h_t = modReLU(W h_{t-1} + V x_t; b) with any unitary W.

    W is W_0 exp(A), A being skew-Hermitian, which reaches the whole unitary group, of dimension n².

    Parameters
    ----------
    input_size, hidden_size
        D and N, the number of complex units; h has 2N entries.
    initialiser
        Where the initial values come from: W_0 is a `RestrictedUnitaryMatrix`, as in the authors'
        code, the others are those of `gradprobe.models.complex_units.ComplexCell`.

    References
    ----------
    Wisdom, Powers, Hershey, Le Roux, Atlas, "Full-Capacity Unitary Recurrent Neural Networks",
    NeurIPS 2016, where gradient steps are taken on the manifold itself, with a learning rate of
    their own; Lezcano-Casado, "Trivializations for Gradient-Based Optimization on Manifolds",
    NeurIPS 2019 (the parametrisation, ``torch.nn.utils.parametrizations.orthogonal``).

    Examples
    --------
    >>> from gradprobe.models import Initialiser
    >>> cell = FullCapacityUrnn(1, 16, initialiser=Initialiser(torch.Generator().manual_seed(0)))
    >>> cell.degrees_of_freedom + 10 * (cell.output_size + 1) == 16**2 + 25 * 16 + 10
    True
    """

    def __init__(self, input_size: int, hidden_size: int, *, initialiser: Initialiser) -> None:
        super().__init__(input_size, hidden_size, initialiser)
        start = RestrictedUnitaryMatrix(self.hidden_size, initialiser)
        self.recurrent = UnitaryMatrix(start().detach())

    def complex_matrix(self) -> Tensor:
        """Return W."""
        return self.recurrent.weight

    @property
    def degrees_of_freedom(self) -> int:
        """The unitary group has dimension n²; stored are 2n² numbers."""
        return self.stored_parameters - self.hidden_size**2


class UnitaryMatrix(nn.Module):
    """A unitary matrix that an optimiser moves along the unitary group.

    Parameters
    ----------
    start
        Where it starts, complex and unitary, shape (n, n).

    Examples
    --------
    >>> matrix = UnitaryMatrix(torch.eye(2, dtype=torch.complex64))
    >>> matrix.weight.shape
    torch.Size([2, 2])
    """

    weight: Tensor

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(start.clone())
        parametrizations.orthogonal(self, "weight", orthogonal_map="matrix_exp")
        self.weight = start
