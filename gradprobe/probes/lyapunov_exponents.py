"""Finite-time Lyapunov exponents along a trajectory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradprobe import checks, frame
from gradprobe.errors import ArgumentError
from gradprobe.linalg.lyapunov import LyapunovProduct

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import torch

    from gradprobe.linalg.lyapunov import Exponents
    from gradprobe.models import Trajectory


def lyapunov_exponents(
    trajectory: Trajectory,
    lengths: Sequence[int],
    *,
    generator: torch.Generator,
    count: int | None = None,
    transient: int = 0,
    interval: int = 1,
    tolerance: float = 1e-2,
) -> pd.DataFrame:
    r"""Estimate the k largest Lyapunov exponents, in nats per step.

    .. math:: λ_i = \lim_{T→∞} \frac{1}{T} \log σ_i(M_T),

    the mean rate at which the i-th direction of the state's tangent space is stretched in the long
    run.  It is estimated from T − `transient` steps by QR factorisations along the trajectory
    (Benettin et al. 1980): the mean of log|r_ii|.  A positive λ_1 means chaos, all negative that
    states forget where they started.

    These are asymptotic rates, a thing apart from the singular values at a given T: the directions
    of the QR factorisation are not singular vectors, and λ_i T differs from log σ_i(M_T) by an
    amount that does not vanish as T grows, although the difference of the rates does.  What one
    gradient does over T steps is told by the probe ``singular_values``; what the system does
    on its attractor, or under inputs of this kind, is told here.  That presumes inputs that are
    stationary.

    For a discretised flow the exponents per unit of time are these divided by the step size.

    Parameters
    ----------
    trajectory
        B sequences along a model; a map without inputs ignores them.
    lengths
        The T, increasing: each gives the exponents over the steps transient + 1 … T.
    generator
        Draws the initial directions.
    count
        k; all S if not given.
    transient
        How many first steps are not counted: the state comes near its attractor, and the directions
        turn into theirs.
    interval
        Steps between factorisations: more save time, as long as the directions do not collapse
        onto the fastest within them; where that costs digits the rows say so.
    tolerance
        Largest error, in nats per step, of a value that counts as resolved.

    Returns
    -------
    pandas.DataFrame
        Rows with quantity ``lyapunov_exponent``, matrix ``end_to_end``, block ``state``, rank 1 for
        the largest; length and step both T.  ``error`` is the standard error of the mean over time
        plus the rounding, ``inf`` where there are fewer than 16 factorisations to tell it from.
        −inf for directions that zeros of the steps destroy; NaN, unresolved, where nothing but
        rounding is left.

    Raises
    ------
    ArgumentError
        `count` exceeds S, or `transient` leaves no step of the shortest length.

    Notes
    -----
    The standard error is that of batch means, so that correlations in time are accounted for; see
    `gradprobe.linalg.lyapunov.LyapunovProduct`.  It estimates one standard deviation, unlike the
    errors of other probes, which estimate a bound.

    References
    ----------
    Benettin, Galgani, Giorgilli, Strelcyn, "Lyapunov characteristic exponents for smooth dynamical
    systems and for Hamiltonian systems; a method for computing all of them", Meccanica 15, 1980.
    Vogt, Puelma Touzel, Shlizerman, Lajoie, "On Lyapunov exponents for RNNs", Frontiers in Applied
    Mathematics and Statistics 8, 2022.  Engelken, Wolf, Abbott, "Lyapunov spectra of chaotic
    recurrent neural networks", Physical Review Research 5, 2023.

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> def henon(inputs, state):
    ...     x, y = state.unbind(-1)
    ...     return torch.stack((1 - 1.4 * x**2 + y, 0.3 * x), dim=-1)
    >>> trajectory = models.trace(models.adapt(henon, state_size=2), torch.zeros(2000, 4, 1))
    >>> table = lyapunov_exponents(
    ...     trajectory, [2000], generator=torch.Generator(), transient=100
    ... )
    >>> table.groupby("rank")["value"].mean().round(1).tolist()  # 0.419, -1.623
    [0.4, -1.6]
    """
    checks.positive_number("tolerance", tolerance)
    model = trajectory.model
    product = LyapunovProduct(
        model.state_size,
        count,
        batch_shape=(trajectory.batch,),
        transient=transient,
        interval=interval,
        dtype=model.dtype,
        device=model.device,
        generator=generator,
    )
    if transient >= lengths[0]:
        raise ArgumentError(
            f"transient must be less than the shortest length, {lengths[0]}, got {transient}"
        )
    tables = []
    for t, jacobian in enumerate(trajectory.step_jacobians(lengths[-1]), start=1):
        product.absorb(jacobian)
        if t in lengths:
            tables.append(_rows(product.exponents(), t))
    table = frame.concatenate(tables, matrix="end_to_end", block="state")
    return table.assign(resolved=(table["error"] <= tolerance).astype("boolean"))


def _rows(exponents: Exponents, length: int) -> pd.DataFrame:
    values, standard_error, rounding = (part.cpu().numpy() for part in exponents)
    batch, count = values.shape
    return frame.rows(
        length=length,
        step=length,
        sequence=np.arange(batch)[:, None],
        quantity="lyapunov_exponent",
        rank=np.arange(1, count + 1),
        value=values,
        error=standard_error + rounding,
    )
