"""The LSTM with chrono initialisation (Tallec & Ollivier, ICLR 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from gradprobe import checks
from gradprobe.errors import ArgumentError
from gradprobe.models.lstm import Lstm

if TYPE_CHECKING:
    from gradprobe.models.initialiser import Initialiser


class ChronoLstm(Lstm):
    """An LSTM whose units start with memories of 1 … T_max steps.

    b_f ~ log U(1, T_max − 1),  b_i = −b_f: a forget gate σ(log(τ − 1)) = 1 − 1/τ forgets with time
    constant τ, and the input gate lets in as much as is forgotten.  Everything else is `Lstm`.

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from: W ~ N(0, σ_w²/N), V ~ N(0, 1/D), b_f and b_i as above,
        the other biases 0.
    longest_dependency
        T_max, in steps, at least 2: the longest dependency expected in the data; the length of
        pixel MNIST if not given.
    recurrent_scale
        σ_w.

    References
    ----------
    Tallec & Ollivier, "Can recurrent neural networks warp time?", ICLR 2018, section 2, "Time
    warpings and gate initialization", equation 16.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> initialiser = Initialiser(torch.Generator().manual_seed(0))
    >>> cell = ChronoLstm(1, 128, initialiser=initialiser, longest_dependency=100)
    >>> input_gate, forget_gate, _, _ = torch.sigmoid(cell.drive_bias()).chunk(4)
    >>> bool((1 / (1 - forget_gate)).min() >= 2), bool((1 / (1 - forget_gate)).max() <= 100.1)
    (True, True)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        initialiser: Initialiser,
        longest_dependency: int = 784,
        recurrent_scale: float = 1.0,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            initialiser=initialiser,
            recurrent_scale=recurrent_scale,
            forget_bias=0.0,
        )
        longest = checks.positive_integer("longest_dependency", longest_dependency)
        if longest < 2:
            raise ArgumentError(f"longest_dependency must be at least 2 steps, got {longest}")
        forget_bias = initialiser.uniform(self.hidden_size, low=1.0, high=longest - 1.0).log()
        others = torch.zeros_like(forget_bias).repeat(2)
        self.biases.input = nn.Parameter(torch.cat((-forget_bias, forget_bias, others)).detach())
