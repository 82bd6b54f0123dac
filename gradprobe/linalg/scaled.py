"""Norms of a product at every step: no factorisation, only a scale that follows it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch

from gradprobe import checks
from gradprobe.errors import ArgumentError, NonFiniteError
from gradprobe.linalg.operators import check_dtype, check_step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from gradprobe.linalg.operators import StepOperator

AMPLITUDE = 8.0
"""The sketch carries errors this many times larger than rounding is expected to make."""

SAFETY = 4.0
"""By how much a sketch in a few directions may fall short."""

LARGEST_ERROR = 0.1
"""Beyond this relative error the norm is not determined."""

ORDINARY = {torch.float64: 2.0**200, torch.float32: 2.0**25}
"""The norms of all rows between 1 / this and this: no square and no noise underflows."""


class Norm(NamedTuple):
    """The logarithm of a norm and how far to trust it, each (*batch_shape).

    Attributes
    ----------
    log_norm
        Natural logarithm, float64; −inf for an exact zero.
    error
        Estimated absolute error of `log_norm`; +inf: the arithmetic does not determine it.
    resolved
        ``error <= tolerance`` of the product.

    Examples
    --------
    >>> import torch
    >>> Norm(torch.tensor(0.0), torch.tensor(1e-12), torch.tensor(True)).resolved.item()
    True
    """

    log_norm: Tensor
    error: Tensor
    resolved: Tensor


class ScaledProduct:
    r"""Some columns of :math:`M_t = J_t \cdots J_1`, as a matrix times a power of two.

    Parameters
    ----------
    size
        Rows and columns of each J.
    columns
        Which columns of M to follow; all by default.
    batch_shape
        Leading axes: one independent product for each index.
    dtype
        ``torch.float64`` (default) or ``torch.float32``.
    device
        Where the product is kept.
    sketches
        Random directions in which rounding errors are followed.
    generator
        Draws these directions, on the CPU. None: a new one with seed 0, so that the same steps
        give the same errors again.
    tolerance
        Largest error of a norm that counts as resolved.

    Raises
    ------
    ArgumentError
        A size, shape, dtype or tolerance is wrong.
    NonFiniteError
        An absorbed step holds NaN or an infinity, or overflows.

    Notes
    -----
    With P the computed product and δP its error, a sketch E = δP Ω, Ω standard normal with k
    columns, has :math:`\mathbb{E} ‖E‖_F^2 = k ‖δP‖_F^2`. E is carried beside P through the same
    matrix product:

    .. math:: P ← J P, \qquad E ← J (E + c u\, p ∘ N),

    with N fresh standard normal, u the unit of rounding and p_k the norm of row k of P. The new
    term has row i of variance :math:`c^2 u^2 \sum_k J_{ik}^2 p_k^2`, which is that of the rounding
    errors of row i of J P, for independent errors of c units in each of its terms. Then
    :math:`|δ \log ‖P‖| ≤ ‖δP‖_F / ‖P‖` to first order, for the Frobenius and the spectral norm.
    Rescaling by powers of two is exact.

    Underflow is an error too: p_k counts as the smallest normal number over c u at least, in each
    row that the zeros of the steps allow to be non-zero. These rows are followed by one more
    column, of which only the zeros count; so a row that underflows is told from one that vanishes.

    Examples
    --------
    >>> import torch
    >>> product = ScaledProduct(2, generator=torch.Generator().manual_seed(0))
    >>> for _ in range(2000):
    ...     product.absorb(torch.eye(2, dtype=torch.float64) / 4)
    >>> norm = product.log_norm()  # log(√2 · 4^-2000)
    >>> round(norm.log_norm.item(), 6)
    -2772.242149
    >>> norm.resolved.item()
    True
    """

    def __init__(
        self,
        size: int,
        columns: slice | None = None,
        *,
        batch_shape: Sequence[int] = (),
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
        sketches: int = 4,
        generator: torch.Generator | None = None,
        tolerance: float = 1e-6,
    ) -> None:
        self.size = checks.positive_integer("size", size)
        self.batch_shape = tuple(
            checks.positive_integer("each of batch_shape", axis) for axis in batch_shape
        )
        self.dtype = check_dtype(dtype)
        self.sketches = checks.positive_integer("sketches", sketches)
        self.tolerance = checks.positive_number("tolerance", tolerance)
        self.steps = 0
        self._generator = torch.Generator().manual_seed(0) if generator is None else generator
        self._level = AMPLITUDE * torch.finfo(dtype).eps / 2
        if columns is not None and not isinstance(columns, slice):
            raise ArgumentError(f"columns must be a slice, or None for all, got {columns!r}")
        identity = torch.eye(self.size, dtype=dtype, device=device)
        followed = identity if columns is None else identity[:, columns]
        self.columns = checks.positive_integer("the number of columns", followed.shape[1])
        start = torch.nn.functional.pad(followed, (0, self.sketches + 1))
        self._exponent = torch.zeros(self.batch_shape, dtype=torch.int64, device=device)
        # Not below one in size, so that no product with an entry of a step underflows.
        self._marks = 1 + self._normal(self.size).to(start).abs()
        self._keep(start.repeat(*self.batch_shape, 1, 1), "the identity")

    @property
    def matrix(self) -> Tensor:
        """P in M ≈ 2^exponent · P, (*batch_shape, size, columns)."""
        return self._joint[..., : self.columns]

    @property
    def exponent(self) -> Tensor:
        """The power of two that multiplies `matrix`, (*batch_shape), int64."""
        return self._exponent

    def absorb(self, step: Tensor | StepOperator) -> None:
        """Replace M by J M.

        Parameters
        ----------
        step
            J: a tensor (*batch_shape, size, size), or a `StepOperator`.
        """
        check_step(step, self.steps + 1, (*self.batch_shape, self.size, self.size), self.dtype)
        self._add_noise()
        self._keep(step @ self._joint, f"step {self.steps + 1}")
        self.steps += 1

    def log_norm(self, rows: slice | Tensor | None = None) -> Norm:
        """Return the logarithm of the Frobenius norm of M, or of some of its rows.

        Parameters
        ----------
        rows
            Which rows: a slice, or a tensor of indices; all by default.
        """
        chosen = self._chosen(rows)
        return self._norm(self._length(self._row_norms[..., chosen]), chosen)

    def log_spectral_norm(self, rows: slice | Tensor | None = None) -> Norm:
        """Return the logarithm of the largest singular value of M, or of some of its rows.

        Parameters
        ----------
        rows
            Which rows: a slice, or a tensor of indices; all by default.
        """
        chosen = self._chosen(rows)
        return self._norm(torch.linalg.matrix_norm(self.matrix[..., chosen, :], ord=2), chosen)

    def _chosen(self, rows: slice | Tensor | None) -> slice | Tensor:
        """Return an index of the chosen rows."""
        chosen = slice(None) if rows is None else rows
        try:
            count = self._row_norms[..., chosen].shape[-1]
        except (IndexError, TypeError) as error:
            raise ArgumentError(
                f"rows must be a slice or a tensor of indices below {self.size}, got {rows!r}"
            ) from error
        checks.positive_integer("the number of rows", count)
        return chosen

    def _norm(self, norm: Tensor, chosen: slice | Tensor) -> Norm:
        sketch = self._joint[..., chosen, self.columns : -1].flatten(-2)
        spread = SAFETY * self._length(sketch).double() / math.sqrt(self.sketches)
        if not self._ordinary:
            spread = spread + self._least * self._live[..., chosen].sum(-1).double()
        norm = norm.double()
        rounding = torch.finfo(self.dtype).eps * (math.sqrt(self.size) + 2)
        relative = spread / norm + rounding
        value = norm.log() + self._exponent.double() * math.log(2)
        error = relative / (1 - relative) + torch.finfo(torch.float64).eps * value.abs()
        error = torch.where(relative < LARGEST_ERROR, error, torch.inf)
        error = error.masked_fill((norm == 0) & (spread == 0), 0.0)
        return Norm(value, error, error <= self.tolerance)

    def _keep(self, joint: Tensor, name: str) -> None:
        """Measure the rows; if some are far from one in size, find those that are exactly zero."""
        matrix, widest = joint[..., : self.columns], ORDINARY[self.dtype]
        row_norms = norms_of(matrix)
        smallest, largest = torch.stack(row_norms.aminmax()).tolist()
        ordinary = 1 / widest < smallest and largest < widest
        if not ordinary:
            row_norms = stable_norms_of(matrix)
            if not bool(row_norms.isfinite().all()):
                raise NonFiniteError(f"{name} holds NaN or an infinity, or overflows")
            self._live = (joint[..., -1] != 0) | (row_norms > 0)
        self._joint, self._row_norms, self._ordinary = joint, row_norms, ordinary

    def _add_noise(self) -> None:
        """Perturb the sketch, and set the last column to non-zero marks in the rows of M."""
        if self._ordinary:
            level, marks = self._level * self._row_norms, self._marks
        else:
            factor = self._rescale().clamp(min=1).unsqueeze(-1)
            level = self._level * self._row_norms + self._least * factor * self._live
            marks = self._marks * self._live
        noise = self._normal(*self.batch_shape, self.size, self.sketches).to(self._joint)
        self._joint[..., self.columns : -1] += noise.mul_(level.unsqueeze(-1))
        self._joint[..., -1] = marks

    def _rescale(self) -> Tensor:
        """Bring the norm back to about one by a power of two, and return this."""
        exponent = torch.frexp(self._row_norms.double().amax(-1)).exponent.to(torch.int64)
        # A norm that has underflowed takes several steps: the factor itself must not overflow.
        exponent = exponent.clamp(min=math.frexp(self._least)[1])
        factor = torch.exp2(-exponent.double()).to(self.dtype)
        self._joint = self._joint * factor[..., None, None]
        self._row_norms = self._row_norms * factor[..., None]
        self._exponent = self._exponent + exponent
        return factor

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator, dtype=self.dtype)

    def _length(self, vectors: Tensor) -> Tensor:
        return norms_of(vectors) if self._ordinary else stable_norms_of(vectors)

    @property
    def _least(self) -> float:
        """The smallest normal number."""
        return torch.finfo(self.dtype).tiny


def norms_of(vectors: Tensor) -> Tensor:
    """Return the 2-norms along the last axis."""
    norms: Tensor = torch.linalg.vector_norm(vectors, dim=-1)
    return norms


def stable_norms_of(vectors: Tensor) -> Tensor:
    """Return the 2-norms along the last axis, where squares may overflow or underflow."""
    largest = vectors.abs().amax(-1, keepdim=True)
    scale = largest.masked_fill((largest == 0) | ~largest.isfinite(), 1.0)
    norms: Tensor = norms_of(vectors / scale) * scale.squeeze(-1)
    return norms
