"""Kronecker recurrent units (Jose, Cissé, Fleuret, ICML 2018)."""

from __future__ import annotations

from functools import reduce
from math import prod
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from gradprobe import checks
from gradprobe.errors import ArgumentError
from gradprobe.models.cell import Cell
from gradprobe.models.complex_units import (
    ModReluOfComplexRule,
    deviation_from_unitary,
    modrelu,
    real_representation,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from gradprobe.models.initialiser import Initialiser


class Kru(Cell):
    """h_t = modReLU(W h_{t-1} + V x_t; b), W = W_1 ⊗ … ⊗ W_F, with complex h, W, V and small W_f.

    A product of unitary factors is unitary, and nothing but the `penalty`, Σ_f ‖W_fᴴ W_f − I‖²_F,
    holds the factors there.  A unit has two components, its real and imaginary part; h, of 2N
    entries, is all real parts and then all imaginary ones; h_0 = 0.

    With N = 512, one feature and ten classes there are 8 log₂ N = 72 parameters of nine factors of
    2×2, 2N of V, N of b and 20N + 10 of the readout: 11,858, and 11,346 without b, which are the
    11k of the published tables.

    Parameters
    ----------
    input_size, hidden_size
        D and N, the number of complex units.
    initialiser
        Where the initial values come from, a choice of this project: each factor uniform over its
        unitary group, the real and imaginary parts of V ~ N(0, 1/(2D)), b = 0.
    factor_sizes
        The sizes of the factors, whose product must be N; the prime factors of N if not given, that
        is 2×2 for a power of two.

    References
    ----------
    Jose, Cissé, Fleuret, "Kronecker Recurrent Units", ICML 2018 (arXiv 1705.10142); Arjovsky, Shah,
    Bengio, "Unitary Evolution Recurrent Neural Networks", ICML 2016 (modReLU).

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> initialiser = Initialiser(torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> cell = Kru(1, 512, initialiser=initialiser)
    >>> cell.degrees_of_freedom + 10 * (cell.output_size + 1)
    11858
    >>> cell.unitarity_error() < 1e-14, cell.penalty().item() < 1e-28
    (True, True)
    """

    components: ClassVar[int] = 2
    recurrent_terms: ClassVar[int] = 2
    drive_terms: ClassVar[int] = 2
    recurrent_components: ClassVar[int] = 2
    hidden_components: ClassVar[int] = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        initialiser: Initialiser,
        factor_sizes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        size = self.hidden_size
        sizes = prime_factors(size) if factor_sizes is None else _checked(factor_sizes, size)
        self.factors = nn.ParameterList(initialiser.unitary(each) for each in sizes)
        self.input_weight = initialiser.normal(
            2 * size, self.input_size, standard_deviation=(2 * self.input_size) ** -0.5
        )
        self.bias = initialiser.constant(size)

    def complex_factors(self) -> list[Tensor]:
        """Return the factors W_1 … W_F, complex."""
        return [torch.complex(*factor.unbind(0)) for factor in self.factors]

    def complex_matrix(self) -> Tensor:
        """Return W = W_1 ⊗ … ⊗ W_F, complex, shape (N, N)."""
        return reduce(torch.kron, self.complex_factors())

    def recurrent_matrix(self) -> Tensor:
        """Return what W does to real and imaginary parts, shape (2N, 2N)."""
        return real_representation(self.complex_matrix())

    def input_matrix(self) -> Tensor:
        """Return the real part of V above its imaginary part, shape (2N, D)."""
        return self.input_weight

    def unit_parameters(self) -> Tensor:
        """Return b, shape (1, N)."""
        return self.bias[None]

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        """Return modReLU(W h + V x; b)."""
        return modrelu(recurrent + drive, unit_parameters.select(-2, 0))

    def pointwise_rule(self) -> ModReluOfComplexRule:
        """Return `pointwise` with its derivative."""
        return ModReluOfComplexRule()

    def unitarity_error(self) -> float:
        """Return the largest modulus of an entry of W_fᴴ W_f − I over the factors.

        It tells how far training has let them go; `constraint_error` knows of no soft constraint.
        """
        return max(deviation_from_unitary(factor.detach()) for factor in self.complex_factors())

    def penalty(self) -> Tensor:
        """Return Σ_f ‖W_fᴴ W_f − I‖²_F."""
        deviations = [
            factor.mH @ factor - torch.eye(len(factor), dtype=factor.dtype, device=factor.device)
            for factor in self.complex_factors()
        ]
        return torch.stack([each.abs().square().sum() for each in deviations]).sum()


def prime_factors(number: int) -> list[int]:
    """Return the prime factors of a positive integer in ascending order; [1] for 1.

    Examples
    --------
    >>> prime_factors(8), prime_factors(60), prime_factors(13), prime_factors(1)
    ([2, 2, 2], [2, 2, 3, 5], [13], [1])
    """
    factors, divisor = [], 2
    while divisor**2 <= number:
        if number % divisor:
            divisor += 1
        else:
            factors.append(divisor)
            number //= divisor
    return [*factors, number]


def _checked(factor_sizes: Sequence[int], size: int) -> list[int]:
    sizes = [checks.positive_integer("each of factor_sizes", each) for each in factor_sizes]
    if not sizes or prod(sizes) != size:
        raise ArgumentError(
            f"factor_sizes must be sizes whose product is hidden_size, {size}, got {factor_sizes!r}"
        )
    return sizes
