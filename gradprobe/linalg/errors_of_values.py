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


def estimated_errors(values: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    """Estimate the error of ``values[0]`` from the perturbed copies ``values[1:]``.

    Parameters
    ----------
    values
        Log singular values, (1 + repetitions, *batch_shape, count), descending.
    steps
        How many steps were absorbed.
    dtype
        Of the arithmetic.

    Returns
    -------
    Tensor
        (*batch_shape, count): the largest deviation of a perturbed copy, or that of a neighbour in
        the spectrum if larger (but at most `LUCK` times its own), plus the rounding of the
        sums; +inf where that is beyond the linear regime, 0 for a zero in all copies.
    """
    same = (values == -torch.inf).all(0)
    deviation = (values[1:] - values[0]).abs().masked_fill(same, 0.0)
    deviation = deviation.nan_to_num(nan=torch.inf).amax(0)
    padded = torch.nn.functional.pad(deviation, (1, 1))
    neighbours = padded[..., :-2].maximum(padded[..., 2:])
    widest = deviation.maximum(neighbours.minimum(LUCK * deviation))
    floor = torch.finfo(dtype).eps * (4 * math.sqrt(steps) + 4 + values[0].abs())
    error = torch.where(widest > LINEAR, torch.inf, widest + floor)
    return error.masked_fill(same, 0.0)
