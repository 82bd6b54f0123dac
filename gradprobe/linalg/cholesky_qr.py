r"""Bases from the Cholesky factor of a Gram matrix: half the time of a QR factorisation.

:math:`Y^\top Y = R^\top R` and :math:`B = Y R^{-1}`: then B R = Y to rounding, row by row, whatever
R is, and :math:`B^\top B = I` as far as the square of Y's condition allows, its columns scaled: by
far enough for a basis, and seen from a few vectors.  See Yamamoto, Nakatsukasa, Yanagisawa, Fukaya,
"Roundoff error analysis of the CholeskyQR2 algorithm", ETNA 44, 2015, section 3.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.linalg import blas, lapack
from torch import Tensor

from gradprobe.linalg.graded import UpperFactor, log_diagonal, take_columns

ROUTINES = {
    torch.float64: (blas.dsyrk, lapack.dpotrf, blas.dtrsm),
    torch.float32: (blas.ssyrk, lapack.spotrf, blas.strsm),
}


class CholeskyQR(NamedTuple):
    r"""Factors, and what is beside them.

    Attributes
    ----------
    factors
        With a basis in place of Q, which is orthogonal as far as `departure` says.
    errors
        Root mean squares of all errors in each coordinate of the basis, in units of rounding,
        (..., n), float64.
    departure
        The largest entry of :math:`B^\top B Ω − Ω` for a few normal vectors Ω; NaN or +inf if
        there is no factorisation.
    """

    factors: UpperFactor
    errors: Tensor
    departure: Tensor


def cholesky_qr(
    Y: Tensor, errors: Tensor, probes: Tensor, order: Tensor | None = None
) -> CholeskyQR:
    r"""Factor Y, its columns taken in `order`.

    Parameters
    ----------
    Y
        (..., n, n).
    errors
        A sketch of the errors of Y, in units of rounding, (..., n, k).
    probes
        Ω, (n, k).  What the factors leave of Y is seen from :math:`Y Ω - B (R Ω)`, whose own
        rounding errors are as large.
    order
        Of the columns of Y.

    Examples
    --------
    >>> import torch
    >>> Y = torch.tensor([[0.0, 4.0], [3.0, 3.0]], dtype=torch.float64)
    >>> factors, errors, departure = cholesky_qr(Y, Y[:, :1], torch.ones(2, 1).double())
    >>> factors.Q.tolist(), factors.R.tolist()
    ([[0.0, 1.0], [1.0, 0.0]], [[3.0, 3.0], [0.0, 4.0]])
    >>> errors.tolist(), departure.item()
    ([3.0, 0.0], 0.0)
    """
    by = _by_lapack if Y.device.type == "cpu" else _by_torch
    basis, R, of_Y, departure = by(take_columns(Y, order), errors, probes)
    sizes = of_Y.square().mean(-2).sqrt().double()
    return CholeskyQR(UpperFactor(basis, R, log_diagonal(R), order), sizes, departure)


def _by_lapack(Y: Tensor, errors: Tensor, probes: Tensor) -> tuple[Tensor, ...]:
    """Save half of the multiplications for the Gram matrix, which is symmetric."""
    gram_of, cholesky, solve = ROUTINES[Y.dtype]
    basis = Y.clone(memory_format=torch.contiguous_format)
    R, of_Y = torch.full_like(basis, torch.nan), errors.new_zeros(errors.mT.shape)
    departure, beside, units = 0.0, probes.numpy(), 2 / torch.finfo(Y.dtype).eps
    for at in np.ndindex(Y.shape[:-2]):
        # LAPACK keeps matrices column by column: what it sees is Yᵀ.
        rows, upper = basis[at].numpy(), R[at].numpy().T
        factor, failed = cholesky(gram_of(1.0, rows.T), clean=0, overwrite_a=1)
        if failed:
            departure = math.inf
            break
        upper[:] = factor
        solve(1.0, factor, rows.T, trans_a=1, overwrite_b=1)
        left = Y[at].numpy() @ beside - rows @ (factor @ beside)
        np.dot((errors[at].numpy() + units * left).T, rows, out=of_Y[at].numpy())
        departure = max(departure, abs(rows.T @ (rows @ beside) - beside).max())
    return basis, R.mT, of_Y, torch.tensor(departure)


def _by_torch(Y: Tensor, errors: Tensor, probes: Tensor) -> tuple[Tensor, ...]:
    """Do the same on any device."""
    R, failed = torch.linalg.cholesky_ex(Y.mT @ Y, upper=True)
    basis = torch.linalg.solve_triangular(R, Y, upper=True, left=False)
    departure = (basis.mT @ (basis @ probes) - probes).abs().amax()
    departure = torch.where((failed != 0).any(), torch.inf, departure)
    left = (Y @ probes - basis @ (R @ probes)) * (2 / torch.finfo(Y.dtype).eps)
    return basis, R, (errors + left).mT @ basis, departure
