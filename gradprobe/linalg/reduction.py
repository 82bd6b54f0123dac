r"""Singular values of diag(e^d) V by sweeps of graded factorisations and Jacobi on the rest.

A sweep multiplies the coupling of two values that lie g nats apart by about
e^(−2g). After a few of them only close values still mix. Their blocks, shifted into the range of
floating point, go to LAPACK's preconditioned one-sided Jacobi method, whose values have high
relative accuracy for a well-conditioned matrix times a diagonal one, however graded (Drmač and
Veselić, "New fast and accurate Jacobi SVD algorithm", SIAM J. Matrix Anal. Appl. 29, 2008).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.linalg import lapack

from gradprobe.errors import NonFiniteError
from gradprobe.linalg.graded import (
    descending,
    graded_lower,
    graded_upper,
    log_diagonal_of,
    sizes_of,
    take,
    take_columns,
    take_rows,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from gradprobe.linalg.graded import Graded

SWEEPS = 3
DECOUPLED = 12.0  # nats: e^(-2 · SWEEPS · DECOUPLED) is far below rounding
SPAN = 250.0  # nats: squares of e^±(SPAN + MARGIN) / 2 stay in the range of float64
MARGIN = 40.0  # nats on both sides of a window, whose values are not taken from it


def log_singular_values(graded: Graded) -> Tensor:
    """Return the logarithms of the singular values of U diag(e^d) V, descending, on the CPU."""
    d, V = (factor.detach().cpu().double() for factor in (graded.d, graded.V))
    for _ in range(SWEEPS):
        d, V = swept(d, V)
    order = descending(d)
    d, V = take(d, order), take_rows(V, order)
    size = d.shape[-1]
    logs, rows = d.reshape(-1, size).numpy(), V.reshape(-1, size, size).numpy()
    values = np.stack([graded_values(*pair) for pair in zip(logs, rows, strict=True)])
    return torch.from_numpy(values).reshape(d.shape)


def swept(d: Tensor, V: Tensor) -> tuple[Tensor, Tensor]:
    """Return d' and V' such that diag(e^d') V' has the singular values of diag(e^d) V.

    V = L W gives diag(e^d) V = L' diag(e^d) W with L'_ij = L_ij e^(d_i − d_j), |L'| ≤ |L| when d
    descends; and L' diag(e^d) = Q diag(e^d') V', its columns sorted. W and Q do not matter.
    """
    order = descending(d)
    d, V = take(d, order), take_rows(V, order)
    L = graded_lower(torch.linalg.qr(V.mT, mode="r").R.mT, d)
    sizes = sizes_of(L)
    order = descending(sizes.columns + d)
    rows = take_rows(take_columns(L, order), descending(sizes.rows))
    R, d = torch.linalg.qr(rows, mode="r").R, take(d, order)
    after = d + log_diagonal_of(R)
    return after, graded_upper(R, d, after)


def graded_values(d: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Log singular values of diag(e^d) V, whose far values are decoupled already."""
    values = np.full(d.shape, -np.inf)
    for first, last, keep_first, keep_last in windows(d):
        block = jacobi(d[first:last], V[first:last])
        values[keep_first:keep_last] = block[keep_first - first : keep_last - first]
    return np.sort(values)[::-1]


def windows(d: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
    """Yield (first, last, keep_first, keep_last): rows of a block and those to take from it."""
    alive = int(np.isfinite(d).sum())
    first = 0
    while first < alive:
        wide = np.flatnonzero(d[first : alive - 1] - d[first + 1 : alive] > DECOUPLED)
        last = first + int(wide[0]) + 1 if wide.size else alive
        yield from overlapping(d, first, last)
        first = last


def overlapping(d: np.ndarray, first: int, last: int) -> Iterator[tuple[int, int, int, int]]:
    """Cut the block of rows first … last into windows that floating point can hold."""
    start = first
    while start < last:
        end = start + int((d[start] - d[start:last] <= SPAN).sum())
        low = first + int((d[first:start] - d[start] > MARGIN).sum())
        high = end + int((d[end - 1] - d[end:last] <= MARGIN).sum())
        yield low, high, start, end
        start = end


def jacobi(d: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Log singular values of diag(e^d) V by one-sided Jacobi rotations, descending."""
    if d.size == 1:
        return np.asarray(d + np.log(np.linalg.norm(V)))
    centre = (d[0] + d[-1]) / 2
    columns = np.asfortranarray(V.T * np.exp(d - centre))
    values: np.ndarray
    values, _, _, work, _, info = lapack.dgejsv(
        columns, joba=0, jobu=3, jobv=3, jobr=0, jobt=0, jobp=0
    )
    if info != 0:
        raise NonFiniteError(
            f"the singular values of a {d.size} × {d.size} block did not converge "
            f"(LAPACK dgejsv returned {info}); the product has probably lost all its digits"
        )
    with np.errstate(divide="ignore"):
        logs: np.ndarray = np.log(values) + np.log(work[0] / work[1]) + centre
    return logs
