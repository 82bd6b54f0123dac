"""The vector field of a model with a plane for its state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from gradprobe import checks, frame
from gradprobe.errors import ArgumentError, UnsupportedModelError
from gradprobe.models.working_copy import isolated

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from gradprobe.models import Trajectory

PLANE = 2
FEWEST_POINTS = 2


def vector_field(
    trajectory: Trajectory,
    lengths: Sequence[int],
    *,
    generator: torch.Generator,
    extent: float = 1.0,
    points: int = 11,
) -> pd.DataFrame:
    r"""Evaluate the vector field of a model of two state entries on a square mesh, without input.

    For a model of the form :math:`s_t = s_{t-1} + ε f(s_{t-1}, x_t)` it is f(s, 0), the velocity of
    the differential equation of which the model is a forward Euler method.  For any other model
    :math:`s_t = Φ(s_{t-1}, x_t)` it is the displacement Φ(s, 0) − s of one step.

    Parameters
    ----------
    trajectory
        B sequences along a model; only the model matters.
    lengths
        The T; only the longest matters, as the length of the rows.
    generator
        Not used: nothing is drawn.
    extent
        The mesh spans [−extent, extent] in either direction.
    points
        How many points it has in either direction, at least 2.

    Returns
    -------
    pandas.DataFrame
        For every point of the mesh, as the sequence, and both state entries, as the rank: ``mesh``,
        the point itself, and ``velocity`` or ``displacement`` there; block ``state``.  The error is
        that of rounding.

    Raises
    ------
    ArgumentError
        An option is out of range.
    UnsupportedModelError
        The model's state has more or fewer than two entries.

    References
    ----------
    Chang, Chen, Haber, Chi, "AntisymmetricRNN", ICLR 2019, section 4, figure 1.

    Examples
    --------
    >>> from gradprobe import models
    >>> model = models.build("feedback", input_size=1, hidden_size=2, step_size=0.1,
    ...                      recurrent_matrix=[[0.0, -2.0], [2.0, 0.0]])
    >>> trajectory = models.trace(model, torch.zeros(5, 1, 1))
    >>> table = vector_field(trajectory, [5], generator=torch.Generator(), points=2)
    >>> table[table["sequence"] == 0]["value"].round(3).tolist()
    [-1.0, -1.0, 0.964, -0.964]
    """
    checks.positive_number("extent", extent)
    if checks.positive_integer("points", points) < FEWEST_POINTS:
        raise ArgumentError(f"points must be at least {FEWEST_POINTS}, got {points}")
    model = trajectory.model
    if model.state_size != PLANE:
        raise UnsupportedModelError(
            f"a vector field is drawn in a plane: the state of {model.name!r} must have {PLANE} "
            f"entries, got {model.state_size}"
        )
    line = torch.linspace(-extent, extent, points, dtype=model.dtype, device=model.device)
    mesh = torch.cartesian_prod(line, line)
    no_input = torch.zeros_like(trajectory.inputs[0, :1]).expand(len(mesh), -1)
    with torch.no_grad(), isolated(model.device):
        after = model.step(no_input, mesh)
    step_size = model.step_size or 1.0
    change = (after - mesh) / step_size
    error = 4 * torch.finfo(model.dtype).eps * (after.abs() + mesh.abs()) / step_size
    table = frame.rows(
        length=lengths[-1],
        sequence=np.arange(len(mesh))[:, None],
        rank=np.arange(1, PLANE + 1),
        quantity=np.array(["mesh", "velocity" if model.step_size else "displacement"])[
            :, None, None
        ],
        block="state",
        value=torch.stack((mesh, change)).cpu().numpy(),
        error=torch.stack((torch.zeros_like(error), error)).cpu().numpy(),
    )
    return table.assign(resolved=True)
