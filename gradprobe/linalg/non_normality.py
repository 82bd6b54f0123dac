"""Henrici's departure from normality."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy import linalg

if TYPE_CHECKING:
    from torch import Tensor

AMPLITUDE = 2.0
"""Perturbations are this many times larger than the stated rounding."""

LARGEST_AMPLIFICATION = 1e5
"""Where dep(A) moves by more than this times the perturbation, A is as good as defective."""

SAFETY = 4.0
"""By how much the larger of two deviations may fall short of what rounding does."""

COPIES = 2


class Departure(NamedTuple):
    """Departures from normality, and estimated absolute errors, each of shape (B).

    Attributes
    ----------
    departure
        dep(A), in the units of A.
    error
        Of `departure`; +inf for a matrix that is as good as defective.
    norm
        ‖A‖_F.

    Examples
    --------
    >>> import numpy as np
    >>> Departure(np.ones(1), np.zeros(1), np.ones(1)).departure.tolist()
    [1.0]
    """

    departure: np.ndarray
    error: np.ndarray
    norm: np.ndarray


def departure_from_normality(
    matrices: Tensor, rounding: Tensor, *, generator: torch.Generator
) -> Departure:
    r"""Return Henrici's dep(A) = (‖A‖_F² − Σ |λ_i|²)^{1/2} for each matrix.

    It is the Frobenius norm of the strictly upper part N of a Schur form
    :math:`A = Q (Λ + N) Q^*`, and computed as that: the difference would lose all digits of a
    small departure.  In the real Schur form, a diagonal block [[a, b], [c, a]] of a pair adds
    (b + c)².

    Parameters
    ----------
    matrices
        A, shape (B, S, S).
    rounding
        By how much rounding may have moved A, in the Frobenius norm, shape (B).
    generator
        Draws two perturbations of A at the level of rounding, whose effect is the stated error:
        near a defective matrix dep changes much faster than A does.

    References
    ----------
    Henrici, "Bounds for iterates, inverses, spectral variation and fields of values of non-normal
    matrices", Numerische Mathematik 4, 1962.

    Examples
    --------
    >>> import torch
    >>> shear = torch.tensor([[[1.0, 3.0], [0.0, 1.0]]], dtype=torch.float64)
    >>> rounding = torch.tensor([1e-15])
    >>> departure_from_normality(shear, rounding, generator=torch.Generator()).departure.item()
    3.0
    """
    A = matrices.detach().cpu().double().numpy()
    norm = np.linalg.norm(A, axis=(-2, -1))
    level = AMPLITUDE * rounding.detach().cpu().double().numpy()
    departure = np.array([_departure(own) for own in A])
    deviation = np.zeros_like(departure)
    for _ in range(COPIES):
        noise = torch.randn(A.shape, generator=generator, dtype=torch.float64).numpy()
        moved = A + level[:, None, None] * noise / A.shape[-1]
        other = np.array([_departure(own) for own in moved])
        deviation = np.maximum(deviation, np.abs(other - departure))
    # Near a defective matrix dep moves by the power 2/S of a perturbation, which no longer tells by
    # how much more, or less, a smaller one has moved it.
    error = np.where(deviation <= LARGEST_AMPLIFICATION * level, SAFETY * deviation + level, np.inf)
    return Departure(departure, error, norm)


def _departure(matrix: np.ndarray) -> float:
    """Return the norm of the strictly upper part of the Schur form of one matrix."""
    T = linalg.schur(matrix, output="real")[0]
    below = np.flatnonzero(np.diagonal(T, -1))
    upper = np.triu(T, 1)
    upper[below, below + 1] += T[below + 1, below]
    return math.sqrt(float(np.square(upper).sum()))
