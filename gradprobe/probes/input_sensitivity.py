"""How much the last hidden state depends on each input before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from gradprobe import checks, frame
from gradprobe.errors import UnsupportedModelError
from gradprobe.linalg import Cotangents
from gradprobe.models.working_copy import isolated
from gradprobe.probes.backward_sweep import tail_chunks
from gradprobe.probes.pull_back import pull_back

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from torch import Tensor

    from gradprobe.linalg import Norm
    from gradprobe.models import Trajectory
    from gradprobe.probes.backward_sweep import TailChunk


def input_sensitivity(
    trajectory: Trajectory,
    lengths: Sequence[int],
    *,
    generator: torch.Generator,
    tolerance: float = 1e-6,
) -> pd.DataFrame:
    r"""Measure log‖∂h_T/∂x_t‖ for t = 1 … T: how much of each input is left at the end.

    .. math:: \frac{∂h_T}{∂x_t} = P\, J_T \cdots J_{t+1}\, \frac{∂s_t}{∂x_t},

    P picking h out of s.  The N rows of P go back through the steps as cotangents, rescaled on the
    way; at each step ∂s_t/∂x_t is applied to them by automatic differentiation of the model's step.

    Parameters
    ----------
    trajectory
        B sequences along a model.
    lengths
        The T, increasing.
    generator
        Source of the sketch by which rounding errors are followed.
    tolerance
        Largest error, in natural-log units, of a value that counts as resolved.

    Returns
    -------
    pandas.DataFrame
        Rows with quantity ``log_norm_fro`` (natural logarithm of the Frobenius norm; −inf for an
        exact zero), matrix ``input``, block ``hidden``, for each length T and step t = 1 … T.

    Raises
    ------
    UnsupportedModelError
        The inputs are integers: there is no derivative with respect to them.

    References
    ----------
    Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
    equations 4 and 5, with x_t in place of the parameters.

    Examples
    --------
    >>> from gradprobe import models
    >>> model = models.build("antisymmetric", input_size=2, hidden_size=4, diffusion=0.0)
    >>> trajectory = models.trace(model, torch.zeros(50, 1, 2))
    >>> table = input_sensitivity(trajectory, [10, 50], generator=torch.Generator())
    >>> table.groupby("length")["step"].agg(["min", "max"]).values.tolist()
    [[1, 10], [1, 50]]
    """
    checks.positive_number("tolerance", tolerance)
    if not trajectory.inputs.is_floating_point():
        raise UnsupportedModelError(
            f"input_sensitivity differentiates with respect to the inputs, but these are "
            f"{trajectory.inputs.dtype}; probe the part of the model behind its embedding, with "
            "the embedded vectors as inputs"
        )
    states = torch.stack(list(trajectory.states(lengths[-1])))
    tables = []
    for length in lengths:
        norms = _sweep(trajectory, states, length, generator, tolerance)
        tables.append(_rows(norms, length))
    return frame.concatenate(tables, quantity="log_norm_fro", matrix="input", block="hidden")


def _sweep(
    trajectory: Trajectory,
    states: Tensor,
    length: int,
    generator: torch.Generator,
    tolerance: float,
) -> list[Norm]:
    """Return the norms in chunks of steps, the first steps first, each of shape (steps, B)."""
    model = trajectory.model
    identity = torch.eye(model.state_size, dtype=model.dtype, device=model.device)
    rows = identity[:, model.hidden_slice].expand(trajectory.batch, -1, -1)
    cotangents = Cotangents(rows, generator=generator)
    norms = []
    for chunk in tail_chunks(trajectory, length, cotangents):
        joint = _to_inputs(trajectory, states, chunk)
        size = cotangents.size_of(joint, chunk.exponent)
        norms.append(size.judged(model.dtype, tolerance))
    return norms[::-1]


def _to_inputs(trajectory: Trajectory, states: Tensor, chunk: TailChunk) -> Tensor:
    """Return (∂s_t/∂x_t)ᵀ applied to the cotangents on s_t, shape (steps, B, D, columns)."""
    steps, shape = chunk.steps, chunk.joint.shape[:2]
    with isolated(states.device), torch.enable_grad():
        inputs = trajectory.inputs[steps].flatten(0, 1).detach().requires_grad_()
        new = trajectory.model.step(inputs, states[steps].flatten(0, 1))
        if not chunk.agrees(new.detach().unflatten(0, shape), states):
            singles = [_to_inputs(trajectory, states, single) for single in chunk.single_steps()]
            return torch.cat(singles[::-1])
        (back,) = pull_back(new, [inputs], chunk.joint.flatten(0, 1).movedim(-1, 0))
    flat = back.flatten(2).movedim(0, -1)
    result: Tensor = flat.unflatten(0, shape)
    return result


def _rows(norms: Sequence[Norm], length: int) -> pd.DataFrame:
    values, errors, resolved = (
        torch.cat([norm[part] for norm in norms]).cpu().numpy() for part in range(3)
    )
    return frame.rows(
        length=length,
        step=np.arange(1, length + 1)[:, None],
        sequence=np.arange(values.shape[1]),
        value=values,
        error=errors,
        resolved=resolved,
    )
