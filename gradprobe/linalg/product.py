"""The product of many step Jacobians, with all its singular values at any length."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gradprobe import checks
from gradprobe.errors import ArgumentError, NonFiniteError
from gradprobe.linalg import graded
from gradprobe.linalg.errors_of_values import estimated_errors
from gradprobe.linalg.operators import check_dtype, check_step
from gradprobe.linalg.perturbation import Perturbation
from gradprobe.linalg.reduction import log_singular_values
from gradprobe.linalg.spectrum import Spectrum
from gradprobe.linalg.stride import Stride
from gradprobe.linalg.structure import propagate_zeros

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradprobe.linalg.operators import StepOperator

GROWTH = 2.0
"""Refactor once ‖V‖_F² / size exceeds this. As |det V| = 1, it is 1 at least: for orthogonal V."""


ORDINARY = {torch.float64: 2.0**100, torch.float32: 2.0**20}
"""Factor at once where the columns' largest entry leaves 1 / this … this: more may overflow."""


class GradedProduct:
    r"""The product :math:`M_t = J_t \cdots J_1`, kept as :math:`U \mathrm{diag}(e^d) V`.

    Parameters
    ----------
    size
        Rows and columns of each J.
    batch_shape
        Leading axes: one independent product for each index.
    dtype
        ``torch.float64`` (default) or ``torch.float32``: of the factors.
    device
        Where the product is kept. Final reductions run on the CPU.
    repetitions
        How many perturbed copies run beside the product; their spread is the stated error.
    generator
        Draws the perturbations, on the CPU. None: a new one with seed 0, so that the same steps
        give the same errors again.
    tolerance
        Largest error of a value that counts as resolved.

    Raises
    ------
    ArgumentError
        A size, shape, dtype or tolerance is wrong.
    NonFiniteError
        An absorbed step holds NaN or an infinity, or overflows.

    Notes
    -----
    To absorb a step: QR of the columns of J U, sorted by norm times e^d, gives the new U; the
    diagonal of R moves into d, its signs stay in the graded triangular factor that is absorbed by
    V. See Stewart, "On graded QR decompositions of products of matrices", ETNA 5, 1997, and
    Bauer, "Fast and stable determinant quantum Monte Carlo", SciPost Phys. Core 2, 011, 2020.

    Examples
    --------
    >>> import torch
    >>> product = GradedProduct(2, generator=torch.Generator().manual_seed(0))
    >>> for _ in range(1000):
    ...     product.absorb(torch.tensor([[0.5, 0.0], [0.0, 0.25]], dtype=torch.float64))
    >>> (product.log_singular_values().log_singular_values / torch.tensor(0.5).log()).round()
    tensor([1000., 2000.], dtype=torch.float64)
    """

    def __init__(
        self,
        size: int,
        *,
        batch_shape: Sequence[int] = (),
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
        repetitions: int = 2,
        generator: torch.Generator | None = None,
        tolerance: float = 1e-6,
    ) -> None:
        self.size = checks.positive_integer("size", size)
        self.batch_shape = tuple(
            checks.positive_integer("each of batch_shape", n) for n in batch_shape
        )
        self.dtype = check_dtype(dtype)
        self.repetitions = checks.positive_integer("repetitions", repetitions)
        self.tolerance = checks.positive_number("tolerance", tolerance)
        self.steps = 0
        identity = torch.eye(self.size, dtype=dtype, device=device)
        copies = (1 + self.repetitions, *self.batch_shape)
        start = identity.expand(*copies, self.size, self.size)
        zeros = torch.zeros(*copies, self.size, dtype=torch.float64, device=device)
        self._graded = graded.Graded(start, zeros, start)
        self._live = torch.ones(*self.batch_shape, self.size, dtype=torch.bool, device=device)
        self._started = self._live
        self._rank = torch.full(self.batch_shape, self.size, device=device)
        source = torch.Generator().manual_seed(0) if generator is None else generator
        self._perturbation = Perturbation(copies, self.size, identity, source)
        self._columns = self._graded.U
        self._pending: list[Tensor | StepOperator] = []
        self._stride = Stride()

    def absorb(self, step: Tensor | StepOperator) -> None:
        """Replace M by J M.

        Parameters
        ----------
        step
            J: a tensor (*batch_shape, size, size), or a `StepOperator`, which is kept for a few
            steps and must not change.
        """
        check_step(step, self.steps + 1, (*self.batch_shape, self.size, self.size), self.dtype)
        self._multiply(step.clone() if isinstance(step, Tensor) else step, self.steps + 1)
        self.steps += 1

    def log_singular_values(self) -> Spectrum:
        """Return the log singular values of M, with their errors; M stays as it is."""
        product = self._factored()
        return self._spectrum(product._graded, product._rank, self.size)

    def block(self, rows: slice | Tensor, columns: slice | Tensor) -> Spectrum:
        """Return the spectrum of M[rows, columns]; M stays as it is.

        Parameters
        ----------
        rows, columns
            Slices, or tensors of indices (int64) or of truth values (bool): which rows and columns
            of M, without repetition.

        Returns
        -------
        Spectrum
            Of as many values as the block has rows or columns, whichever are fewer.

        Examples
        --------
        >>> import torch
        >>> product = GradedProduct(3, generator=torch.Generator().manual_seed(0))
        >>> product.absorb(torch.diag(torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)))
        >>> spectrum = product.block(slice(0, 2), slice(0, 2)).log_singular_values
        >>> spectrum.exp().round(decimals=6).tolist()
        [2.0, 1.0]
        """
        row_mask, column_mask = self._mask("rows", rows), self._mask("columns", columns)
        count = min(int(row_mask.sum()), int(column_mask.sum()))
        return self._spectrum(*self._restricted(row_mask, column_mask), count)

    def factors(self, chosen: slice | Tensor | None = None) -> graded.Graded:
        r"""Return U, d, V of :math:`M = U \mathrm{diag}(e^d) V`; M stays as it is.

        Parameters
        ----------
        chosen
            Set all rows and columns of M to zero but these: a slice, or a tensor of indices or of
            truth values. All are kept by default.

        Returns
        -------
        Graded
            The factors with axes (1 + repetitions, *batch_shape, …): those of M first, then those
            of the perturbed copies. U and V are well conditioned; d = −inf beyond the rank that
            the zeros of the steps allow.

        Examples
        --------
        >>> import torch
        >>> product = GradedProduct(2, generator=torch.Generator().manual_seed(0))
        >>> product.absorb(torch.diag(torch.tensor([2.0, 0.0], dtype=torch.float64)))
        >>> U, d, V = product.factors()
        >>> (U[0] @ d[0].exp().diag() @ V[0]).round(decimals=6).tolist()
        [[2.0, 0.0], [0.0, 0.0]]
        """
        if chosen is None:
            return self._factored()._graded
        mask = self._mask("chosen", chosen)
        return graded.transposed(self._restricted(mask, mask)[0])

    def _restricted(self, rows: Tensor, columns: Tensor) -> tuple[graded.Graded, Tensor]:
        """Return the transposed product with other rows and columns zero, and its largest rank."""
        product = self._factored()
        rank_of_rows = product._rank.minimum((product._live & rows).sum(-1))
        rank = rank_of_rows.minimum((product._started & columns).sum(-1))
        block = product._perturbation.of_factors(graded.refactored(product._graded))
        block = graded.restricted(block, rows, rank_of_rows)
        return graded.restricted(graded.transposed(block), columns, rank), rank

    def _spectrum(self, product: graded.Graded, rank: Tensor, count: int) -> Spectrum:
        values = log_singular_values(product)[..., :count]
        error = estimated_errors(values, rank.cpu(), self.steps, self.dtype)
        return Spectrum(values[0], error, error <= self.tolerance)

    def _mask(self, name: str, chosen: slice | Tensor) -> Tensor:
        mask = torch.zeros(self.size, dtype=torch.bool, device=self._live.device)
        try:
            mask[chosen] = True
        except (IndexError, TypeError) as error:
            raise ArgumentError(
                f"{name} must be a slice or a tensor of indices below {self.size}, got {chosen!r}"
            ) from error
        if not bool(mask.any()):
            raise ArgumentError(f"{name} must choose at least one of {self.size}, got {chosen!r}")
        return mask

    def _multiply(self, step: Tensor | StepOperator, number: int) -> None:
        """Multiply the columns by J, and factor them once there are enough steps."""
        columns = step @ self._perturbation.of_columns(self._columns)
        smallest, largest = torch.stack(columns.abs().amax((-2, -1)).aminmax()).tolist()
        if not math.isfinite(largest):
            raise NonFiniteError(f"step {number} holds NaN or an infinity, or overflows")
        self._columns = columns
        self._pending.append(step)
        ordinary = 1 / ORDINARY[self.dtype] < smallest and largest < ORDINARY[self.dtype]
        if len(self._pending) >= self._stride.length or not ordinary:
            self._factor()

    def _factor(self) -> None:
        """Factor the columns; where too many steps were multiplied, do them again in halves."""
        steps, self._pending = self._pending, []
        Y, sizes = self._perturbation.of_product(self._columns)
        factors = graded.factor(Y, self._graded.d, sizes)
        weakest = self._weakest(factors)
        if weakest >= graded.DELICATE and bool(self._live.all()):
            self._stride.passed(weakest)
        elif len(steps) == 1:
            factors = self._delicate_factors(steps[0])
        else:
            self._repeat(steps)
            return
        self._graded = graded.join(self._graded, factors)
        if bool(torch.linalg.matrix_norm(self._graded.V).amax() ** 2 > GROWTH * self.size):
            self._graded = graded.refactored(self._graded)
        self._columns = self._graded.U

    def _repeat(self, steps: list[Tensor | StepOperator]) -> None:
        """Take the steps since the last factorisation again, fewer at a time."""
        self._stride.failed()
        self._columns = self._graded.U
        for number, step in enumerate(steps, self.steps + 2 - len(steps)):
            self._multiply(step, number)

    def _factored(self) -> GradedProduct:
        """Return a copy that has no step left to factor; this product stays as it is."""
        twin = copy.copy(self)
        twin._perturbation, twin._stride = self._perturbation.copied(), copy.copy(self._stride)
        twin._pending = list(self._pending)
        while twin._pending:
            twin._factor()
        return twin

    def _weakest(self, factors: graded.UpperFactor) -> float:
        """Return the smallest relative diagonal entry of a column that is not zero already."""
        dead = self._graded.d.gather(-1, factors.order) == -torch.inf
        return float(factors.relative_diagonal.masked_fill(dead, torch.inf).min())

    def _delicate_factors(self, operator: Tensor | StepOperator) -> graded.UpperFactor:
        """Factor J U diag(e^d) when J is ill-conditioned or singular.

        J is factored alone first, J = Q_J diag(e^g) R_J, because small columns of J would drown in
        J U. Then diag(e^g) R_J U has graded rows only, which row-sorted QR does not mix. Columns
        beyond the rank that the zeros of the steps allow get d = −inf.
        """
        step = operator if isinstance(operator, Tensor) else operator.dense()
        self._follow_zeros(step)
        J, sizes = self._perturbation.of_product(step.expand(self._graded.U.shape).clone())
        inner = graded.factor(J, torch.zeros_like(self._graded.d), sizes)
        Y = inner.R @ graded.take_rows(self._graded.U, inner.order)
        Y, sizes = self._perturbation.of_product(Y * inner.d.exp().to(Y.dtype).unsqueeze(-1))
        factors = graded.factor(Y, self._graded.d, sizes)
        factors = graded.truncated(Y, self._graded, factors, self._rank)
        return factors._replace(Q=inner.Q @ factors.Q)

    def _follow_zeros(self, step: Tensor) -> None:
        """Bound the rank by the exact zeros of this step and all before."""
        if self.steps == 0:
            self._started = (step != 0).any(-2)
        self._live, rank = propagate_zeros(step, self._live)
        self._rank = self._rank.minimum(rank)
