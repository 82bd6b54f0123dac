"""A recurrent network whose matrix stays orthogonal throughout training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.utils import parametrizations

from gradprobe import checks
from gradprobe.models.cell import Cell
from gradprobe.models.explicit.activations import ModReluRule, TanhRule

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.explicit.rule import PointwiseRule
    from gradprobe.models.initialiser import Initialiser

RULES = {"tanh": TanhRule, "modrelu": ModReluRule}
NONLINEARITIES = tuple(RULES)


class OrthogonalCell(Cell):
    """h_t = φ(W h_{t-1} + V x_t), with WᵀW = I; a subclass states W, V and b.

    φ is tanh with a bias inside, tanh(z + b), or modReLU, sign(z) relu(|z| + b).

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    nonlinearity
        ``"tanh"`` or ``"modrelu"``.

    Examples
    --------
    >>> issubclass(Orthogonal, OrthogonalCell)
    True
    """

    input_weight: nn.Parameter
    bias: nn.Parameter

    def __init__(self, input_size: int, hidden_size: int, *, nonlinearity: str) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = checks.one_of("nonlinearity", nonlinearity, NONLINEARITIES)

    def input_matrix(self) -> Tensor:
        """Return V."""
        return self.input_weight

    def drive_bias(self) -> Tensor | None:
        """Return b for tanh; modReLU's b is a parameter of the pointwise map."""
        return self.bias if self.nonlinearity == "tanh" else None

    def unit_parameters(self) -> Tensor:
        """Return modReLU's b, shape (1, N); none for tanh."""
        return super().unit_parameters() if self.nonlinearity == "tanh" else self.bias[None]

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        """Return tanh(W h + V x + b), or modReLU(W h + V x; b)."""
        argument = recurrent + drive
        if self.nonlinearity == "tanh":
            return torch.tanh(argument)
        return argument.sign() * torch.relu(argument.abs() + unit_parameters)

    def pointwise_rule(self) -> PointwiseRule:
        """Return `pointwise` with its derivative."""
        return RULES[self.nonlinearity]()

    def constraint_error(self) -> float:
        """Return the largest entry of |WᵀW − I|."""
        matrix = self.recurrent_matrix().detach()
        identity = torch.eye(self.hidden_size, dtype=matrix.dtype, device=matrix.device)
        return float((matrix.T @ matrix - identity).abs().max())


class Orthogonal(OrthogonalCell):
    """h_t = φ(W h_{t-1} + V x_t), with WᵀW = I.

    φ is tanh with a bias inside, tanh(z + b), or modReLU, sign(z) relu(|z| + b).

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from: W uniform over the orthogonal group, V ~ N(0, 1/D),
        b = 0.
    nonlinearity
        ``"tanh"`` or ``"modrelu"``.

    References
    ----------
    Arjovsky, Shah, Bengio, "Unitary Evolution Recurrent Neural Networks", ICML 2016 (modReLU);
    Lezcano-Casado, "Trivializations for Gradient-Based Optimization on Manifolds", NeurIPS 2019
    (the parametrisation, ``torch.nn.utils.parametrizations.orthogonal``).

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> initialiser = Initialiser(torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> cell = Orthogonal(1, 16, initialiser=initialiser)
    >>> cell.stored_parameters, cell.degrees_of_freedom
    (288, 152)
    >>> cell.constraint_error() < 1e-14
    True
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        initialiser: Initialiser,
        nonlinearity: str = "tanh",
    ) -> None:
        super().__init__(input_size, hidden_size, nonlinearity=nonlinearity)
        size = self.hidden_size
        self.recurrent = orthogonal_linear(initialiser.orthogonal(size))
        self.input_weight = initialiser.input_weight(size, self.input_size)
        self.bias = initialiser.constant(size)

    def recurrent_matrix(self) -> Tensor:
        """Return W, orthogonal."""
        return self.recurrent.weight

    @property
    def degrees_of_freedom(self) -> int:
        """The orthogonal group has dimension n(n−1)/2, not n²."""
        size = self.hidden_size
        return self.stored_parameters - size**2 + size * (size - 1) // 2


def orthogonal_linear(matrix: Tensor) -> nn.Linear:
    """Return a bias-free linear layer whose weight stays orthogonal and starts at `matrix`.

    Examples
    --------
    >>> import torch
    >>> linear = orthogonal_linear(torch.eye(3))
    >>> bool(torch.equal(linear.weight, torch.eye(3)))
    True
    """
    size = matrix.shape[0]
    linear = nn.Linear(size, size, bias=False, dtype=matrix.dtype, device="meta")
    linear.to_empty(device=matrix.device)
    linear.weight.data.copy_(matrix)
    parametrizations.orthogonal(linear, "weight")
    linear.weight = matrix
    return linear
