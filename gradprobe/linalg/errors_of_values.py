"""From the sensitivity of each value to its stated error."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.linalg.history import Sensitivity

LINEAR = 1e-3
"""A larger deviation is outside the linear regime: the value is not determined."""

FARTHEST_BACK = 18.0
"""Nats by which values may come back together: beyond, e^18 · 2^-53 = 7e-9 of one is another."""

TAKEN_OVER = 25.0
"""Where any values have come back as far, rounding has taken the place of some directions, …"""

NEAR = 8.0
"""… and only those that have come back by less than this are their own."""

LUCK = 1e8
"""How much more sensitive another value may be and still count: beyond, it is another kind."""

NEXT = 0.25
"""By how much the sensitivity of the next value counts, however far off it is: on the way they may
have been closer. A chaotic network of 64 units has been seen to need 0.13."""

AMPLITUDE = 32.0
"""By how many units of rounding, of the norms of its rows, a step may be off in all: real rounding
errors are far smaller as a rule, but the sensitivity is known at some steps only; networks of 4
units over 1000 steps and of 48 over 40 ill-conditioned ones have been seen to need 22 and 29."""


def stated_errors(
    values: Tensor, sensitivity: Sensitivity, rank: Tensor, steps: int, dtype: torch.dtype
) -> Tensor:
    """State the errors of log singular values.

    Parameters
    ----------
    values
        Log singular values, (*batch_shape, count), descending.
    sensitivity
        Of at least as many values.
    rank
        How many values the zeros of the steps allow to be non-zero, (*batch_shape), int64.
    steps
        How many steps were absorbed.
    dtype
        Of the arithmetic.

    Returns
    -------
    Tensor
        (*batch_shape, count): what rounding at each step does to first order, plus that of the
        factors and of the logarithms; +inf where that is beyond the linear regime, and for a zero
        that does not follow from structure; 0 for one that does.
    """
    count, unit = values.shape[-1], torch.finfo(dtype).eps / 2
    structural = torch.arange(count) >= rank.unsqueeze(-1)
    of_steps, of_product, reversal, strayed = (part[..., :count].cpu() for part in sensitivity)
    of_steps, strayed = (
        _with_others(part.masked_fill(structural, 0.0), values) for part in (of_steps, strayed)
    )
    # A row's norm is at most this many times its largest entry.
    of_steps = of_steps * math.sqrt(sensitivity.of_steps.shape[-1])
    of_factors = unit * (4 * math.sqrt(steps) + 4) * of_product
    of_logarithms = torch.finfo(torch.float64).eps * (2 * math.sqrt(steps) + 1) * values.abs()
    # To first order, straying is a part of `of_steps`.
    of_strays = (AMPLITUDE * unit * strayed).square()
    error = AMPLITUDE * unit * of_steps + of_strays + of_factors + of_logarithms
    taken_over = sensitivity.reversal.cpu().amax(-1, keepdim=True) > TAKEN_OVER
    own = reversal <= torch.where(taken_over, NEAR, FARTHEST_BACK)
    error = torch.where((error <= LINEAR) & own, error, torch.inf)
    return error.masked_fill(structural, 0.0)


def _with_others(sizes: Tensor, values: Tensor) -> Tensor:
    """Return the largest of each size and the others' shares, at most `LUCK` times its own.

    The sensitivities are those of the singular vectors only as far as these are known. The vectors
    of equal values may be any mixture of them: of values with a gap of x nats, e^(−100 x) is
    shared. With the next value more is: e^(−x), but at least `NEXT`.
    """
    gaps = (values.unsqueeze(-1) - values.unsqueeze(-2)).abs().nan_to_num(nan=torch.inf)
    shares = (-100 * gaps).exp()
    for side in (-1, 1):
        beside = (-gaps.diagonal(side, -2, -1)).exp().clamp(min=NEXT)
        shares.diagonal(side, -2, -1).copy_(beside)
    others = (sizes.unsqueeze(-2) * shares).nan_to_num(nan=0.0).amax(-1)
    return sizes.maximum(others).minimum(LUCK * sizes)
