"""The singular values of the end-to-end Jacobian, exact at any length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradprobe import checks, frame
from gradprobe.errors import ArgumentError
from gradprobe.probes.exact_recomputation import check_cost, settled
from gradprobe.probes.graded_products import graded_products
from gradprobe.probes.matrix_free import (
    DEFAULT_COUNT,
    check_count,
    is_matrix_free,
    leading_values,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import torch

    from gradprobe.linalg import Spectrum
    from gradprobe.models import Trajectory

BLOCKS = ("state", "hidden")


def singular_values(
    trajectory: Trajectory,
    lengths: Sequence[int],
    *,
    generator: torch.Generator,
    block: str = "state",
    method: str = "auto",
    count: int | None = None,
    tolerance: float = 1e-6,
    exact: bool = False,
    exact_seconds: float = 600.0,
) -> pd.DataFrame:
    r"""Measure all log σ_i(M_T), M_T = J_T ⋯ J_1 = ∂s_T/∂s_0, at every requested T.

    σ_i is by how much a perturbation of the initial state along the i-th right singular vector has
    been stretched after T steps, and, going back, by how much a gradient along the i-th left
    singular vector.  The product is kept graded, so that values hundreds of orders of magnitude
    below the largest come out with all their digits; see `gradprobe.linalg.GradedProduct`.

    Parameters
    ----------
    trajectory
        B sequences along a model.
    lengths
        The T, increasing.
    generator
        Draws the subspace that matrix-free values are found from; not used otherwise.
    block
        ``"state"``: of ∂s_T/∂s_0; ``"hidden"``: of ∂h_T/∂h_0, h being the last layer's.
    method
        ``"dense"``: all values, from matrices of S × S; ``"matrix_free"``: the largest ones, from
        products with a few vectors, which wide models leave time and memory for; ``"auto"``: dense
        up to `gradprobe.probes.matrix_free.WIDEST_DENSE` entries of the state.
    count
        How many of the largest values; all if dense, 8 if matrix-free, if not given.
    tolerance
        Largest error, in natural-log units, of a value that counts as resolved.
    exact
        Compute again in arbitrary precision every spectrum that float64 leaves a value of
        unresolved; needs python-flint (the extra ``exact``).  What is exact then is the product of
        the step Jacobians J_t as float64 holds them: its rank, and its singular values to the last
        digit.  Where they were unresolved, another rounding of the J_t would give others.
    exact_seconds
        How long that may be estimated to take, on one core, for the product of one sequence, and
        again for one spectrum of it.  64 units over 1000 steps take about half a minute, and a
        minute for values down to e^-5000; the time grows as S³ T^1.5.  Values that would need
        longer stay unresolved.

    Returns
    -------
    pandas.DataFrame
        Rows with quantity ``log_sigma`` (natural logarithm; −inf for a structural zero), matrix
        ``end_to_end``, rank 1 for the largest; length and step both T.

    Raises
    ------
    ArgumentError
        An option is wrong; `count` exceeds what there is; `exact` without python-flint, with an
        exact product that would take longer than `exact_seconds`, or matrix-free.

    References
    ----------
    G. W. Stewart, "On graded QR decompositions of products of matrices", Electronic Transactions on
    Numerical Analysis.

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> trajectory = models.trace(
    ...     models.build("orthogonal", input_size=1, hidden_size=3, nonlinearity="modrelu",
    ...                  dtype=torch.float64),
    ...     torch.zeros(400, 1, 1),
    ...     torch.ones(1, 3, dtype=torch.float64),
    ... )
    >>> table = singular_values(trajectory, [400], generator=torch.Generator())
    >>> bool(table["value"].abs().max() < 1e-12)
    True
    """
    checks.one_of("block", block, BLOCKS)
    model = trajectory.model
    of_all = model.state_size if block == "state" else model.output_size
    if is_matrix_free(method, model.state_size):
        if exact:
            raise ArgumentError("exact needs every singular value: give method='dense' with it")
        return leading_values(
            trajectory,
            lengths,
            generator=generator,
            block=block,
            count=check_count(min(DEFAULT_COUNT, of_all) if count is None else count, of_all),
            tolerance=checks.positive_number("tolerance", tolerance),
        )
    wanted = check_count(of_all if count is None else count, of_all)
    if exact:
        check_cost(
            model.state_size, lengths[-1], checks.positive_number("exact_seconds", exact_seconds)
        )
    part = model.hidden_slice if block == "hidden" else slice(0, model.state_size)
    spectra = {
        T: product.log_singular_values() if block == "state" else product.block(part, part)
        for T, product in graded_products(
            trajectory, lengths, generator=generator, tolerance=tolerance
        )
    }
    if exact:
        spectra = settled(trajectory, spectra, part, tolerance=tolerance, seconds=exact_seconds)
    table = frame.concatenate([_rows(spectrum, T, block) for T, spectrum in spectra.items()])
    return frame.conform(table[table["rank"] <= wanted])


def _rows(spectrum: Spectrum, length: int, block: str) -> pd.DataFrame:
    values = spectrum.log_singular_values.cpu().numpy()
    batch, count = values.shape
    return frame.rows(
        length=length,
        step=length,
        sequence=np.arange(batch)[:, None],
        quantity="log_sigma",
        matrix="end_to_end",
        block=block,
        rank=np.arange(1, count + 1),
        value=values,
        error=spectrum.error.cpu().numpy(),
        resolved=spectrum.resolved.cpu().numpy(),
    )
