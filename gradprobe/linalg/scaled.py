"""Norms of a product at every step: no factorisation, only a scale that follows it."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import torch

from gradprobe import checks
from gradprobe.errors import ArgumentError, NonFiniteError
from gradprobe.linalg.operators import check_dtype, check_step
from gradprobe.linalg.row_norms import RowNorms, joined, norms_of, stable_norms_of
from gradprobe.linalg.sketched_columns import SketchedColumns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import Tensor

    from gradprobe.linalg.operators import StepOperator

AMPLITUDE = 8.0
"""The sketch carries errors this many times larger than rounding is expected to make."""

SAFETY = 4.0
"""By how much a sketch in a few directions may fall short."""

LARGEST_ERROR = 0.1
"""Beyond this relative error the norm is not determined."""

STEPS_PER_TRIAL = 64
"""At most how many steps are absorbed before one looks whether a row has left the range…"""

TRIAL_ENTRIES = 1 << 24
"""…or as many, at least one, as have this many entries, since they are held at once."""

TRIALS_AT_ONCE = 4
"""Of how many such runs the norms are computed together."""

ORDINARY = {torch.float64: 2.0**200, torch.float32: 2.0**35}
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
        self._steps_per_trial = STEPS_PER_TRIAL
        self._generator = torch.Generator().manual_seed(0) if generator is None else generator
        self._level = AMPLITUDE * torch.finfo(dtype).eps / 2
        if columns is not None and not isinstance(columns, slice):
            raise ArgumentError(f"columns must be a slice, or None for all, got {columns!r}")
        identity = torch.eye(self.size, dtype=dtype, device=device)
        followed = identity if columns is None else identity[:, columns]
        self.columns = checks.positive_integer("the number of columns", followed.shape[1])
        # Not below one in size, so that no product with an entry of a step underflows.
        self._marks = 1 + self._normal(self.size).to(identity).abs()
        start = torch.nn.functional.pad(followed, (0, self.sketches))
        exponent = torch.zeros(self.batch_shape, dtype=torch.int64, device=device)
        live = torch.ones(*self.batch_shape, self.size, dtype=torch.bool, device=device)
        self._keep(start.repeat(*self.batch_shape, 1, 1), live, exponent, "the identity")

    @property
    def matrix(self) -> Tensor:
        """P in M ≈ 2^exponent · P, (*batch_shape, size, columns)."""
        return self._joint.matrix

    @property
    def exponent(self) -> Tensor:
        """The power of two that multiplies `matrix`, (*batch_shape), int64."""
        return self._rows.exponent

    def absorb(self, step: Tensor | StepOperator) -> None:
        """Replace M by J M.

        Parameters
        ----------
        step
            J: a tensor (*batch_shape, size, size), or a `StepOperator`.
        """
        self._absorb([step])

    def log_norms(
        self, steps: Iterable[Tensor | StepOperator], rows: slice | Tensor | None = None
    ) -> Norm:
        """Absorb each of `steps`; return the Frobenius norm of M, or of some rows, after each.

        The same as `absorb` and `log_norm` in turn, but faster: several steps are absorbed on
        trial before the range of the numbers is looked at.

        Parameters
        ----------
        steps
            The next factors, first to last; at least one.
        rows
            Which rows: a slice, or a tensor of indices; all by default.

        Returns
        -------
        Norm
            Each part of shape (number of steps, *batch_shape).

        Examples
        --------
        >>> import torch
        >>> steps = [factor * torch.eye(1, dtype=torch.float64) for factor in (0.5, 2.0, 1e-300)]
        >>> [round(value, 6) for value in ScaledProduct(1).log_norms(steps).log_norm.tolist()]
        [-0.693147, 0.0, -690.775528]
        """
        chosen, absorbed, norms = self._chosen(rows), self._absorb_all(iter(steps)), []
        while some := list(islice(absorbed, TRIALS_AT_ONCE)):
            norms.append(self._frobenius(joined(some), chosen))
        checks.positive_integer("the number of steps", len(norms))
        return Norm(*(torch.cat(part) for part in zip(*norms, strict=True)))

    def log_norm(self, rows: slice | Tensor | None = None) -> Norm:
        """Return the logarithm of the Frobenius norm of M, or of some of its rows.

        Parameters
        ----------
        rows
            Which rows: a slice, or a tensor of indices; all by default.
        """
        return self._frobenius(self._rows, self._chosen(rows))

    def log_spectral_norm(self, rows: slice | Tensor | None = None) -> Norm:
        """Return the logarithm of the largest singular value of M, or of some of its rows.

        Parameters
        ----------
        rows
            Which rows: a slice, or a tensor of indices; all by default.
        """
        chosen = self._chosen(rows)
        largest = torch.linalg.matrix_norm(self.matrix[..., chosen, :], ord=2)
        return self._norm(largest, self._rows, chosen)

    def _chosen(self, rows: slice | Tensor | None) -> slice | Tensor:
        """Return an index of the chosen rows."""
        chosen = slice(None) if rows is None else rows
        try:
            count = self._rows.norms[..., chosen].shape[-1]
        except (IndexError, TypeError) as error:
            raise ArgumentError(
                f"rows must be a slice or a tensor of indices below {self.size}, got {rows!r}"
            ) from error
        checks.positive_integer("the number of rows", count)
        return chosen

    def _frobenius(self, rows: RowNorms, chosen: slice | Tensor) -> Norm:
        return self._norm(stable_norms_of(rows.norms[..., chosen]), rows, chosen)

    def _norm(self, norm: Tensor, rows: RowNorms, chosen: slice | Tensor) -> Norm:
        sketch = stable_norms_of(rows.errors[..., chosen]).double()
        underflow = self._least * rows.live[..., chosen].sum(-1).double()
        spread = SAFETY / math.sqrt(self.sketches) * sketch + underflow
        norm = norm.double()
        rounding = torch.finfo(self.dtype).eps * (math.sqrt(self.size) + 2)
        relative = spread / norm + rounding
        value = norm.log() + rows.exponent.double() * math.log(2)
        error = relative / (1 - relative) + torch.finfo(torch.float64).eps * value.abs()
        error = torch.where(relative < LARGEST_ERROR, error, torch.inf)
        error = error.masked_fill((norm == 0) & (spread == 0), 0.0)
        return Norm(value, error, error <= self.tolerance)

    def _absorb_all(self, steps: Iterator[Tensor | StepOperator]) -> Iterator[RowNorms]:
        """Absorb the steps some at a time; yield the rows after each of these."""
        entries = math.prod(self.batch_shape) * self.size**2
        count = max(1, min(STEPS_PER_TRIAL, TRIAL_ENTRIES // entries))
        while some := list(islice(steps, count)):
            yield joined(self._absorb(some))

    def _absorb(self, steps: Sequence[Tensor | StepOperator]) -> list[RowNorms]:
        """Absorb some steps, as many at once as stay in the range; return the rows after each."""
        shape = (*self.batch_shape, self.size, self.size)
        for number, step in enumerate(steps, self.steps + 1):
            check_step(step, number, shape, self.dtype)
        rows: list[RowNorms] = []
        while steps:
            some = steps[: self._steps_per_trial if self._ordinary else 1]
            after = self._absorb_on_trial(some) if self._ordinary else None
            if after is None and len(some) > 1:
                self._steps_per_trial = len(some) // 2
                continue
            rows.append(self._absorb_one(some[0]) if after is None else after)
            steps = steps[len(some) :]
        return rows

    def _absorb_on_trial(self, steps: Sequence[Tensor | StepOperator]) -> RowNorms | None:
        """Absorb some steps; or return None, and absorb none, if a row leaves the range."""
        here, start = self._rescaled()
        there = here.like()
        norms, errors = [start.norms.unsqueeze(-1)], []
        for step, noise in zip(steps, self._noise(len(steps)), strict=True):
            here.sketch.addcmul_(noise, norms[-1])
            here, there = here.multiplied(step, there)
            norms.append(norms_of(here.matrix))
            errors.append(norms_of(here.sketch))
        over_time, errors_over_time = (
            torch.stack(part).squeeze(-1) for part in (norms[1:], errors)
        )
        taken = self._taken(over_time)
        # What rounding has done must not overflow unseen, either.
        if not (taken < 1 and float(errors_over_time.amax()) < ORDINARY[self.dtype]):
            return None
        if taken < 1 / 2:
            self._steps_per_trial = min(STEPS_PER_TRIAL, max(self._steps_per_trial, 2 * len(steps)))
        live, exponent = (
            part.expand(len(steps), *part.shape) for part in (start.live, start.exponent)
        )
        rows = RowNorms(over_time, errors_over_time, live, exponent)
        self._joint, self._rows = here, RowNorms(*(part[-1] for part in rows))
        self.steps += len(steps)
        return rows

    def _absorb_one(self, step: Tensor | StepOperator) -> RowNorms:
        """Absorb a step, and follow which rows are exactly zero.

        The column of marks is not zero in the rows of M that may be non-zero: so it shows which
        rows of J M may be.
        """
        joint, start = self._rescaled()
        factor = torch.exp2((self._rows.exponent - start.exponent).to(self.dtype)).clamp(min=1)
        underflow = self._least / self._level * factor.unsqueeze(-1) * start.live
        [noise] = self._noise(1)
        joint.sketch.addcmul_(noise, (start.norms + underflow).unsqueeze(-1))
        marks = (self._marks * start.live).unsqueeze(-1)
        result = step @ torch.cat((joint.whole, marks), dim=-1)
        marked = result[..., -1] != 0
        self._keep(result[..., :-1], marked, start.exponent, f"step {self.steps + 1}")
        self.steps += 1
        return RowNorms(*(part.unsqueeze(0) for part in self._rows))

    def _keep(self, whole: Tensor, marked: Tensor, exponent: Tensor, name: str) -> None:
        """Take `whole` as 2^-exponent (M, E), if it is finite."""
        joint = SketchedColumns.of(whole, self.columns)
        norms = stable_norms_of(joint.matrix)
        if not bool(norms.isfinite().all()):
            raise NonFiniteError(f"{name} holds NaN or an infinity, or overflows")
        errors = stable_norms_of(joint.sketch)
        self._joint, self._ordinary = joint, self._taken(norms) < 1
        self._rows = RowNorms(norms, errors, marked | (norms > 0), exponent)

    def _taken(self, norms: Tensor) -> float:
        """Return how much of the range the norms of rows take: 1 at its ends, inf for a zero."""
        smallest, largest = torch.stack(norms.aminmax()).tolist()
        if not 0 < smallest <= largest < math.inf:
            return math.inf
        return max(-math.log(smallest), math.log(largest)) / math.log(ORDINARY[self.dtype])

    def _rescaled(self) -> tuple[SketchedColumns, RowNorms]:
        """Return the product and its rows with a norm of about one, by a power of two."""
        exponent = torch.frexp(self._rows.norms.double().amax(-1)).exponent.to(torch.int64)
        # A norm that has underflowed takes several steps: the factor itself must not overflow.
        exponent = exponent.clamp(min=math.frexp(self._least)[1])
        factor = torch.exp2(-exponent.double()).to(self.dtype).unsqueeze(-1)
        rows = self._rows._replace(
            norms=self._rows.norms * factor, exponent=self._rows.exponent + exponent
        )
        whole = self._joint.whole * factor.unsqueeze(-1)
        return SketchedColumns.of(whole, self.columns), rows

    def _noise(self, count: int) -> Sequence[Tensor]:
        """Return what is to be scaled by row norms and added to the sketch, for some steps."""
        drawn = self._normal(count, *self.batch_shape, self.size, self.sketches)
        return drawn.to(self._joint.whole).mul_(self._level).unbind(0)

    def _normal(self, *shape: int) -> Tensor:
        """Return standard normal numbers; single precision is enough for them, and faster."""
        return torch.randn(shape, generator=self._generator)

    @property
    def _least(self) -> float:
        """The smallest normal number."""
        return torch.finfo(self.dtype).tiny
