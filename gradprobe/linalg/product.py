"""The product of many step Jacobians, with all its singular values at any length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gradprobe import checks
from gradprobe.errors import ArgumentError
from gradprobe.linalg import graded
from gradprobe.linalg.errors_of_values import stated_errors
from gradprobe.linalg.operators import check_dtype, check_step
from gradprobe.linalg.perturbation import Perturbation
from gradprobe.linalg.reduction import log_singular_values
from gradprobe.linalg.running_factorisation import RunningFactorisation
from gradprobe.linalg.spectrum import Spectrum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradprobe.linalg.operators import StepOperator


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
        How many perturbed copies run beside the product, for `factors`; none by default. What
        `Spectrum` states as errors does not need them.
    generator
        Draws the perturbations, on the CPU. None: a new one with seed 0.
    tolerance
        Largest error of a value that counts as resolved. A smaller one costs time: several steps
        are multiplied before they are factored only where that leaves values digits enough.

    Raises
    ------
    ArgumentError
        A size, shape, dtype or tolerance is wrong.
    NonFiniteError
        An absorbed step holds NaN or an infinity, or overflows.

    Notes
    -----
    To absorb a step: QR of the columns of J U, kept in the order of norm times e^d, gives the new
    U, orthogonal as far as need be; the diagonal of R moves into d, its signs stay in the graded
    triangular factor, which V absorbs every few steps
    (`gradprobe.linalg.running_factorisation.RunningFactorisation`). Stated errors follow from how
    rounding at each step is enlarged on the rest of the way (`gradprobe.linalg.history.History`).
    See Stewart, "On graded QR decompositions of products of matrices", ETNA 5, 1997, and Bauer,
    "Fast and stable determinant quantum Monte Carlo", SciPost Phys. Core 2, 011, 2020.

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
        repetitions: int = 0,
        generator: torch.Generator | None = None,
        tolerance: float = 1e-6,
    ) -> None:
        self.size = checks.positive_integer("size", size)
        self.batch_shape = tuple(
            checks.positive_integer("each of batch_shape", n) for n in batch_shape
        )
        self.dtype = check_dtype(dtype)
        self.repetitions = checks.non_negative_integer("repetitions", repetitions)
        self.tolerance = checks.positive_number("tolerance", tolerance)
        self.steps = 0
        identity = torch.eye(self.size, dtype=dtype, device=device)
        copies = (1 + self.repetitions, *self.batch_shape)
        start = identity.expand(*copies, self.size, self.size)
        source = torch.Generator().manual_seed(0) if generator is None else generator
        perturbation = Perturbation(copies, self.size, identity, source)
        self._device = identity.device
        self._running = RunningFactorisation(start, perturbation, self.tolerance)

    def absorb(self, step: Tensor | StepOperator) -> None:
        """Replace M by J M.

        Parameters
        ----------
        step
            J: a tensor (*batch_shape, size, size), or a `StepOperator`, which is kept for a few
            steps and must not change.
        """
        check_step(step, self.steps + 1, (*self.batch_shape, self.size, self.size), self.dtype)
        self._running.multiply(step.clone() if isinstance(step, Tensor) else step)
        self.steps += 1

    def log_singular_values(self) -> Spectrum:
        """Return the log singular values of M, with their errors; M stays as it is."""
        product = self._running.finished()
        at, rank = product.decomposition.arrive(), product.zeros.rank
        return self._spectrum(product, at, self.size, rank)

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
        >>> product = GradedProduct(2)
        >>> product.absorb(torch.diag(torch.tensor([2.0, 0.0], dtype=torch.float64)))
        >>> U, d, V = product.factors()
        >>> (U[0] @ d[0].exp().diag() @ V[0]).round(decimals=6).tolist()
        [[2.0, 0.0], [0.0, 0.0]]
        """
        product = self._running.finished()
        if chosen is None:
            return product.decomposition.arrive()
        mask = self._mask("chosen", chosen)
        return graded.transposed(product.restricted(mask, mask)[0])

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
        product = self._running.finished()
        count = min(int(row_mask.sum()), int(column_mask.sum()))
        block, rank = product.restricted(row_mask, column_mask)
        return self._spectrum(product, block, count, rank, column_mask)

    def _spectrum(
        self,
        product: RunningFactorisation,
        values_of: graded.Graded,
        count: int,
        rank: Tensor,
        columns: Tensor | None = None,
    ) -> Spectrum:
        """Return the spectrum of `values_of`: `product`, or what is left of it in `columns`."""
        own = graded.Graded(*(part[:1] for part in values_of))
        values = log_singular_values(own)[0, ..., :count]
        at = product.decomposition.arrive()
        order = graded.descending(at.d[0])
        V = graded.take_rows(at.V[0].double(), order)
        V = V if columns is None else V * columns
        sensitivity = product.decomposition.history.sensitivity(V, order, rank)
        error = stated_errors(values, sensitivity, rank.cpu(), self.steps, self.dtype)
        return Spectrum(values, error, error <= self.tolerance)

    def _mask(self, name: str, chosen: slice | Tensor) -> Tensor:
        mask = torch.zeros(self.size, dtype=torch.bool, device=self._device)
        try:
            mask[chosen] = True
        except (IndexError, TypeError) as error:
            raise ArgumentError(
                f"{name} must be a slice or a tensor of indices below {self.size}, got {chosen!r}"
            ) from error
        if not bool(mask.any()):
            raise ArgumentError(f"{name} must choose at least one of {self.size}, got {chosen!r}")
        return mask
