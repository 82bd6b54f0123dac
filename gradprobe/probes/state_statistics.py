"""Where the states are: how large, how saturated, and how far the gates are open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from gradprobe import checks, frame
from gradprobe.linalg.cotangents import stable_norm
from gradprobe.models.cell import unflatten_units
from gradprobe.models.recurrent_model import RecurrentModel
from gradprobe.models.reference import REFERENCES, derivatives_at
from gradprobe.models.working_copy import isolated

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from torch import Tensor

    from gradprobe.models import Cell, Trajectory
    from gradprobe.models.cell import LocalDerivatives


def state_statistics(
    trajectory: Trajectory,
    lengths: Sequence[int],
    *,
    generator: torch.Generator,
    reference: str = "rest",
    threshold: float = 0.1,
    tolerance: float = 1e-6,
) -> pd.DataFrame:
    r"""Measure ‖h_t‖, the saturation of the units and the openness of the gates over t.

    The slope of unit n at step t is :math:`d_{t,n} = ‖(D_{a,t})_n‖_F`, D_a being φ's derivatives by
    what enters through the recurrent matrix: |φ′| for a plain unit, and with the gates on the way
    for a gated one.  With d° the slopes at a reference,

    .. math:: \text{saturation}_t = 1 - \frac{\sum_n d_{t,n}}{\sum_n d^{°}_n},

    0 where the units are as steep as at the reference, 1 where nothing passes through the recurrent
    matrix any more, below 0 where they are steeper.  Where a step has several stages, d is over all
    of their recurrent matrices.

    Parameters
    ----------
    trajectory
        B sequences along a model.
    lengths
        The T, increasing; only the longest matters.
    generator
        Not used: nothing is drawn.
    reference
        Where d° is taken.  ``"rest"``: at zero input and where the model starts, zero unless it
        has learnt another state, so that the bias alone drives the cell; ``"zero"``: at zero state,
        without the bias too: tanh and relu have slope one, a gate is half open.  At a kink, from
        the right.
    threshold
        A unit counts as saturated where its slope is below so much of the mean of d°.
    tolerance
        Largest error of a value that counts as resolved.

    Returns
    -------
    pandas.DataFrame
        The matrix is missing, and length is the longest T.

        For each step t = 0 … T, for every model: ``log_norm``, the natural logarithm of the
        Euclidean norm (−inf for zero) of h_t, block ``hidden``, and of s_t, block ``state``.

        For each step t = 1 … T and each layer l of a model made of cells, block ``layers.l``:
        ``saturation``; ``saturated_fraction``, the share of units below the threshold; and
        ``gate_`` with the name of each gate (`gradprobe.models.Cell.gates`), its mean over the
        units.  A model that is known as a function only has no units to tell of.

        Errors are those of rounding, the states being taken as they are.  What compares with the
        reference is missing where all slopes are zero there.

    References
    ----------
    Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS 2010 (saturation); Karpathy, Johnson, Fei-Fei, "Visualizing and Understanding Recurrent
    Networks", ICLR 2016 workshop, "Internal mechanisms of an LSTM" (gates).

    Examples
    --------
    >>> from gradprobe import models
    >>> model = models.build("lstm", input_size=1, hidden_size=4, forget_bias=2.0)
    >>> trajectory = models.trace(model, torch.zeros(20, 1, 1))
    >>> table = state_statistics(trajectory, [20], generator=torch.Generator())
    >>> last = table[(table["step"] == 20) & (table["block"] == "layers.0")]
    >>> last.set_index("quantity")["value"].round(3).to_dict()
    {'saturation': 0.0, 'saturated_fraction': 0.0, 'gate_input': 0.5, 'gate_forget': 0.881,
     'gate_output': 0.5}
    """
    checks.one_of("reference", reference, REFERENCES)
    checks.positive_number("threshold", threshold)
    checks.positive_number("tolerance", tolerance)
    model, stop = trajectory.model, lengths[-1]
    states = torch.stack(list(trajectory.states(stop)))
    tables = [
        _norm_rows(states[..., model.hidden_slice]).assign(block="hidden"),
        _norm_rows(states).assign(block="state"),
    ]
    if isinstance(model, RecurrentModel):
        with torch.no_grad(), isolated(states.device):
            tables += _layer_rows(model, trajectory, states, reference, threshold)
    table = frame.concatenate(tables, length=stop)
    return table.assign(resolved=table["error"] <= tolerance)


def _norm_rows(states: Tensor) -> pd.DataFrame:
    norm = stable_norm(states).log()
    eps = torch.finfo(states.dtype).eps
    error = (4 + norm.abs()) * eps
    return _rows("log_norm", norm, error.masked_fill(norm == -torch.inf, 0.0), first=0)


def _layer_rows(
    model: RecurrentModel, trajectory: Trajectory, states: Tensor, reference: str, threshold: float
) -> list[pd.DataFrame]:
    tables = []
    size = trajectory.steps_per_chunk
    inputs = trajectory.inputs[: len(states) - 1]
    for index, (cell, part) in enumerate(zip(model.cells, model.split(states), strict=True)):
        slopes_there = _slopes(derivatives_at(cell, reference))
        chunks = [
            _statistics(cell, now, before, slopes_there, threshold)
            for now, before in zip(inputs.split(size), part[:-1].split(size), strict=True)
        ]
        values = {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}
        tables += [_layer_table(name, value, index) for name, value in values.items()]
        inputs = part[1:, :, : cell.output_size]
    return tables


def _statistics(
    cell: Cell, inputs: Tensor, previous: Tensor, at_reference: Tensor, threshold: float
) -> dict[str, Tensor]:
    """Return the statistics of one layer over some steps, each of shape (steps, B)."""
    units = unflatten_units(previous, cell.components)
    local: list[LocalDerivatives] = []
    gates: dict[str, Tensor] = {}
    for stage in cell.stages():
        arguments = stage.arguments(units, inputs)
        local.append(stage.local_derivatives(*arguments))
        gates |= stage.gates(*arguments)
        units = stage.pointwise(*arguments)
    slopes = _slopes(local)
    mean = at_reference.mean()
    relative = slopes / torch.where(mean == 0, torch.nan, mean)
    below = torch.where(relative.isnan(), torch.nan, (relative < threshold).double())
    statistics = {"saturation": 1 - relative.mean(-1), "saturated_fraction": below.mean(-1)}
    return statistics | {f"gate_{name}": gate.mean(-1) for name, gate in gates.items()}


def _slopes(local: Sequence[LocalDerivatives]) -> Tensor:
    """Return the Frobenius norm of each unit's blocks in all stages, shape (..., N)."""
    blocks = [stage.by_recurrent.flatten(-3, -2) for stage in local]
    return stable_norm(torch.cat(blocks, dim=-2).movedim(-2, -1))


def _layer_table(name: str, values: Tensor, layer: int) -> pd.DataFrame:
    # Sums and quotients of positive numbers, and a difference of two: a few roundings each.
    error = 16 * torch.finfo(values.dtype).eps * (1 + values.abs())
    error = error.masked_fill(values.isnan(), torch.inf)
    return _rows(name, values, error, first=1).assign(block=f"layers.{layer}")


def _rows(quantity: str, values: Tensor, error: Tensor, *, first: int) -> pd.DataFrame:
    return frame.rows(
        step=np.arange(first, first + len(values))[:, None],
        sequence=np.arange(values.shape[1]),
        quantity=quantity,
        value=values.cpu().numpy(),
        error=error.cpu().numpy(),
    )
