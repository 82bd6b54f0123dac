"""The Lipschitz RNN (Erichson, Azencot, Queiruga, Hodgkinson, Mahoney, ICLR 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from gradprobe import checks
from gradprobe.errors import ArgumentError
from gradprobe.models.cell import Cell
from gradprobe.models.explicit.rule import PointwiseRule, tanh_, tanh_backward

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.explicit.rule import Planes, Step
    from gradprobe.models.initialiser import Initialiser


class SymmetricSkewMatrix(nn.Module):
    """(1 − β)(M + Mᵀ) + β(M − Mᵀ) − γI, with M free.

    The real parts of its eigenvalues come from the symmetric share, (1 − β)(M + Mᵀ) − γI, which
    β → 1 and γ > 0 move to −γ.

    Parameters
    ----------
    size
        n.
    skew_level
        β, between 0, symmetric, and 1, skew-symmetric apart from γ.
    diffusion
        γ.
    scale
        σ; M's entries are N(0, σ²/n²).
    initialiser
        Where the entries come from.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> initialiser = Initialiser(torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> matrix = SymmetricSkewMatrix(4, 1.0, 0.5, 0.1, initialiser)
    >>> identity = torch.eye(4, dtype=torch.float64)
    >>> bool(torch.equal(matrix() + matrix().T, -identity))
    True
    """

    def __init__(
        self,
        size: int,
        skew_level: float,
        diffusion: float,
        scale: float,
        initialiser: Initialiser,
    ) -> None:
        super().__init__()
        self.skew_level = skew_level
        self.diffusion = diffusion
        self.weight = initialiser.normal(size, size, standard_deviation=scale / size)

    def forward(self) -> Tensor:
        """Return the matrix, shape (n, n)."""
        weight, skew = self.weight, self.skew_level
        identity = torch.eye(len(weight), dtype=weight.dtype, device=weight.device)
        # (1 − β)(M + Mᵀ) + β(M − Mᵀ), gathered by M and Mᵀ.
        return weight + (1 - 2 * skew) * weight.T - self.diffusion * identity

    @property
    def degrees_of_freedom(self) -> int:
        """The dimension of the set of such matrices: n², less at the ends of β's range."""
        size = len(self.weight)
        strict = size * (size - 1) // 2
        return {0.0: strict + size, 1.0: strict}.get(self.skew_level, size**2)

    def symmetry_error(self, matrix: Tensor) -> float:
        """Return the largest entry of |A + Aᵀ − 2(1 − β)(M + Mᵀ) + 2γI| of a matrix A."""
        share = (1 - self.skew_level) * (self.weight + self.weight.T)
        excess = (matrix + matrix.T - 2 * share).detach()
        excess.diagonal().add_(2 * self.diffusion)
        return float(excess.abs().max())


class Lipschitz(Cell):
    """h_t = h_{t-1} + ε (A h_{t-1} + tanh(W h_{t-1} + U x_t + b)).

    The forward Euler method for h′ = A h + tanh(W h + U x + b), where both A and W are of the form
    (1 − β)(M + Mᵀ) + β(M − Mᵀ) − γI, each with its own M, β and γ.  A is called linear below, W
    nonlinear.

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from, as in the paper's code: the entries of both M
        ~ N(0, σ²/N²); U and b uniform between −1/√D and 1/√D.
    step_size
        ε.
    linear_skew_level, nonlinear_skew_level
        β_A and β_W, between 0, symmetric, and 1, skew-symmetric apart from γ.
    linear_diffusion, nonlinear_diffusion
        γ_A and γ_W.
    initial_scale
        σ.

    References
    ----------
    Erichson, Azencot, Queiruga, Hodgkinson, Mahoney, "Lipschitz Recurrent Neural Networks", ICLR
    2021; the default ε, β and γ are those of its code for pixel MNIST, which has one β and one γ
    for both matrices and multiplies by their transposes (M and Mᵀ change places).

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> initialiser = Initialiser(torch.Generator().manual_seed(0))
    >>> Lipschitz(1, 128, initialiser=initialiser).degrees_of_freedom + 10 * 129
    34314
    """

    recurrent_terms: ClassVar[int] = 2
    step_size: float

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        initialiser: Initialiser,
        step_size: float = 0.03,
        linear_skew_level: float = 0.75,
        linear_diffusion: float = 0.001,
        nonlinear_skew_level: float = 0.75,
        nonlinear_diffusion: float = 0.001,
        initial_scale: float = 0.1,
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.step_size = checks.positive_number("step_size", step_size)
        scale = checks.non_negative_number("initial_scale", initial_scale)
        self.linear = SymmetricSkewMatrix(
            self.hidden_size,
            _share("linear_skew_level", linear_skew_level),
            checks.non_negative_number("linear_diffusion", linear_diffusion),
            scale,
            initialiser,
        )
        self.nonlinear = SymmetricSkewMatrix(
            self.hidden_size,
            _share("nonlinear_skew_level", nonlinear_skew_level),
            checks.non_negative_number("nonlinear_diffusion", nonlinear_diffusion),
            scale,
            initialiser,
        )
        bound = self.input_size**-0.5
        shape = (self.hidden_size, self.input_size)
        self.input_weight = initialiser.uniform(*shape, low=-bound, high=bound)
        self.bias = initialiser.uniform(self.hidden_size, low=-bound, high=bound)

    def recurrent_matrix(self) -> Tensor:
        """Return A above W, shape (2N, N)."""
        return torch.cat((self.linear(), self.nonlinear()))

    def input_matrix(self) -> Tensor:
        """Return U."""
        return self.input_weight

    def drive_bias(self) -> Tensor:
        """Return b."""
        return self.bias

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        """Return h + ε (A h + tanh(W h + U x + b))."""
        linear, nonlinear = recurrent[..., :1, :], recurrent[..., 1:, :]
        return state + self.step_size * (linear + torch.tanh(nonlinear + drive))

    def pointwise_rule(self) -> LipschitzRule:
        """Return `pointwise` with its derivative."""
        return LipschitzRule(self.step_size)

    @property
    def degrees_of_freedom(self) -> int:
        """Symmetric or skew-symmetric matrices are fewer than n² entries."""
        matrices = (self.linear, self.nonlinear)
        redundant = sum(m.weight.numel() - m.degrees_of_freedom for m in matrices)
        return self.stored_parameters - redundant

    def constraint_error(self) -> float:
        """Return the largest entry of |A + Aᵀ − 2(1 − β)(M + Mᵀ) + 2γI|, of A and of W."""
        linear, nonlinear = self.recurrent_matrix().split(self.hidden_size)
        return max(self.linear.symmetry_error(linear), self.nonlinear.symmetry_error(nonlinear))


class LipschitzRule(PointwiseRule):
    """φ = h + ε (A h + y) with y = tanh(W h + u), which is saved; ε waits for the products.

    Parameters
    ----------
    step_size
        ε.

    Examples
    --------
    >>> LipschitzRule(0.03).scale
    0.03
    """

    joined: ClassVar[bool] = False

    def __init__(self, step_size: float) -> None:
        self.scale = step_size

    def forward(self, step: Step, recurrent: Planes) -> None:
        """Write h + ε (A h + y)."""
        linear, nonlinear = recurrent
        change = linear.add_(tanh_(step.saved[0].add_(nonlinear)))
        torch.add(step.old[0], change, alpha=self.scale, out=step.new[0])

    def backward(
        self, step: Step, total: Planes, to_drive: Planes, to_recurrent: Planes, to_unit: Tensor
    ) -> None:
        """Write the total for A h, and total ∘ (1 − y²) for W h and u; the total itself goes on."""
        to_linear, to_nonlinear = to_recurrent
        to_linear.copy_(total[0])
        tanh_backward(total[0], step.saved[0], grad_input=to_nonlinear)
        to_drive[0].copy_(to_nonlinear)


def _share(name: str, value: object) -> float:
    share = checks.non_negative_number(name, value)
    if share > 1:
        raise ArgumentError(f"{name} must be a number between 0 and 1, got {value!r}")
    return share
