"""Networks of complex units, whose recurrent matrix is complex too."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch

from gradprobe.models.cell import Cell
from gradprobe.models.explicit.rule import PointwiseRule

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.explicit.rule import Planes, Step
    from gradprobe.models.initialiser import Initialiser


def real_representation(matrix: Tensor) -> Tensor:
    """Return [[A, −B], [B, A]] for a complex matrix A + iB: what it does to (Re z; Im z).

    Examples
    --------
    >>> real_representation(torch.tensor([[1 + 2j]])).tolist()
    [[1.0, -2.0], [2.0, 1.0]]
    """
    real, imaginary = matrix.real, matrix.imag
    above = torch.cat((real, -imaginary), dim=-1)
    return torch.cat((above, torch.cat((imaginary, real), dim=-1)), dim=-2)


def deviation_from_unitary(matrix: Tensor) -> float:
    """Return the largest modulus of an entry of WᴴW − I.

    Examples
    --------
    >>> deviation_from_unitary(torch.tensor([[0.6 + 0.8j]], dtype=torch.complex128)) < 1e-15
    True
    """
    identity = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    return float((matrix.mH @ matrix - identity).abs().max())


def modrelu(units: Tensor, bias: Tensor) -> Tensor:
    """Return (|z| + b)₊ z/|z| for z given as (Re z, Im z) along the last axis but one.

    At z = 0 it is 0.  Its derivative there is 0 for b < 0 and the identity for b = 0, where
    modReLU is the identity altogether; for b > 0, where it jumps to a circle of radius b, there is
    none, and 0 stands for it, as for that of sign(z): a sequence that begins with zeros can be
    trained on.

    Parameters
    ----------
    units
        z, shape (..., 2, N).
    bias
        b, shape (N,) or (..., N).

    References
    ----------
    Arjovsky, Shah, Bengio, "Unitary Evolution Recurrent Neural Networks", ICML 2016.  Their code
    divides by |z| + 10⁻⁵ in place of |z|.

    Examples
    --------
    >>> modrelu(torch.tensor([[3.0, 3.0], [4.0, 4.0]]), torch.tensor([-2.5, 5.0])).tolist()
    [[1.5, 6.0], [2.0, 8.0]]
    """
    real, imaginary = units.unbind(-2)
    at_zero = (real == 0) & (imaginary == 0)
    one = torch.ones_like(real)
    # The modulus has no derivative at zero: what stands there instead must not lead to it.
    modulus = torch.hypot(torch.where(at_zero, one, real), imaginary)
    factor = torch.where(at_zero, factor_at_zero(bias), torch.relu(modulus + bias) / modulus)
    return units * factor.unsqueeze(-2)


def factor_at_zero(bias: Tensor) -> Tensor:
    """Return what stands for (|z| + b)₊/|z| at z = 0: 1 for b = 0, as it is for every z, else 0.

    Examples
    --------
    >>> factor_at_zero(torch.tensor([-0.5, 0.0, 0.5])).tolist()
    [0.0, 1.0, 0.0]
    """
    return (bias == 0).to(bias.dtype)


class ModReluOfComplexRule(PointwiseRule):
    """φ = modReLU(R h + u; b) of complex units; the modulus |z| and z/|z| are saved.

    Examples
    --------
    >>> ModReluOfComplexRule().saved_planes
    3
    """

    saved_planes: ClassVar[int] = 3
    keeps_hidden: ClassVar[bool] = False

    def forward(self, step: Step, recurrent: Planes) -> None:
        """Write |z|, z/|z|, which is 0 for z = 0, and (|z| + b)₊ z/|z|."""
        _, new, (real, imaginary, modulus), unit = step
        torch.hypot(real, imaginary, out=modulus)
        divisor = modulus + (modulus == 0)
        grown = (modulus + unit[0]).relu_()
        for part, result in zip((real, imaginary), new, strict=True):
            torch.mul(part.div_(divisor), grown, out=result)

    def backward(
        self, step: Step, total: Planes, to_drive: Planes, to_recurrent: Planes, to_unit: Tensor
    ) -> None:
        """Write f g + (a − f)(e·g) e, where e = z/|z|, f = (|z| + b)₊/|z| and a tells f > 0."""
        real, imaginary, modulus = step.saved
        along = (real * total[0]).addcmul_(imaginary, total[1])
        grown = modulus + step.unit[0]
        alive = (grown > 0).to(grown.dtype)
        factor = torch.where(
            modulus == 0, factor_at_zero(step.unit[0]), grown.relu_().div_(modulus)
        )
        to_unit[0] += (along * alive).sum(0)
        along.mul_(alive.sub_(factor))
        for part, gradient, result in zip((real, imaginary), total, to_drive, strict=True):
            torch.mul(gradient, factor, out=result).addcmul_(along, part)


class ComplexCell(Cell):
    """h_t = modReLU(W h_{t-1} + V x_t; b) with complex h, W, V and real x, b.

    A unit has two components, the real and the imaginary part, and h, of 2N entries, is all real
    parts and then all imaginary ones.  A subclass states W.  The network learns where it starts.

    Parameters
    ----------
    input_size, hidden_size
        D and N, the number of complex units.
    initialiser
        Where the initial values come from: the parts of V uniform between ±√(6/(D + 2N)), those of
        h_0 between ±√(3/(2N)), so that E‖h_0‖² = 1, and b = 0, so that the network starts linear.

    References
    ----------
    Arjovsky, Shah, Bengio, "Unitary Evolution Recurrent Neural Networks", ICML 2016 (the
    representation by real numbers, and the initial values of V and h_0, which are also those of
    their code; b they draw there between ±0.01).

    Examples
    --------
    >>> from gradprobe import models
    >>> model = models.build("urnn", input_size=1, hidden_size=4)
    >>> isinstance(model.cells[0], ComplexCell), model.output_size
    (True, 8)
    """

    components: ClassVar[int] = 2
    recurrent_terms: ClassVar[int] = 2
    drive_terms: ClassVar[int] = 2
    recurrent_components: ClassVar[int] = 2
    hidden_components: ClassVar[int] = 2

    def __init__(self, input_size: int, hidden_size: int, initialiser: Initialiser) -> None:
        super().__init__(input_size, hidden_size)
        size = self.hidden_size
        bound = (6 / (self.input_size + 2 * size)) ** 0.5
        self.input_weight = initialiser.uniform(2 * size, self.input_size, low=-bound, high=bound)
        self.bias = initialiser.constant(size)
        bound = (3 / (2 * size)) ** 0.5
        self.start = initialiser.uniform(2, size, low=-bound, high=bound)

    @abstractmethod
    def complex_matrix(self) -> Tensor:
        """Return W, complex, shape (N, N)."""

    def recurrent_matrix(self) -> Tensor:
        """Return what W does to real and imaginary parts, shape (2N, 2N)."""
        return real_representation(self.complex_matrix())

    def input_matrix(self) -> Tensor:
        """Return the real part of V above its imaginary part, shape (2N, D)."""
        return self.input_weight

    def unit_parameters(self) -> Tensor:
        """Return b, shape (1, N)."""
        return self.bias[None]

    def initial_units(self) -> Tensor:
        """Return h_0, which is learnt, as its real and imaginary parts, shape (2, N)."""
        return self.start

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        """Return modReLU(W h + V x; b)."""
        return modrelu(recurrent + drive, unit_parameters.select(-2, 0))

    def pointwise_rule(self) -> ModReluOfComplexRule:
        """Return `pointwise` with its derivative."""
        return ModReluOfComplexRule()

    def constraint_error(self) -> float:
        """Return the largest modulus of an entry of WᴴW − I."""
        return deviation_from_unitary(self.complex_matrix().detach())
