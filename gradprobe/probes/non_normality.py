"""How far the Jacobian of one step is from a normal matrix: what its eigenvalues do not show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradprobe import checks, frame
from gradprobe.linalg.non_normality import departure_from_normality
from gradprobe.probes.sampled_steps import sampled_steps
from gradprobe.probes.step_matrices import vector_field_or_step

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import torch

    from gradprobe.models import Trajectory
    from gradprobe.probes.step_matrices import StepMatrix


def non_normality(
    trajectory: Trajectory,
    lengths: Sequence[int],
    *,
    generator: torch.Generator,
    steps: Sequence[int] | None = None,
    samples: int = 20,
    tolerance: float = 1e-6,
) -> pd.DataFrame:
    r"""Measure Henrici's departure from normality of F_t, or of J_t, at some steps.

    .. math:: \mathrm{dep}(A) = \Bigl(‖A‖_F^2 - \sum_i |λ_i|^2\Bigr)^{1/2},

    the norm of the strictly upper part of A's Schur form.  It vanishes for normal matrices
    (symmetric, antisymmetric, orthogonal), whose eigenvalues tell all: |λ_i| = σ_i.  Where it is of
    the order of ‖A‖_F, norms may grow for a long while although all eigenvalues are stable.

    For an Euler-type model, h_t = h_{t-1} + ε f(h_{t-1}, x_t), A is the Jacobian of the vector
    field, F_t = (J_t − I)/ε, and dep(J_t) = ε dep(F_t); for every other model A is the step
    Jacobian J_t itself.

    Parameters
    ----------
    trajectory
        B sequences along a model.
    lengths
        The T of the call, increasing; the steps are those up to the longest.
    generator
        Source of the perturbations from which errors are estimated.
    steps
        At which t; `samples` steps, evenly spaced over 1 … T, if not given.
    samples
        How many steps if `steps` is not given.
    tolerance
        Largest error of a value that counts as resolved.

    Returns
    -------
    pandas.DataFrame
        Rows with matrix ``vector_field`` or ``step``: ``departure_from_normality``, in the units of
        A, and ``relative_departure_from_normality``, dep(A)/‖A‖_F in 0 … 1 (0 for A = 0).

    References
    ----------
    Henrici, "Bounds for iterates, inverses, spectral variation and fields of values of non-normal
    matrices", Numerische Mathematik 4, 1962.  Kerg et al., "Non-normal recurrent neural network
    (nnRNN)", NeurIPS 2019 (the Schur form of a recurrent network).

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> model = models.build("orthogonal", input_size=1, hidden_size=6, nonlinearity="modrelu",
    ...                      dtype=torch.float64)
    >>> trajectory = models.trace(model, torch.zeros(30, 1, 1), torch.ones(1, 6).double())
    >>> table = non_normality(trajectory, [30], generator=torch.Generator(), steps=[1, 30])
    >>> bool(table["value"].max() < 1e-13), bool(table["resolved"].all())
    (True, True)
    """
    checks.positive_number("tolerance", tolerance)
    longest = lengths[-1]
    tables = [
        _rows(t, vector_field_or_step(trajectory, t), generator)
        for t in sampled_steps(steps, samples, longest)
    ]
    table = frame.concatenate(tables, length=longest, block="state")
    return table.assign(resolved=(table["error"] <= tolerance).astype("boolean"))


def _rows(t: int, step: StepMatrix, generator: torch.Generator) -> pd.DataFrame:
    size = departure_from_normality(step.matrix, step.rounding, generator=generator)
    scale = np.where(size.norm > 0, size.norm, 1.0)
    # dep(A)/‖A‖ ≤ 1, so that the error of the norm adds at most as much as that of A.
    relative_error = (size.error + step.rounding.cpu().numpy()) / scale
    return frame.rows(
        step=t,
        sequence=np.arange(size.norm.size),
        matrix=step.name,
        quantity=np.array(["departure_from_normality", "relative_departure_from_normality"])[
            :, None
        ],
        value=np.stack((size.departure, size.departure / scale)),
        error=np.stack((size.error, relative_error)),
    )
