r"""A sketch of the rounding errors of a few steps, carried along by the steps themselves.

With Ω standard normal, of k columns, δY Ω tells how large the error δY of a product
:math:`Y = J_m \cdots J_1 U` is in every direction: :math:`\mathbb{E} |(δY Ω)_i|^2 = k |δY_i|^2` for
each row i, in any basis.  Each product with a step, and each factorisation, adds an independent
error to every row of its argument, of one unit of rounding of that row's norm; the steps that
follow carry it on, beside Y.  So what a step has nearly lost, and the next one has brought back,
counts as lost.
"""

from __future__ import annotations

import torch
from torch import Tensor

COLUMNS = 4
"""Of the sketch."""

DRAWS = 32
"""After so many steps the random numbers are the same again."""


class RoundingSketch:
    """Columns, and beside them their errors in units of rounding.

    Parameters
    ----------
    like
        A tensor (..., n, n) of the dtype and on the device.

    Examples
    --------
    >>> import torch
    >>> sketch = RoundingSketch(torch.eye(3))
    >>> joint, norms = sketch.with_errors(2 * torch.eye(3))
    >>> joint.shape, norms.tolist()
    (torch.Size([3, 7]), [2.0, 2.0, 2.0])
    """

    def __init__(self, like: Tensor) -> None:
        self._size = like.shape[-1]
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randn(DRAWS, self._size, COLUMNS, generator=generator, dtype=torch.float64)
        self._noise, self._drawn = drawn.to(like).unbind(0), 0

    def with_errors(self, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Return `columns` and their errors, side by side, and the norms of the rows."""
        norms: Tensor = torch.linalg.vector_norm(columns, dim=-1)
        errors = self._draw() * norms.unsqueeze(-1)
        return torch.cat((columns, errors), dim=-1), norms

    def add_errors(self, joint: Tensor) -> Tensor:
        """Let the columns be off by another rounding; return the norms of their rows."""
        columns, errors = self.parted(joint)
        norms: Tensor = torch.linalg.vector_norm(columns, dim=-1)
        errors.addcmul_(norms.unsqueeze(-1), self._draw())
        return norms

    def _draw(self) -> Tensor:
        self._drawn = (self._drawn + 1) % DRAWS
        return self._noise[self._drawn]

    @property
    def probes(self) -> Tensor:
        """Ω, (n, k), as it is now."""
        return self._noise[self._drawn]

    def parted(self, joint: Tensor) -> tuple[Tensor, Tensor]:
        """Return the columns and their errors."""
        return joint[..., : self._size], joint[..., self._size :]
