"""Eigenvalues of a product kept as U diag(e^d) V, each with its estimated error."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from gradprobe.linalg.graded_eigenvalues import LogEigenvalues, graded_eigenvalues

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.linalg.graded import Graded

AMPLITUDE = 8.0
"""Perturbations are this many units of rounding: real rounding errors are smaller."""

SAFETY = 4.0
"""By how much the largest of a few deviations may fall short of what rounding does."""

LUCK = 100.0
"""How many times smaller than usual a deviation may be by chance; its neighbours tell."""

LINEAR = 1e-3
"""A larger deviation is outside the linear regime: the value is not determined."""

CLUSTER = 16.0
"""Values within this many of their errors of each other count as one cluster."""

FAR = 1e6

LARGEST_ERROR = 0.1
"""Beyond this relative error a mean or a standard deviation is not determined."""


class Eigenvalues(NamedTuple):
    r"""Eigenvalues λ of a product and how far to trust them, in float64.

    Attributes
    ----------
    log_modulus
        Natural logarithms of \|λ\|, shape (\*batch_shape, size), descending; −inf for a zero that
        follows from zeros of the steps; NaN where the arithmetic does not determine the value.
    phase
        arg λ in (−π, π], same shape; NaN where `log_modulus` is not finite.
    error
        Estimated \|δλ/λ\|, which is an absolute error of both; +inf where not determined.
    statistics
        log mean \|λ\| and log of the standard deviation of \|λ\| over all eigenvalues, shape
        (\*batch_shape, 2); NaN where not determined, as for the deviation of equal moduli.
    statistics_error
        Their estimated absolute errors, same shape.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.linalg.graded import Graded
    >>> eye = torch.eye(2, dtype=torch.float64).expand(3, 1, 2, 2)  # one product and two copies
    >>> d = torch.tensor([-1000.0, -2000.0], dtype=torch.float64).expand(3, 1, 2)
    >>> eigenvalues = eigenvalues_of(Graded(eye, d, eye), steps=1, generator=torch.Generator())
    >>> eigenvalues.log_modulus.round().tolist(), bool(eigenvalues.error.max() < 1e-12)
    ([[-1000.0, -2000.0]], True)
    """

    log_modulus: Tensor
    phase: Tensor
    error: Tensor
    statistics: Tensor
    statistics_error: Tensor


def eigenvalues_of(
    product: Graded, *, steps: int, generator: torch.Generator, count: int | None = None
) -> Eigenvalues:
    r"""Return the eigenvalues of M = U diag(e^d) V from its factors and those of perturbed copies.

    They are those of :math:`e^d B` with B = V U, a graded matrix; the errors of B's own rounding
    are modelled by another perturbation of the copies.

    Parameters
    ----------
    product
        Factors with leading axes (copies, \*batch_shape): the product and at least one copy of it
        with its steps perturbed at the level of rounding.  d = −inf where the rank is deficient.
    steps
        How many steps were multiplied.
    generator
        Draws the perturbations, on the CPU.
    count
        How many eigenvalues M has, if it is a block of rows and columns of the factors' product,
        the rest of which is zero; all by default.
    """
    unit = torch.finfo(product.U.dtype).eps / 2
    U, d, V = (factor.detach().cpu().double() for factor in product)
    B = V @ U
    noise = torch.randn(B[1:].shape, generator=generator, dtype=torch.float64)
    B[1:] += AMPLITUDE * unit * torch.linalg.vector_norm(V[1:], dim=-1, keepdim=True) * noise
    copies, *batch_shape, size = d.shape
    logs, matrices = d.reshape(copies, -1, size).numpy(), B.reshape(copies, -1, size, size).numpy()
    level = 2 * unit * (4 * math.sqrt(steps) + 4)
    number = size if count is None else count
    elements = [
        _element(logs[:, index], matrices[:, index], number, level)
        for index in range(logs.shape[1])
    ]
    parts = (torch.from_numpy(np.stack(part)) for part in zip(*elements, strict=True))
    return Eigenvalues(*(part.reshape(*batch_shape, -1) for part in parts))


def _element(d: np.ndarray, B: np.ndarray, size: int, level: float) -> tuple[np.ndarray, ...]:
    """Return what `Eigenvalues` holds for the `size` of one batch element; d is (copies, …)."""
    alive = np.isfinite(d[0])
    count = int(alive.sum())
    # The zero rows of diag(e^d) B give a zero eigenvalue each, and drop out.
    matrices = [matrix[np.ix_(alive, alive)] for matrix in B]
    values = np.array([[-np.inf], [np.nan], [0.0]]).repeat(size, axis=1)
    if count == 0:
        return *values, np.full(2, -np.inf), np.zeros(2)
    copies = [graded_eigenvalues(own[alive], one) for own, one in zip(d, matrices, strict=True)]
    # The same eigenvalues by other roundings: (e^d B)ᵀ is similar to e^d Bᵀ.
    copies.append(graded_eigenvalues(d[0, alive], matrices[0].T))
    error = _errors(copies, level)
    determined = np.isfinite(error)
    values[0, :count] = np.where(determined, copies[0].log_modulus, np.nan)
    values[1, :count] = np.where(determined, copies[0].phase, np.nan)
    values[2, :count] = error
    return *values, *_statistics(copies, size, level)


def _errors(copies: list[LogEigenvalues], level: float) -> np.ndarray:
    """Estimate |δλ/λ| of the first copy's eigenvalues from the spread of the others."""
    first, *others = (copy.log_modulus + 1j * copy.phase for copy in copies)
    partners = np.stack([other[_assigned(first, other)] for other in others])
    deviation = _distances(first, partners).max(axis=0)
    floor = level + 2**-52 * np.abs(first.real)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(deviation, 2), 5).max(axis=-1)
    widest = SAFETY * np.maximum(deviation, np.minimum(around, LUCK * (deviation + floor)))
    widest = np.maximum(widest, _spread_of_clusters(first, partners))
    # A zero that no structure explains is no more determined than what was lost.
    lost = ~np.isfinite(first.real) | ~(widest + floor <= LINEAR)
    return np.where(lost, np.inf, widest + floor)


def _spread_of_clusters(first: np.ndarray, partners: np.ndarray) -> np.ndarray:
    """Return how far each value is from those that rounding may mix it with, relative to it.

    Values nearer to each other than rounding moves one of them may in truth be one and the same;
    what pairs them with those of a copy then finds partners too near, among the wrong ones.
    """
    moved = _log_difference(first, partners).max(axis=0) + math.log(SAFETY)
    apart = _log_difference(first[:, None], first)
    near = apart <= moved + math.log(CLUSTER)
    relative = np.logaddexp(apart, moved) - first.real[:, None]
    spread: np.ndarray = np.exp(np.where(near, relative, -np.inf).clip(max=math.log(FAR)).max(1))
    return spread


def _assigned(first: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the index of each value's partner, so that the sum of all distances is least."""
    columns: np.ndarray = linear_sum_assignment(_distances(first[:, None], other))[1]
    return columns


def _distances(first: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return |log λ − log μ| for logarithms of λ and μ, or `FAR` where that is not defined."""
    with np.errstate(invalid="ignore"):
        along = first.real - other.real
    around = np.abs((first.imag - other.imag + np.pi) % (2 * np.pi) - np.pi)
    distances: np.ndarray = np.nan_to_num(np.hypot(along, around), nan=FAR, posinf=FAR)
    return distances


def _log_difference(first: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return log|λ − μ| from logarithms of λ and μ; +inf where one of them is not known."""
    largest = np.maximum(first.real, other.real)
    scale = np.where(np.isfinite(largest), largest, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = scale + np.log(np.abs(np.exp(first - scale) - np.exp(other - scale)))
    return np.where(np.isnan(difference), np.inf, difference)


def _statistics(
    copies: list[LogEigenvalues], size: int, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return logarithms of mean and standard deviation of the moduli, and their errors.

    The mean moves by at most the mean of the moduli's errors, the standard deviation by at most
    the root of their mean square.  Both are relative to the largest modulus until the end.
    """
    logs = np.concatenate([copy.log_modulus for copy in copies])
    largest = logs[np.isfinite(logs)].max(initial=-np.inf)
    largest = largest if np.isfinite(largest) else 0.0
    moduli = np.zeros((len(copies), size))
    for own, copy in zip(moduli, copies, strict=True):
        own[: copy.log_modulus.size] = np.exp(copy.log_modulus - largest)
    error = SAFETY * np.abs(moduli[1:] - moduli[0]).max(axis=0) + level * moduli[0]
    values = np.array([moduli[0].mean(), moduli[0].std()])
    errors = np.array([error.mean(), 0.0 if size == 1 else math.sqrt(np.square(error).mean())])
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = errors / values
        logs = np.log(values) + largest
    relative[(values == 0) & (errors == 0)] = 0.0
    lost = ~(relative <= LARGEST_ERROR)
    rounding = np.where(np.isfinite(logs), 2**-52 * np.abs(logs), 0.0)
    return np.where(lost, np.nan, logs), np.where(lost, np.inf, relative + rounding)


def with_structural_zeros(eigenvalues: Eigenvalues, most: Tensor) -> Eigenvalues:
    """Replace what is not determined by zeros, where no other value is possible.

    Parameters
    ----------
    eigenvalues
        What `eigenvalues_of` returned.
    most
        How many eigenvalues may be other than zero by the zeros of the steps, shape
        (*batch_shape), int64; see `gradprobe.linalg.cycles`.

    Examples
    --------
    >>> import torch
    >>> lost = torch.full((1, 2), torch.nan), torch.full((1, 2), torch.nan), torch.ones(1, 2)
    >>> eigenvalues = Eigenvalues(*lost, *lost[:2])
    >>> with_structural_zeros(eigenvalues, torch.tensor([0])).log_modulus.tolist()
    [[-inf, -inf]]
    """
    known = eigenvalues.log_modulus.isfinite().sum(-1)
    zero = eigenvalues.log_modulus.isnan() & (known >= most).unsqueeze(-1)
    log_modulus = eigenvalues.log_modulus.masked_fill(zero, -torch.inf)
    error = eigenvalues.error.masked_fill(zero, 0.0)
    order = log_modulus.nan_to_num(nan=-torch.finfo(torch.float64).max).argsort(
        dim=-1, descending=True, stable=True
    )
    vanishes = (most == 0).unsqueeze(-1)
    return Eigenvalues(
        log_modulus.gather(-1, order),
        eigenvalues.phase.gather(-1, order),
        error.gather(-1, order),
        eigenvalues.statistics.masked_fill(vanishes, -torch.inf),
        eigenvalues.statistics_error.masked_fill(vanishes, 0.0),
    )
