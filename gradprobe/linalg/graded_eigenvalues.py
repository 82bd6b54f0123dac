r"""Eigenvalues of a graded matrix diag(e^d) B, hundreds of orders of magnitude apart.

Where d falls by a wide gap, the matrix decouples (Stewart, "Matrix Algorithms II: Eigensystems",
2001, on deflation and graded matrices).  With the parts before and after
the gap named 1 and 2, the similarity by [[I, 0], [X, I]] makes diag(e^d) B block upper triangular
if

.. math:: X = e^{d_2} Y e^{-d_1}, \qquad Y = (B_{21} + B_{22} X) (B_{11} + B_{12} X)^{-1},

and the diagonal blocks are again of the same form, :math:`e^{d_1} (B_{11} + B_{12} X)` and
:math:`e^{d_2} (B_{22} - Y B_{12})`.  The iteration from X = 0 is subspace iteration: it multiplies
the error of X by the ratio of the moduli on the two sides of the gap.  No exponential of a positive
number is taken, so the range of floating point does not matter.  What does not decouple goes to
LAPACK, shifted into that range.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WIDE = 10.0  # nats: four iterations for such a gap
NARROWEST = 2.0  # nats: below this the iteration would take too long
ITERATIONS = 25
ATTEMPTS = 3
SPAN = 1200.0  # nats: square roots of e^±(SPAN / 2) stay in the range of float64

UNIT = np.finfo(np.float64).eps / 2


class GradedMatrix(NamedTuple):
    """The factors of diag(e^d) B."""

    d: np.ndarray
    B: np.ndarray


class LogEigenvalues(NamedTuple):
    """Logarithms of eigenvalues, by descending modulus; a pair's upper one first.

    Attributes
    ----------
    log_modulus
        log|λ|; −inf for zero, NaN for one that is out of the range of the arithmetic.
    phase
        arg λ in (−π, π].

    Examples
    --------
    >>> LogEigenvalues(np.zeros(1), np.array([np.pi])).phase.round(3).tolist()  # of −1
    [3.142]
    """

    log_modulus: np.ndarray
    phase: np.ndarray


def graded_eigenvalues(d: np.ndarray, B: np.ndarray) -> LogEigenvalues:
    """Return the eigenvalues of diag(e^d) B.

    Parameters
    ----------
    d
        Natural logarithms, shape (n), in any order; finite.
    B
        Shape (n, n); its rows are of about the same size.

    Examples
    --------
    >>> import numpy as np
    >>> d = np.array([-500.0, 2000.0, -500.0])
    >>> B = np.array([[0.0, 1, -1], [1, 1, 0], [1, 0, 0]])
    >>> values = graded_eigenvalues(d, B)  # e^2000, and e^-500 times roots of unity
    >>> values.log_modulus.round(9).tolist()
    [2000.0, -500.0, -500.0]
    >>> (values.phase / np.pi).round(9).tolist()
    [0.0, 0.666666667, -0.666666667]
    """
    values = np.concatenate([_of_block(block) for block in _decoupled(GradedMatrix(d, B))], axis=1)
    log_modulus, phase = values[:, np.lexsort((-values[1], -values[0]))]
    return LogEigenvalues(log_modulus, phase)


def _decoupled(matrix: GradedMatrix) -> Iterator[GradedMatrix]:
    """Yield diagonal blocks of a matrix that is similar to this one and block triangular."""
    waiting = [matrix]
    while waiting:
        block = _balanced(waiting.pop())
        # A zero row is a zero eigenvalue; the others are those of the rest.
        for zero in block.d[np.isneginf(block.d)]:
            yield GradedMatrix(np.array([zero]), np.zeros((1, 1)))
        parts: Sequence[GradedMatrix] | None = _without_zero_rows(block)
        if parts is None:
            parts = _split_somewhere(block)
        if parts is None:
            yield block
        else:
            waiting.extend(parts)


def _without_zero_rows(block: GradedMatrix) -> list[GradedMatrix] | None:
    """Return what is left without them, which may be nothing; None if there are none."""
    alive = np.isfinite(block.d)
    if alive.all():
        return None
    return [GradedMatrix(block.d[alive], block.B[np.ix_(alive, alive)])] if alive.any() else []


def _split_somewhere(block: GradedMatrix) -> tuple[GradedMatrix, GradedMatrix] | None:
    """Decouple the block where that succeeds; None if it does not."""
    attempts = (_split(block, position) for position in _positions(block.d))
    return next((parts for parts in attempts if parts is not None), None)


def _balanced(matrix: GradedMatrix) -> GradedMatrix:
    """Scale the rows of B to one, and sort rows and columns by descending d."""
    norms = np.linalg.norm(matrix.B, axis=1)
    with np.errstate(divide="ignore"):
        d = matrix.d + np.log(norms)
    B = matrix.B / np.where(norms > 0, norms, 1.0)[:, None]
    order = np.argsort(-d, kind="stable")
    return GradedMatrix(d[order], B[np.ix_(order, order)])


def _positions(d: np.ndarray) -> list[int]:
    """Return where to try to split: the most central of the wide gaps, else the widest."""
    gaps = d[:-1] - d[1:]
    wide = np.flatnonzero(gaps > WIDE)
    if wide.size:
        order = wide[np.argsort(np.abs(wide + 1 - d.size / 2), kind="stable")]
    else:
        order = np.argsort(-gaps, kind="stable")
    return [int(index) + 1 for index in order[:ATTEMPTS] if gaps[index] > NARROWEST]


def _split(matrix: GradedMatrix, position: int) -> tuple[GradedMatrix, GradedMatrix] | None:
    """Decouple the rows before `position` from the others; None if the iteration fails."""
    d, B = matrix
    first, last = slice(None, position), slice(position, None)
    decay = np.exp(d[last, None] - d[None, first])
    X = np.zeros_like(B[last, first])
    for _ in range(ITERATIONS):
        leading = B[first, first] + B[first, last] @ X
        try:
            Y = np.linalg.solve(leading.T, (B[last, first] + B[last, last] @ X).T).T
        except np.linalg.LinAlgError:
            return None
        previous, X = X, decay * Y
        change = np.abs(X - previous).max()
        if not math.isfinite(change):
            return None
        if change <= 8 * UNIT * (0.1 + np.abs(X).max()):
            leading = B[first, first] + B[first, last] @ X
            rest = B[last, last] - Y @ B[first, last]
            return GradedMatrix(d[first], leading), GradedMatrix(d[last], rest)
    return None


def _of_block(block: GradedMatrix) -> np.ndarray:
    """Return log-modulus and phase, shape (2, n), of a block that is not split further.

    Scaled symmetrically and graded downwards, it mostly keeps its small eigenvalues' digits in
    LAPACK's QR algorithm, though no theorem promises that: whoever calls must find the error.
    """
    d, B = block
    if d.size == 1:
        return np.array([d, [math.pi if B[0, 0] < 0 else 0.0]])
    if not d[0] - d[-1] <= SPAN:
        return np.full((2, d.size), math.nan)
    centre = (d[0] + d[-1]) / 2
    scale = np.exp((d - centre) / 2)
    values = np.linalg.eigvals(scale[:, None] * B * scale)
    with np.errstate(divide="ignore"):
        logs = np.log(np.abs(values)) + centre
    return np.stack((logs, np.angle(values)))
