"""Random perturbations at the level of rounding errors, which show what rounding has done."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import torch

from gradprobe.linalg.graded import sizes_of

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.linalg.graded import Graded, Sizes

AMPLITUDE = 8.0
"""Perturbations are this many units of rounding: real rounding errors are smaller."""


class Perturbation:
    r"""Perturb all copies of a product but the first.

    The model of one step: with :math:`u` the unit of rounding, :math:`c` the amplitude and α, β, Ξ
    standard normal,

    .. math:: Y = (I + cuα) J (I + cuβ) U + c u\, r s^\top ∘ Ξ,

    where r_i, s_j are the largest entries of row i and column j of J U, and r is divided by the
    largest of all. The diagonal factors perturb J entry by entry, relative to each entry, without
    another product; the last term stands for the backward error of a QR factorisation that is
    stable by rows and by columns, which keeps no zeros.
    """

    def __init__(
        self,
        copies: tuple[int, ...],
        size: int,
        like: Tensor,
        generator: torch.Generator,
    ) -> None:
        self._shape = (copies[0] - 1, *copies[1:], size)
        self._generator = generator
        self._like = like
        self._level = AMPLITUDE * torch.finfo(like.dtype).eps / 2
        self._entries = math.prod(self._shape) * size
        self._pool = self._normal(2 * self._entries) * self._level

    def copied(self) -> Perturbation:
        """Return one that will draw the same numbers, and leaves this one alone."""
        twin = copy.copy(self)
        twin._generator = torch.Generator()
        twin._generator.set_state(self._generator.get_state())
        return twin

    def of_columns(self, U: Tensor) -> Tensor:
        """Return (I + cuβ) U."""
        return U * self._diagonal() if self._entries else U

    def of_product(
        self, Y: Tensor, absolute: Tensor | None = None, rows: Tensor | None = None
    ) -> tuple[Tensor, Sizes]:
        """Return (I + cuα) Y plus the backward error of its factorisation, and Y's sizes.

        The absolute values of Y, and the largest of each row, are given if they are known.
        """
        if not self._entries:
            return Y, sizes_of(Y, absolute, rows)
        Y = Y * self._diagonal()
        sizes = sizes_of(Y)
        return self._add_backward_error(Y, sizes), sizes

    def of_factors(self, graded: Graded) -> Graded:
        """Perturb U and V, as the reduction of a block of their product does."""
        if not self._entries:
            return graded
        U, V = (
            self._add_backward_error(part.clone(), sizes_of(part)) for part in (graded.U, graded.V)
        )
        return graded._replace(U=U, V=V)

    def _add_backward_error(self, Y: Tensor, sizes: Sizes) -> Tensor:
        offset = int(torch.randint(self._entries, (), generator=self._generator))
        noise = self._pool[offset : offset + self._entries].view(*self._shape, -1)
        rows = (
            (sizes.rows[1:] - sizes.sorted_rows[1:, ..., :1]).nan_to_num(nan=0.0).exp().to(Y.dtype)
        )
        columns = sizes.columns[1:].exp().to(Y.dtype)
        Y[1:].addcmul_(noise * columns.unsqueeze(-2), rows.unsqueeze(-1))
        return Y

    def _diagonal(self) -> Tensor:
        factors = torch.ones(1 + self._shape[0], *self._shape[1:], 1).to(self._like)
        count = factors[1:].numel()
        factors[1:] += self._level * self._normal(count).view(*self._shape, 1)
        return factors

    def _normal(self, count: int) -> Tensor:
        return torch.randn(count, generator=self._generator, dtype=torch.float64).to(self._like)
