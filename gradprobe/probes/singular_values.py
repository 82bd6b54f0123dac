"""The singular values of the end-to-end Jacobian, exact at any length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradprobe import checks, frame
from gradprobe.linalg import GradedProduct

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
    tolerance: float = 1e-6,
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
        Source of the perturbations from which errors are estimated.
    block
        ``"state"``: of ∂s_T/∂s_0; ``"hidden"``: of ∂h_T/∂h_0, h being the last layer's.
    tolerance
        Largest error, in natural-log units, of a value that counts as resolved.

    Returns
    -------
    pandas.DataFrame
        Rows with quantity ``log_sigma`` (natural logarithm; −inf for a structural zero), matrix
        ``end_to_end``, rank 1 for the largest; length and step both T.

    References
    ----------
    G. W. Stewart, "On graded QR decompositions of products of matrices", ETNA 5, 1997.

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
    product = GradedProduct(
        model.state_size,
        batch_shape=(trajectory.batch,),
        dtype=model.dtype,
        device=model.device,
        generator=generator,
        tolerance=tolerance,
    )
    tables = []
    for t, jacobian in enumerate(trajectory.step_jacobians(lengths[-1]), start=1):
        product.absorb(jacobian)
        if t in lengths:
            hidden = model.hidden_slice
            spectrum = (
                product.log_singular_values()
                if block == "state"
                else product.block(rows=hidden, columns=hidden)
            )
            tables.append(_rows(spectrum, t, block))
    return frame.concatenate(tables)


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
