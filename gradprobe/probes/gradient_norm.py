"""The norm of the end-to-end Jacobian's hidden block, over every step."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch

from gradprobe import checks, frame
from gradprobe.linalg import Norm
from gradprobe.probes.matrix_free import is_matrix_free, norms
from gradprobe.probes.scaled_products import scaled_products, side_by_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from gradprobe.models import Trajectory


def gradient_norm(
    trajectory: Trajectory,
    lengths: Sequence[int],
    *,
    generator: torch.Generator,
    method: str = "auto",
    tolerance: float = 1e-6,
    estimate_tolerance: float = 0.25,
) -> pd.DataFrame:
    r"""Measure log‖∂h_t/∂h_0‖ and log‖∂h_T/∂h_t‖ for every t.

    Both are hidden blocks of products of step Jacobians: of M_t = J_t ⋯ J_1 going forward, which
    tells how the initial state is remembered, and of J_T ⋯ J_{t+1} going backward, which is what
    back-propagation through time multiplies the gradient at T with.  A norm needs no factorisation,
    only a scale that follows the product; see `gradprobe.linalg.ScaledProduct`.

    Parameters
    ----------
    trajectory
        B sequences along a model.
    lengths
        The T, increasing.
    generator
        Source of the sketch by which rounding errors are followed.
    method
        ``"dense"``: exact, from matrices of S × N; ``"matrix_free"``: estimated from random
        vectors, which wide models leave time and memory for; ``"auto"``: dense up to
        `gradprobe.probes.matrix_free.WIDEST_DENSE` entries of the state.
    tolerance
        Largest error, in natural-log units, of a value that counts as resolved.
    estimate_tolerance
        Largest standard error of an estimated value that counts as resolved.

    Returns
    -------
    pandas.DataFrame
        Rows with block ``hidden``; values are natural logarithms, −inf for an exact zero.

        - ``log_norm_fro`` (Frobenius), matrix ``end_to_end``: step t = 0 … the longest T, which is
          the length of these rows; log √N at t = 0;
        - ``log_norm_fro``, matrix ``tail``: ∂h_T/∂h_t, for each length T, step t = 0 … T;
        - ``log_norm_spectral``, matrix ``end_to_end``: the largest singular value of ∂h_T/∂h_0, at
          each length T only.

        Matrix-free, the Frobenius norms are called ``log_norm_fro_estimate``, their ``error`` is a
        standard error, and the trivial steps (t = 0 forwards, t = T backwards) are left out.  At
        the lengths themselves the leading singular values are known and only the rest is estimated.

    References
    ----------
    Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
    equation 5.

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> model = models.build("antisymmetric", input_size=1, hidden_size=4, diffusion=0.0)
    >>> trajectory = models.trace(model, torch.zeros(100, 1, 1))
    >>> table = gradient_norm(trajectory, [100], generator=torch.Generator())
    >>> table.groupby(["quantity", "matrix"])["value"].count().to_dict()
    {('log_norm_fro', 'end_to_end'): 101, ('log_norm_fro', 'tail'): 101,
     ('log_norm_spectral', 'end_to_end'): 1}
    """
    if is_matrix_free(method, trajectory.model.state_size):
        return norms(
            trajectory,
            lengths,
            generator=generator,
            tolerance=checks.positive_number("tolerance", tolerance),
            estimate_tolerance=checks.positive_number("estimate_tolerance", estimate_tolerance),
        )
    tables = [_forwards(trajectory, lengths, generator, tolerance)]
    tables += [_backwards(trajectory, length, generator, tolerance) for length in lengths]
    return frame.concatenate(tables, block="hidden")


def _forwards(
    trajectory: Trajectory, lengths: Sequence[int], generator: torch.Generator, tolerance: float
) -> pd.DataFrame:
    """Follow ∂h_t/∂h_0 for t = 0 … the longest length."""
    rows, frobenius, spectral = trajectory.model.hidden_slice, [], []
    for part, product in scaled_products(trajectory, generator=generator, tolerance=tolerance):
        jacobians = part.step_jacobians(lengths[-1])
        over_time, at_lengths = [_over_time([product.log_norm(rows)])], []
        for length in lengths:
            over_time.append(product.log_norms(islice(jacobians, length - product.steps), rows))
            at_lengths.append(product.log_spectral_norm(rows))
        frobenius.append(_joined(over_time))
        spectral.append(_over_time(at_lengths))
    return frame.concatenate(
        [
            _rows(side_by_side(frobenius), range(lengths[-1] + 1), lengths[-1], "log_norm_fro"),
            _rows(side_by_side(spectral), lengths, lengths, "log_norm_spectral"),
        ],
        matrix="end_to_end",
    )


def _backwards(
    trajectory: Trajectory, length: int, generator: torch.Generator, tolerance: float
) -> pd.DataFrame:
    """Follow (∂h_T/∂h_t)ᵀ for t = T … 0."""
    rows, frobenius = trajectory.model.hidden_slice, []
    for part, product in scaled_products(trajectory, generator=generator, tolerance=tolerance):
        at_end = _over_time([product.log_norm(rows)])
        transposed = (jacobian.T for jacobian in part.step_jacobians_reversed(length))
        frobenius.append(_joined([at_end, product.log_norms(transposed, rows)]))
    steps = range(length, -1, -1)
    return _rows(side_by_side(frobenius), steps, length, "log_norm_fro").assign(matrix="tail")


def _over_time(parts: Sequence[Norm]) -> Norm:
    """Return norms of shape (B,) as one of shape (steps, B)."""
    return Norm(*(torch.stack(part) for part in zip(*parts, strict=True)))


def _joined(parts: Sequence[Norm]) -> Norm:
    """Return norms of shape (steps, B) as one, one after the other."""
    return Norm(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _rows(
    over_time: Norm, steps: Sequence[int], length: int | Sequence[int], quantity: str
) -> pd.DataFrame:
    return frame.rows(
        length=length if isinstance(length, int) else np.asarray(length)[:, None],
        step=np.asarray(steps)[:, None],
        sequence=np.arange(over_time.log_norm.shape[1]),
        quantity=quantity,
        value=over_time.log_norm.cpu().numpy(),
        error=over_time.error.cpu().numpy(),
        resolved=over_time.resolved.cpu().numpy(),
    )
