"""From the spread of perturbed copies to a stated error of each value."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

LINEAR = 1e-3
"""A larger deviation is outside the linear regime: the value is not determined."""

LUCK = 100.0
"""How many times smaller than usual a deviation may be by chance; its neighbours tell."""

NEIGHBOURS = 2
"""How many values on either side are asked."""

SAFETY = 4.0
"""By how much the largest of a few deviations may fall short of what rounding does."""


def estimated_errors(values: Tensor, rank: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    """Estimate the error of ``values[0]`` from the perturbed copies ``values[1:]``.

    Parameters
    ----------
    values
        Log singular values, (1 + repetitions, *batch_shape, count), descending.
    rank
        How many values the zeros of the steps allow to be non-zero, (*batch_shape), int64.
    steps
        How many steps were absorbed.
    dtype
        Of the arithmetic.

    Returns
    -------
    Tensor
        (*batch_shape, count): `SAFETY` times the largest deviation of a perturbed copy, or that of
        a neighbour in the spectrum if larger (but at most `LUCK` times its own and rounding), plus
        the rounding of the logarithms; +inf where that is beyond the linear regime, and for a
        zero that does not follow from structure; 0 for one that does.
    """
    structural = torch.arange(values.shape[-1], device=values.device) >= rank.unsqueeze(-1)
    deviation = (values[1:] - values[0]).abs().masked_fill(structural, 0.0)
    deviation = deviation.nan_to_num(nan=torch.inf, posinf=torch.inf).amax(0)
    of_steps = torch.finfo(dtype).eps * (4 * math.sqrt(steps) + 4)
    floor = of_steps + torch.finfo(torch.float64).eps * values[0].abs()
    padded = torch.nn.functional.pad(deviation, (NEIGHBOURS, NEIGHBOURS))
    neighbours = padded.unfold(-1, 2 * NEIGHBOURS + 1, 1).amax(-1)
    widest = SAFETY * deviation.maximum(neighbours.minimum(LUCK * (deviation + floor)))
    error = torch.where(widest > LINEAR, torch.inf, widest + floor)
    return error.masked_fill(structural, 0.0)
