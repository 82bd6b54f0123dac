r"""How far the directions of a product stray into those along which it is zero.

Once steps have exact zeros, only some columns U₁ of U belong to the image of M; the others, U₂,
fill up the basis, and nothing orders them: a later step may well stretch U₂ more than U₁. What
rounding puts into U₁ along U₂ then grows, and in the end takes the place of a direction that
shrinks. With

.. math:: J (U_1, U_2) = (U_1', U_2')
   \begin{pmatrix} R_{11} & R_{12} \\ 0 & R_{22} \end{pmatrix},

U₁ + U₂ Z becomes U₁′ + U₂′ Z′, :math:`Z' = R_{22} Z R_{11}^{-1}`, to first order, and R₁₁ is off by
R₁₂ Z. Where Z is no longer small, the direction has been lost, even if R₁₂ is zero.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, NamedTuple

import torch

from gradprobe.linalg.graded import identity_like, take, take_columns, take_rows

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.linalg.graded import UpperFactor

SAMPLES = 2
"""How many random errors are followed."""


class Move(NamedTuple):
    """A step of a product, as far as it moves the basis.

    Attributes
    ----------
    factors
        The factors of J U, U being the basis before.
    d
        The logarithms before; −inf where M is zero.
    log_loss
        By how much rounding is enlarged, for each column of the new basis.
    within_reach
        Whether rounding can reach from one column of the new basis into another, (..., n, n).
    """

    factors: UpperFactor
    d: Tensor
    log_loss: Tensor
    within_reach: Tensor

    def without_copies(self) -> Move:
        """Return the same of the product itself, the first of all copies."""
        factors = self.factors
        own = factors._replace(
            Q=factors.Q[0],
            R=factors.R[0],
            log_diagonal=factors.log_diagonal[0],
            order=None if factors.order is None else factors.order[0],
            kept=None if factors.kept is None else factors.kept[0],
        )
        return self._replace(factors=own, d=self.d[0], log_loss=self.log_loss[0])


class Strays:
    """Follow Z, in units of rounding. There is none until some direction of M is zero.

    Parameters
    ----------
    like
        A vector of the product, (*batch_shape, size), float64.
    limit
        How far Z is followed: a direction that strays as far has been lost long before.

    Attributes
    ----------
    farthest
        The largest length of each column of Z so far, (*batch_shape, size).

    Examples
    --------
    >>> strays = Strays(torch.zeros(2, dtype=torch.float64), 1e16)
    >>> strays.farthest.tolist()
    [0.0, 0.0]
    """

    def __init__(self, like: Tensor, limit: float) -> None:
        self._limit = limit
        self._generator = torch.Generator().manual_seed(0)
        self._Z: Tensor | None = None
        self._sum = self.farthest = torch.zeros_like(like)

    def copied(self) -> Strays:
        """Return one that can go on apart from this one."""
        twin = copy.copy(self)
        twin._generator = torch.Generator()
        twin._generator.set_state(self._generator.get_state())
        return twin

    def step(self, move: Move) -> Tensor:
        """Go on by a step; return what has strayed adds to the squared loss of each column."""
        factors = move.factors
        d = take(move.d, factors.order) + factors.log_diagonal
        if factors.kept is not None:
            d = d.masked_fill(~factors.kept, -torch.inf)
        self._reorder(factors.order)
        loss = torch.zeros_like(d)
        if bool((d == -torch.inf).any()):
            R = factors.R.double()
            moved = None if self._Z is None else R @ self._Z
            if moved is not None:
                deviation = self._deviation(moved, R, d)
                # Errors of the same kind, step by step, add up: the square of their sum.
                loss = (2 * self._sum + deviation) * deviation
                self._sum = self._sum + deviation
            self._go_on(moved, R, d, move)
        return loss

    def turn(self, order: Tensor | None, move: Move) -> None:
        """Take the vectors of the basis in `order`, then turn them by the factor Q of `move`."""
        self._reorder(order)
        if self._Z is not None:
            Q = move.factors.Q.double()
            self._Z = Q.mT @ self._Z @ Q
        self._reorder(move.factors.order, of_errors=False)
        d = take(move.d, move.factors.order)
        if bool((d == -torch.inf).any()):
            R = move.factors.R.double()
            self._go_on(self._Z, identity_like(R).expand(R.shape), d, move)

    def _reorder(self, order: Tensor | None, *, of_errors: bool = True) -> None:
        self._sum, self.farthest = take(self._sum, order), take(self.farthest, order)
        if order is not None and self._Z is not None and of_errors:
            order = order.expand(self._Z.shape[:-1])
            self._Z = take_rows(take_columns(self._Z, order), order)

    def _deviation(self, moved: Tensor, R: Tensor, d: Tensor) -> Tensor:
        """Return the size of the columns of R₁₂ Z, relative to the diagonal entries of R₁₁."""
        alive = d != -torch.inf
        levels = d.masked_fill(~alive, 0.0)
        # What a column gets along one that M stretches more matters less by as much.
        weights = (levels.unsqueeze(-2) - levels.unsqueeze(-1)).clamp(max=0.0).exp()
        part = moved * weights.masked_fill(~alive.unsqueeze(-1), 0.0)
        # As elsewhere, a loss is that of the entries, of which a column has as many as rows.
        size = self._lengths(part) / (math.sqrt(R.shape[-1]) * R.diagonal(dim1=-2, dim2=-1).abs())
        return self._limited(size).masked_fill(~alive, 0.0)

    def _go_on(self, moved: Tensor | None, R: Tensor, d: Tensor, move: Move) -> None:
        """Replace Z by what the step makes of it, and add what the step's rounding does."""
        dead = d == -torch.inf
        strays = dead.unsqueeze(-1) & ~dead.unsqueeze(-2)
        fresh = self._normal(R) * (strays & move.within_reach)
        Z = fresh * move.log_loss.exp().unsqueeze(-2)
        if moved is not None:
            alive = ~dead.unsqueeze(-1) & ~dead.unsqueeze(-2)
            triangle = torch.where(alive, R, identity_like(R)).expand(moved.shape)
            moved = moved.masked_fill(~strays, 0.0)
            Z = Z + torch.linalg.solve_triangular(triangle, moved, upper=True, left=False)
        lengths = self._lengths(Z)
        lost = ~(lengths < self._limit)
        self._Z = torch.where(lost.unsqueeze(-2), fresh * self._limit, Z)
        self.farthest = self.farthest.maximum(self._limited(lengths)).masked_fill(dead, 0.0)

    def _limited(self, sizes: Tensor) -> Tensor:
        return sizes.nan_to_num(nan=self._limit).clamp(max=self._limit)

    def _lengths(self, Z: Tensor) -> Tensor:
        lengths: Tensor = Z.square().sum(-2).mean(0).sqrt()
        return lengths

    def _normal(self, like: Tensor) -> Tensor:
        numbers = torch.randn(SAMPLES, *like.shape, generator=self._generator, dtype=torch.float64)
        return numbers.to(like.device)
