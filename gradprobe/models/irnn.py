"""The vanilla network of rectified linear units that starts from the identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from gradprobe import checks
from gradprobe.models.vanilla import Vanilla

if TYPE_CHECKING:
    from gradprobe.models.initialiser import Initialiser


class Irnn(Vanilla):
    """h_t = relu(W h_{t-1} + V x_t + b), W starting from a multiple of the identity.

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from: W = αI, the entries of V ~ N(0, 0.001²), b = 0.
    identity_scale
        α; below 1 the network starts with a short memory.
    biases
        ``"one"`` vector, torch's ``"two"`` (added), or ``"none"``.

    References
    ----------
    Le, Jaitly, Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units",
    2015 (arXiv 1504.00941).

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> cell = Irnn(1, 3, initialiser=Initialiser(torch.Generator().manual_seed(0)))
    >>> cell.recurrent_matrix().tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        initialiser: Initialiser,
        identity_scale: float = 1.0,
        biases: str = "one",
    ) -> None:
        super().__init__(
            input_size, hidden_size, initialiser=initialiser, nonlinearity="relu", biases=biases
        )
        scale = checks.finite_number("identity_scale", identity_scale)
        with torch.no_grad():
            nn.init.eye_(self.recurrent_weight).mul_(scale)
        shape = (self.hidden_size, self.input_size)
        self.input_weight = initialiser.normal(*shape, standard_deviation=0.001)
