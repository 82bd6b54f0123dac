"""The same spectra in arbitrary precision, by python-flint (the extra ``exact``)."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import flint
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GUARD_BITS = 200
BITS_OF_LOGARITHMS = 100


def product(steps: Iterable[np.ndarray], bits: int) -> flint.arb_mat:
    """Multiply float64 matrices, the first one rightmost, at a precision of `bits`.

    Examples
    --------
    >>> steps = [np.diag([1.0, 2.0**-300])] * 4
    >>> product(steps, sufficient_bits(steps))[1, 1] == flint.arb(2) ** -1200
    True
    """
    factors = (flint.arb_mat(step.tolist()) for step in steps)
    with flint.ctx.workprec(bits):
        return functools.reduce(lambda result, factor: (factor * result).mid(), factors)


def log_singular_values(matrix: flint.arb_mat, bits: int) -> np.ndarray:
    """Log singular values of `matrix`, descending, from the eigenvalues of its Gram matrix.

    The precision must hold the square of the ratio of the largest to the smallest value; zeros
    come out at about the precision's floor.

    Examples
    --------
    >>> steps = [np.diag([1.0, 2.0**-300])] * 4
    >>> bits = sufficient_bits(steps)
    >>> (log_singular_values(product(steps, bits), bits) / np.log(2)).round(6).tolist()
    [0.0, -1200.0]
    """
    with flint.ctx.workprec(bits):
        gram = (matrix * matrix.transpose()).mid()
        values = flint.acb_mat(gram).eig(algorithm="approx")
        logs = [half_log(value.real) for value in values]
    return np.sort(np.array(logs))[::-1]


def half_log(value: flint.arb) -> float:
    """Return log(value) / 2, correctly rounded as a rule; −inf if `value` is not positive.

    Examples
    --------
    >>> half_log(flint.arb(4)) == math.log(2)
    True
    """
    with flint.ctx.workprec(BITS_OF_LOGARITHMS):
        return float((value.mid().log() / 2).mid()) if value.mid() > 0 else -math.inf


def leading_block(matrix: flint.arb_mat, size: int) -> flint.arb_mat:
    """Return the first `size` rows and columns.

    Examples
    --------
    >>> leading_block(flint.arb_mat([[1, 2], [3, 4]]), 1)
    [1.00000000000000]
    """
    return flint.arb_mat([row[:size] for row in matrix.tolist()[:size]])


def sufficient_bits(steps: Sequence[np.ndarray]) -> int:
    """Bound the precision that the Gram matrix of the product needs, by the steps' conditions.

    Examples
    --------
    >>> sufficient_bits([np.diag([1.0, 2.0**-300])] * 4)
    2600
    """
    values = np.linalg.svd(np.stack(steps), compute_uv=False)
    positive = values[..., -1] > 0
    width = np.log2(values[positive, 0] / values[positive, -1]).sum()
    return int(2 * width) + GUARD_BITS
