"""Lyapunov exponents of a sequence of steps, by repeated QR factorisation."""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from gradprobe import checks
from gradprobe.errors import ArgumentError, NonFiniteError
from gradprobe.linalg.operators import check_dtype, check_step
from gradprobe.linalg.structure import propagate_zeros

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradprobe.linalg.operators import StepOperator

MOST_BATCHES = 10
FEWEST_BATCHES = 4
"""Fewer batch means say nothing about their spread."""

LOST = 0.1
"""Beyond this relative error a diagonal entry of R is rounding, not growth."""

ORDINARY = {torch.float64: 2.0**100, torch.float32: 2.0**20}
"""Factor at once where the columns' entries leave 1 / this … this: more may overflow."""


class Exponents(NamedTuple):
    """Finite-time Lyapunov exponents, natural logarithm per step, (*batch_shape, count).

    Attributes
    ----------
    values
        Descending; −inf for a direction that is lost by the exact zeros of a step; NaN where
        rounding has taken its place.
    standard_error
        Of the mean over time, by batch means; +inf for fewer than `FEWEST_BATCHES` of them.
    rounding
        Bound of what rounding did, to first order; +inf beyond the linear regime.

    Examples
    --------
    >>> import torch
    >>> Exponents(torch.zeros(2), torch.zeros(2), torch.zeros(2)).values.tolist()
    [0.0, 0.0]
    """

    values: Tensor
    standard_error: Tensor
    rounding: Tensor


class LyapunovProduct:
    r"""The growth of k orthogonal directions under :math:`J_t \cdots J_1`.

    Parameters
    ----------
    size
        Rows and columns of each J.
    count
        k, how many exponents; all by default.
    batch_shape
        Leading axes: one independent product for each index.
    transient
        How many first steps only turn the directions, without being counted.
    interval
        How many steps are multiplied before each factorisation.
    dtype
        ``torch.float64`` (default) or ``torch.float32``.
    device
        Where the directions are kept.
    generator
        Draws the initial directions, on the CPU. None: a new one with seed 0.

    Raises
    ------
    ArgumentError
        A number, shape or dtype is wrong, or k exceeds the size.
    NonFiniteError
        An absorbed step holds NaN or an infinity, or overflows.

    Notes
    -----
    With Q_0 random orthonormal and, every `interval` steps, :math:`J \cdots J Q = Q' R`, the i-th
    exponent is the mean of log|r_ii| over the steps counted. It converges to the i-th Lyapunov
    exponent as their number grows (Benettin et al. 1980), which the standard error tells; it is not
    log σ_i(M_T)/T, from which it differs at any finite T by terms of order 1/T.

    The standard error is that of batch means: the steps are cut into √n stretches (at most
    `MOST_BATCHES`), n the number of factorisations, and the means over these are taken as
    independent. So correlations shorter than a stretch are accounted for; a drift that is left of
    the transient is not.

    References
    ----------
    Benettin, Galgani, Giorgilli, Strelcyn, "Lyapunov characteristic exponents for smooth dynamical
    systems and for Hamiltonian systems; a method for computing all of them", Meccanica 15, 1980,
    part 2.

    Examples
    --------
    >>> import torch
    >>> product = LyapunovProduct(2, transient=100, interval=5)
    >>> step = torch.tensor([[2.0, 1.0], [0.0, 0.5]], dtype=torch.float64)
    >>> for _ in range(200):
    ...     product.absorb(step)
    >>> product.exponents().values.exp().round(decimals=9).tolist()
    [2.0, 0.5]
    """

    def __init__(
        self,
        size: int,
        count: int | None = None,
        *,
        batch_shape: Sequence[int] = (),
        transient: int = 0,
        interval: int = 1,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        self.size = checks.positive_integer("size", size)
        self.count = checked_count(count, self.size)
        self.batch_shape = tuple(
            checks.positive_integer("each of batch_shape", axis) for axis in batch_shape
        )
        self.transient = checked_transient(transient)
        self.interval = checks.positive_integer("interval", interval)
        self.dtype = check_dtype(dtype)
        self.steps = 0
        source = torch.Generator().manual_seed(0) if generator is None else generator
        normal = torch.randn(
            *self.batch_shape, self.size, self.count, generator=source, dtype=torch.float64
        )
        self._columns = torch.linalg.qr(normal).Q.to(dtype=dtype, device=device)
        self._live = torch.ones(*self.batch_shape, self.size, dtype=torch.bool, device=device)
        self._rank = torch.full(self.batch_shape, self.size, device=device)
        self._pending = 0
        self._durations: list[int] = []
        self._growth: list[Tensor] = []
        self._rounding: list[Tensor] = []

    def absorb(self, step: Tensor | StepOperator) -> None:
        """Replace M by J M.

        Parameters
        ----------
        step
            J: a tensor (*batch_shape, size, size), or a `StepOperator`.
        """
        check_step(step, self.steps + 1, (*self.batch_shape, self.size, self.size), self.dtype)
        self._columns = step @ self._columns
        row_sizes = self._columns.abs().amax(-1)
        smallest, largest = torch.stack(row_sizes.aminmax()).tolist()
        if not math.isfinite(largest):
            raise NonFiniteError(f"step {self.steps + 1} holds NaN or an infinity, or overflows")
        if smallest == 0 or not bool(self._live.all()):
            self._follow_zeros(step if isinstance(step, Tensor) else step.dense())
        self.steps += 1
        self._pending += 1
        ordinary = 1 / ORDINARY[self.dtype] < smallest and largest < ORDINARY[self.dtype]
        if self._pending == self.interval or self.steps == self.transient or not ordinary:
            self._factor()

    def exponents(self) -> Exponents:
        """Return the exponents over the steps absorbed since the transient.

        Raises
        ------
        ArgumentError
            No step has been absorbed since the transient.
        """
        if self._pending:
            self._factor()
        if not self._durations:
            raise ArgumentError(
                f"exponents need more steps than the transient of {self.transient}, "
                f"got {self.steps}"
            )
        steps = sum(self._durations)
        growth, rounding = torch.stack(self._growth), torch.stack(self._rounding)
        means = growth.sum(0) / steps
        rounding = rounding.sum(0) / steps + 4 * torch.finfo(torch.float64).eps * (1 + means.abs())
        means = means.masked_fill(rounding == torch.inf, torch.nan)
        errors = self._standard_errors(growth)
        lost = torch.arange(self.count, device=means.device) >= self._rank.unsqueeze(-1)
        means = means.masked_fill(lost, -torch.inf)
        errors, rounding = errors.masked_fill(lost, 0.0), rounding.masked_fill(lost, 0.0)
        order = means.nan_to_num(nan=-torch.inf).argsort(dim=-1, descending=True, stable=True)
        return Exponents(*(part.gather(-1, order) for part in (means, errors, rounding)))

    def _standard_errors(self, growth: Tensor) -> Tensor:
        """Return the standard errors of the mean of `growth`, (factorisations, …, count)."""
        batches = min(MOST_BATCHES, math.isqrt(len(growth)))
        if batches < FEWEST_BATCHES:
            return torch.full_like(growth[0], torch.inf)
        durations = torch.tensor(self._durations, dtype=torch.float64)
        rates = torch.stack(
            [
                part.sum(0) / duration.sum().item()
                for part, duration in zip(
                    growth.tensor_split(batches), durations.tensor_split(batches), strict=True
                )
            ]
        )
        errors: Tensor = rates.std(0) / math.sqrt(batches)
        return errors.nan_to_num(nan=torch.inf)

    def _factor(self) -> None:
        """Make the columns orthonormal, and note by how much each has grown."""
        sizes = torch.linalg.vector_norm(self._columns.double(), dim=-2)
        Q, R = torch.linalg.qr(self._columns)
        diagonal = R.diagonal(dim1=-2, dim2=-1).abs().double()
        relative = 2 * math.sqrt(self.size) * torch.finfo(self.dtype).eps * sizes / diagonal
        self._columns = Q
        if self.steps > self.transient:
            self._durations.append(self._pending)
            self._growth.append(diagonal.log())
            self._rounding.append(torch.where(relative < LOST, relative, torch.inf))
        self._pending = 0

    def _follow_zeros(self, step: Tensor) -> None:
        """Bound the rank by the exact zeros of this step and all before."""
        self._live, rank = propagate_zeros(step, self._live)
        self._rank = self._rank.minimum(rank)


def checked_count(count: int | None, size: int) -> int:
    """Return `count`, or `size` if it is None, or raise if it is larger than `size`.

    Examples
    --------
    >>> checked_count(None, 3)
    3
    >>> checked_count(4, 3)
    Traceback (most recent call last):
    ...
    gradprobe.errors.ArgumentError: count must not exceed the 3 entries of the state, got 4
    """
    if count is None:
        return size
    if checks.positive_integer("count", count) > size:
        raise ArgumentError(f"count must not exceed the {size} entries of the state, got {count}")
    return count


def checked_transient(transient: int) -> int:
    """Return `transient` if it is zero or a positive integer.

    Examples
    --------
    >>> checked_transient(0)
    0
    """
    if isinstance(transient, bool) or not isinstance(transient, numbers.Integral) or transient < 0:
        raise ArgumentError(f"transient must be zero or a positive integer, got {transient!r}")
    return int(transient)
