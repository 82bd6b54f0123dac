"""Frobenius norms of a product that is too wide to be formed, from random vectors."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, NamedTuple

import torch

from gradprobe import checks
from gradprobe.errors import ArgumentError, NonFiniteError

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.linalg.operators import StepOperator


class Estimate(NamedTuple):
    """An estimated log norm, each (*batch_shape).

    Attributes
    ----------
    log_norm
        Natural logarithm, float64; −inf for an exact zero.
    standard_error
        Of the logarithm, from the spread of the random vectors.

    Examples
    --------
    >>> Estimate(torch.tensor(0.0), torch.tensor(0.1)).standard_error.item()
    0.10000000149011612
    """

    log_norm: Tensor
    standard_error: Tensor


class RandomProbes:
    r"""M G for standard normal columns G, as a matrix times a power of two.

    For a standard normal vector g, :math:`\mathbb{E} ‖M g‖^2 = ‖M‖_F^2`.

    Parameters
    ----------
    columns
        G, (*batch_shape, size, m) with m of at least 2.

    References
    ----------
    Hutchinson, "A stochastic estimator of the trace of the influence matrix for Laplacian smoothing
    splines", Communications in Statistics 18, 1989; with Gaussian vectors as in Girard 1989.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> columns = torch.randn(100, 16, generator=generator, dtype=torch.float64)
    >>> probes, step = RandomProbes(columns), torch.eye(100, dtype=torch.float64) / 4
    >>> for _ in range(1000):
    ...     probes.absorb(step)
    >>> estimate, exact = probes.log_norm(), math.log(100) / 2 - 1000 * math.log(4)
    >>> bool((estimate.log_norm - exact).abs() < 3 * estimate.standard_error)
    True
    """

    def __init__(self, columns: Tensor) -> None:
        if columns.shape[-1] < 2:
            raise ArgumentError(f"columns must be at least 2, got {columns.shape[-1]}")
        self._columns = columns
        self._exponent = torch.zeros(columns.shape[:-2], dtype=torch.int64, device=columns.device)
        self.steps = 0

    def absorb(self, step: Tensor | StepOperator) -> None:
        """Replace M by J M."""
        columns = step @ self._columns
        largest = columns.abs().amax((-2, -1)).double()
        if not bool(largest.isfinite().all()):
            raise NonFiniteError(f"step {self.steps + 1} holds NaN or an infinity, or overflows")
        # A scale far below one takes several steps, so that the factor does not overflow.
        lowest = math.frexp(torch.finfo(columns.dtype).tiny)[1]
        exponent = torch.frexp(largest).exponent.to(torch.int64).clamp(min=lowest)
        self._columns = columns * torch.exp2(-exponent.double()).to(columns)[..., None, None]
        self._exponent = self._exponent + exponent
        self.steps += 1

    def log_norm(self, rows: slice | None = None) -> Estimate:
        """Return the estimate of log‖M‖_F, or of some of its rows.

        With X_j = ‖M g_j‖², the estimate is log of their mean X̄, halved, and its standard error by
        the delta method s/(2 X̄ √m), s the standard deviation of the X_j.
        """
        return self._estimate(self._columns if rows is None else self._columns[..., rows, :])

    def restricted(self, rows: slice) -> RandomProbes:
        """Return the same with all other rows of M set to zero."""
        twin = copy.copy(self)
        twin._columns = torch.zeros_like(self._columns)
        twin._columns[..., rows, :] = self._columns[..., rows, :]
        return twin

    def log_norm_beyond(self, directions: Tensor, log_values: Tensor) -> Estimate:
        r"""Return an estimate of log‖M‖_F of which the leading part is known.

        :math:`‖M‖_F^2 = ‖U^⊤ M‖_F^2 + ‖(I − U U^⊤) M‖_F^2`; only the second part is estimated
        (Meyer, Musco, Musco, Woodruff, "Hutch++", 2021).

        Parameters
        ----------
        directions
            U, orthonormal columns, (*batch_shape, size, p).
        log_values
            The logarithms of the singular values of UᵀM, (*batch_shape, p).
        """
        rest = self._estimate(self._columns - directions @ (directions.mT @ self._columns))
        known = (2 * log_values).logsumexp(-1)
        total = torch.logaddexp(known, 2 * rest.log_norm)
        share = (2 * rest.log_norm - total).exp().nan_to_num(nan=0.0)
        return Estimate(total / 2, share * rest.standard_error)

    def _estimate(self, columns: Tensor) -> Estimate:
        squares = columns.double().square().sum(-2)
        mean, count = squares.mean(-1), squares.shape[-1]
        error = squares.std(-1) / (2 * mean * math.sqrt(count))
        value = mean.log() / 2 + self._exponent.double() * math.log(2)
        return Estimate(value, error.masked_fill(mean == 0, 0.0))


def random_columns(
    size: int,
    count: int,
    *,
    batch_shape: tuple[int, ...],
    like: Tensor,
    generator: torch.Generator,
    rows: slice | None = None,
) -> Tensor:
    """Return standard normal columns, (*batch_shape, size, count), zero outside of `rows`.

    Parameters
    ----------
    size, count, batch_shape
        The shape.
    like
        A tensor of the dtype and on the device wanted.
    generator
        Draws them, on the CPU.
    rows
        Where they are not zero; everywhere by default.

    Examples
    --------
    >>> random_columns(3, 2, batch_shape=(), like=torch.zeros(()), rows=slice(0, 1),
    ...                generator=torch.Generator())[1:].tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    checks.positive_integer("count", count)
    noise = torch.randn((*batch_shape, size, count), generator=generator, dtype=torch.float64)
    chosen = slice(None) if rows is None else rows
    columns = torch.zeros_like(noise)
    columns[..., chosen, :] = noise[..., chosen, :]
    return columns.to(like)
