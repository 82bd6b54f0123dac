"""A product of many steps on a few columns, none of which drowns in another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gradprobe import checks
from gradprobe.errors import ArgumentError, NonFiniteError
from gradprobe.linalg import graded
from gradprobe.linalg.reduction import log_singular_values
from gradprobe.linalg.spreads import Spreads

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.linalg.operators import StepOperator

GROWTH = 2.0
"""Refactor once ‖V‖_F² / k exceeds this; see `gradprobe.linalg.product`."""


class ThinProduct:
    r"""M Q for a thin orthonormal Q: kept as :math:`U \mathrm{diag}(e^d) V`, V of size k × k.

    Each step is applied to the k columns of U, which are then made orthonormal again; what this
    costs is linear in the size of the steps, and so is the memory.

    Parameters
    ----------
    columns
        Q, orthonormal columns, (*batch_shape, size, k).

    Raises
    ------
    ArgumentError
        There are more columns than rows.
    NonFiniteError
        A step holds NaN or an infinity, or overflows.

    Examples
    --------
    >>> import torch
    >>> product = ThinProduct(torch.eye(3, dtype=torch.float64)[:, :2])
    >>> for _ in range(1000):
    ...     product.absorb(torch.diag(torch.tensor([0.5, 0.25, 1.0], dtype=torch.float64)))
    >>> (product.log_singular_values() / torch.tensor(0.5).log()).round()
    tensor([1000., 2000.], dtype=torch.float64)
    """

    def __init__(self, columns: Tensor) -> None:
        rows, count = columns.shape[-2:]
        checks.positive_integer("the number of columns", count)
        if count > rows:
            raise ArgumentError(f"columns must be at most the {rows} rows, got {count} columns")
        self._U = columns
        batch = columns.shape[:-2]
        identity = torch.eye(count, dtype=columns.dtype, device=columns.device)
        zeros = torch.zeros(*batch, count, dtype=torch.float64, device=columns.device)
        start = identity.expand(*batch, count, count)
        self._small = graded.Graded(start, zeros, start)
        self._lost = zeros
        self._spreads = Spreads()
        self.steps = 0

    def absorb(self, step: Tensor | StepOperator) -> None:
        """Replace M by J M."""
        self._factor(step @ self._U)
        self.steps += 1

    def restrict(self, rows: slice) -> None:
        """Set all other rows of M Q to zero."""
        kept = torch.zeros_like(self._U)
        kept[..., rows, :] = self._U[..., rows, :]
        self._factor(kept)

    def _factor(self, columns: Tensor) -> None:
        """Put `columns` in place of U, and make them orthonormal again."""
        if not bool(columns.isfinite().all()):
            raise NonFiniteError(f"step {self.steps + 1} holds NaN or an infinity, or overflows")
        Q, R = torch.linalg.qr(columns)
        sizes = graded.sizes_of(R)
        factors = graded.factor(R, graded.descending(sizes.columns + self._small.d), sizes)
        self._lost = self._lost_now(columns, factors)
        self._keep(Q, graded.join(self._small, factors))
        self._spreads.note(self._small.d, int((self._small.d == -torch.inf).sum()))
        if bool(torch.linalg.matrix_norm(self._small.V).amax() ** 2 > GROWTH * R.shape[-1]):
            self._sort()
            self._keep(self._U, graded.refactored(self._small._replace(U=self._identity())))

    def _lost_now(self, columns: Tensor, factors: graded.UpperFactor) -> Tensor:
        """Return what rounding has done to each direction, relative to its size, squared.

        A direction much shorter than the longest may be what others left of rounding errors; one of
        no length is a true zero only where so many rows are.
        """
        before, length = graded.take(self._small.d, factors.order), factors.log_diagonal.exp()
        longest = torch.linalg.vector_norm(columns, dim=-2).amax(-1).double()
        level = torch.finfo(columns.dtype).eps * longest
        lost = (level.unsqueeze(-1) / length).square()
        alive = (columns != 0).any(-1).sum(-1, keepdim=True)
        beyond = torch.arange(length.shape[-1], device=length.device) >= alive
        dead = (before == -torch.inf) | (beyond & (length == 0))
        total: Tensor = graded.take(self._lost, factors.order) + lost.masked_fill(dead, 0.0)
        return total

    def _sort(self) -> None:
        """Put the longest directions first."""
        self._lost = graded.take(self._lost, graded.descending(self._small.d))
        self._keep(self._U, graded.sorted_by_size(self._small._replace(U=self._identity())))

    def rounding(self) -> Tensor:
        """Return how far rounding has moved each log value, (*batch_shape, k); inf if lost.

        Where values lay farther apart on the way than in the end, by x nats, the steps between have
        enlarged an error of one of them along another e^x times.
        """
        self._sort()
        returned = self._spreads.returned()
        return self._lost.sqrt() * (1.0 if returned is None else returned.exp())

    def directions(self) -> Tensor:
        """Return U, sorted: the directions into which M Q maps, the most stretched ones first."""
        self._sort()
        self._keep(self._U, graded.refactored(self._small._replace(U=self._identity())))
        self._sort()
        return self._U

    def log_singular_values(self) -> Tensor:
        """Return the logarithms of the singular values of M Q, (*batch_shape, k), descending."""
        return log_singular_values(self._small._replace(U=self._identity())).to(self._U.device)

    def _keep(self, Q: Tensor, small: graded.Graded) -> None:
        """Take over a factorisation whose U is k × k, in the basis Q."""
        self._U, self._small = Q @ small.U, small

    def _identity(self) -> Tensor:
        return graded.identity_like(self._small.V).expand_as(self._small.V)
