"""How much of the state the end-to-end Jacobian lets through: its condition and effective rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradprobe import checks, frame
from gradprobe.linalg.condition import effective_rank, log_condition, stable_rank
from gradprobe.probes.graded_products import graded_products

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import torch

    from gradprobe.models import Trajectory

BLOCKS = ("state", "hidden")

QUANTITIES = {
    "log_condition": log_condition,
    "effective_rank": effective_rank,
    "stable_rank": stable_rank,
}


def condition(
    trajectory: Trajectory,
    lengths: Sequence[int],
    *,
    generator: torch.Generator,
    block: str = "state",
    tolerance: float = 1e-6,
) -> pd.DataFrame:
    r"""Measure the log condition, the effective rank and the stable rank of M_T = ∂s_T/∂s_0.

    With σ_1 ≥ … ≥ σ_S the singular values of M_T,

    .. math::

        \log κ = \log σ_1 - \log σ_S, \qquad
        r_\mathrm{eff} = \exp\Bigl(-\sum_i p_i \log p_i\Bigr), \; p_i = σ_i / \sum_j σ_j, \qquad
        r_\mathrm{stable} = ‖M_T‖_F^2 / ‖M_T‖_2^2.

    An orthogonal M_T has log κ = 0 and both ranks equal to S.  Where one direction outlives all
    others, both ranks fall to one, although the rank itself stays S: a gradient then carries one
    number across the T steps, however large it is.  All three come from the exact spectrum
    (`gradprobe.linalg.GradedProduct`), so that log κ may be in the thousands.

    Parameters
    ----------
    trajectory
        B sequences along a model.
    lengths
        The T, increasing.
    generator
        Not used: the errors follow from how each step's rounding travels.
    block
        ``"state"``: of ∂s_T/∂s_0; ``"hidden"``: of ∂h_T/∂h_0, h being the last layer's.
    tolerance
        Largest error of a value that counts as resolved.

    Returns
    -------
    pandas.DataFrame
        Rows with matrix ``end_to_end``, length and step both T: ``log_condition`` (nats; +inf,
        resolved, where M_T is singular by structure), ``effective_rank`` and ``stable_rank``
        (1 … S; 0 for M_T = 0).

    Notes
    -----
    The errors follow those of log σ_i to first order.  A σ_i that the arithmetic does not determine
    counts as anything between zero and the least determined value above it: where that is small,
    the ranks are resolved although log κ is not.

    References
    ----------
    Roy, Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007.
    Rudelson, Vershynin, "Sampling from large matrices: an approach through geometric functional
    analysis", Journal of the ACM 54, 2007 (the stable rank).

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> model = models.build("orthogonal", input_size=1, hidden_size=3, nonlinearity="modrelu",
    ...                      dtype=torch.float64)
    >>> trajectory = models.trace(model, torch.zeros(400, 1, 1), torch.ones(1, 3).double())
    >>> table = condition(trajectory, [400], generator=torch.Generator())
    >>> table.set_index("quantity")["value"].abs().round(9).to_dict()
    {'log_condition': 0.0, 'effective_rank': 3.0, 'stable_rank': 3.0}
    """
    checks.one_of("block", block, BLOCKS)
    hidden = trajectory.model.hidden_slice
    tables = []
    for length, product in graded_products(
        trajectory, lengths, generator=generator, tolerance=tolerance
    ):
        spectrum = (
            product.log_singular_values()
            if block == "state"
            else product.block(rows=hidden, columns=hidden)
        )
        estimates = [quantity(spectrum) for quantity in QUANTITIES.values()]
        tables.append(
            frame.rows(
                length=length,
                step=length,
                sequence=np.arange(trajectory.batch),
                quantity=np.array(list(QUANTITIES))[:, None],
                value=np.stack([estimate.value for estimate in estimates]),
                error=np.stack([estimate.error for estimate in estimates]),
            )
        )
    table = frame.concatenate(tables, matrix="end_to_end", block=block)
    return table.assign(resolved=(table["error"] <= tolerance).astype("boolean"))
