"""The product of many step Jacobians, with all its singular values at any length."""

from __future__ import annotations

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
from gradprobe.linalg.structure import propagate_zeros

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradprobe.linalg.operators import StepOperator

GROWTH = 2.0
"""Refactor once ‖V‖_F² / size exceeds this. As |det V| = 1, it is 1 at least: for orthogonal V."""


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

    def absorb(self, step: Tensor | StepOperator) -> None:
        """Replace M by J M.

        Parameters
        ----------
        step
            J: a tensor (*batch_shape, size, size), or a `StepOperator`.
        """
        check_step(step, self.steps + 1, (*self.batch_shape, self.size, self.size), self.dtype)
        Y, sizes = self._perturbation.of_product(
            step @ self._perturbation.of_columns(self._graded.U)
        )
        if not bool(sizes.rows.isfinite().all()):
            raise NonFiniteError(f"step {self.steps + 1} holds NaN or an infinity, or overflows")
        factors = graded.factor(Y, self._graded.d, sizes)
        if self._is_delicate(factors):
            factors = self._delicate_factors(step if isinstance(step, Tensor) else step.dense())
        self._graded = graded.join(self._graded, factors)
        self.steps += 1
        if bool(torch.linalg.matrix_norm(self._graded.V).amax() ** 2 > GROWTH * self.size):
            self._graded = graded.refactored(self._graded)

    def log_singular_values(self) -> Spectrum:
        """Return the log singular values of M, with their errors; M stays as it is."""
        return self._spectrum(self._graded, self.size, self._rank)

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
        rank = self._rank.minimum((self._live & row_mask).sum(-1))
        rank = rank.minimum((self._started & column_mask).sum(-1))
        block = self._perturbation.of_factors(graded.refactored(self._graded))
        block = graded.restricted(block, row_mask, rank)
        block = graded.restricted(graded.transposed(block), column_mask, rank)
        return self._spectrum(block, count, rank)

    def _spectrum(self, product: graded.Graded, count: int, rank: Tensor) -> Spectrum:
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

    def _is_delicate(self, factors: graded.UpperFactor) -> bool:
        """Return whether J is ill-conditioned or singular, or M has zero rows to follow."""
        alive = self._graded.d.gather(-1, factors.order) > -torch.inf
        weak = (factors.relative_diagonal < graded.DELICATE) & alive
        return bool(weak.any()) or not bool(self._live.all())

    def _delicate_factors(self, step: Tensor) -> graded.UpperFactor:
        """Factor J U diag(e^d) when J is ill-conditioned or singular.

        J is factored alone first, J = Q_J diag(e^g) R_J, because small columns of J would drown in
        J U. Then diag(e^g) R_J U has graded rows only, which row-sorted QR does not mix. Columns
        beyond the rank that the zeros of the steps allow get d = −inf.
        """
        if self.steps == 0:
            self._started = (step != 0).any(-2)
        self._live, rank = propagate_zeros(step, self._live)
        self._rank = self._rank.minimum(rank)
        J, sizes = self._perturbation.of_product(step.expand(self._graded.U.shape).clone())
        inner = graded.factor(J, torch.zeros_like(self._graded.d), sizes)
        Y = inner.R @ graded.take_rows(self._graded.U, inner.order)
        Y, sizes = self._perturbation.of_product(Y * inner.d.exp().to(Y.dtype).unsqueeze(-1))
        factors = graded.factor(Y, self._graded.d, sizes)
        factors = graded.truncated(Y, self._graded, factors, self._rank)
        return factors._replace(Q=inner.Q @ factors.Q)
