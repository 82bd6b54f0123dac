"""What the values that a subspace iteration has found may still be off by.

The sweeps, and what the errors stand on, are described at `gradprobe.linalg.leading_values`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

SAFETY = 4.0
"""By how much an estimate from two or three numbers may fall short."""

UNLUCKY = 1e-3
"""How probable it may be that random directions hold less of given ones than is reckoned with."""

MIXED = 1.0
"""Values no more nats apart may have exchanged their directions."""

LOST = 1e-3
"""A value that rounding has moved by more is not determined."""

SETTLED = 0.995
"""The cosine of the angle above which two subspaces count as the same to first order."""


class Turned(NamedTuple):
    """How the subspace has turned in the last sweep.

    Attributes
    ----------
    settled, outwards
        What the functions of these names return.
    rank
        The largest rank that the product can have.

    Examples
    --------
    >>> Turned(torch.tensor([True]), torch.tensor([0.0]), 5).rank
    5
    """

    settled: Tensor
    outwards: Tensor
    rank: int


def settled(start: Tensor, before: Tensor, after: Tensor, size: int) -> Tensor:
    """Return for each value whether some leading subspace that holds it has been found.

    One that has been found does not turn any more from one sweep to the next, and has turned away
    from the random subspace that it came from; that a flat spectrum turns nothing shows by the
    latter.

    Parameters
    ----------
    start, before, after
        The directions at first, before and after the last sweep, (*batch_shape, rows, p) each.
    size
        The largest rank that the product can have.

    Examples
    --------
    >>> axes = torch.eye(6)
    >>> settled(axes[:, 2:4], axes[:, :2], axes[:, :2], 6).tolist()
    [True, True]
    >>> settled(axes[:, :2], axes[:, :2], axes[:, :2], 6).tolist()
    [False, False]
    """
    followed = start.shape[-1]
    count = torch.arange(1, followed + 1, device=start.device)
    overlap = before.mT @ after
    cosines = torch.stack(
        [torch.linalg.svdvals(overlap[..., :i, :i])[..., -1] for i in count.tolist()], dim=-1
    )
    memory = (start.mT @ after).square().sum(-2).cumsum(-1) / count
    found = (cosines > SETTLED) & ((memory < (1 + followed / size) / 2) | (followed == size))
    return found.flip(-1).cummax(-1).values.flip(-1)


def outwards(before: Tensor, after: Tensor, values: Tensor) -> Tensor:
    """Return the tangent of the angle by which each direction has left the subspace before.

    Of those with close values, which are mixed, the largest counts.

    Parameters
    ----------
    before, after
        The directions before and after the last sweep, (*batch_shape, rows, p) each.
    values
        Their log singular values, (*batch_shape, p).

    Examples
    --------
    >>> axes, slanting = torch.eye(3)[:, :1], torch.tensor([[0.6], [0.8], [0.0]])
    >>> outwards(axes, slanting, torch.zeros(1, dtype=torch.float64)).round(decimals=3).tolist()
    [1.333]
    """
    sines = torch.linalg.vector_norm(after - before @ (before.mT @ after), dim=-2).double()
    tangents = sines / (1 - sines.square()).clamp(min=torch.finfo(before.dtype).tiny).sqrt()
    apart = (values.unsqueeze(-1) - values.unsqueeze(-2)).abs()
    return torch.where(apart > MIXED, 0.0, tangents.unsqueeze(-2)).amax(-1)


def least_weights(followed: int, size: int) -> Tensor:
    """Return for i = 1 … p the weight that i given directions all have in p random ones.

    The least singular value of an i × p matrix of standard normal numbers is above
    (p − i + 1) / (e √p t) but for a probability of t^−(p − i + 1).

    Examples
    --------
    >>> least_weights(16, 4096).mul(4096).round(decimals=2)[[0, 7, 15]].tolist()
    [0.91, 0.15, 0.0]
    """
    more = torch.arange(followed, 0, -1, dtype=torch.float64)
    least = more / (math.e * math.sqrt(followed) * UNLUCKY ** (-1 / more))
    return (least.square() / size).clamp(max=1.0) if followed < size else torch.ones_like(more)


def errors_of_leading_values(history: Sequence[Tensor], turned: Turned, lost: Tensor) -> Tensor:
    """Estimate the error of the last values from how they have changed.

    Parameters
    ----------
    history
        The log singular values after each half-sweep, (*batch_shape, p) each; at least two.
    turned
        How the subspace has turned in the last sweep.
    lost
        What rounding did at the steps, (*batch_shape, p); see `ThinProduct.rounding`.

    Examples
    --------
    >>> history = [torch.tensor([value], dtype=torch.float64) for value in (0.9, 0.99, 0.999)]
    >>> turned = Turned(torch.tensor([True]), torch.tensor([0.1]), 5)
    >>> errors_of_leading_values(history, turned, torch.zeros(1)).round(decimals=6).tolist()
    [0.04]
    """
    last = history[-1]
    rounding = SAFETY * lost + torch.finfo(torch.float64).eps * (4 + last.abs())
    rise = (last - history[-2]).abs().nan_to_num(nan=0.0).maximum(rounding)
    before = (history[-2] - history[-3]).abs() if len(history) > 2 else torch.full_like(rise, 1e300)
    ratio = rise / before.nan_to_num(nan=0.0).maximum(2 * rounding)
    series = torch.where(ratio < 1, SAFETY * rise / (1 - ratio), torch.inf)
    weights = least_weights(last.shape[-1], turned.rank).to(last.device)
    residual = turned.outwards.maximum(rounding)
    sticking_out = torch.log1p(2 * residual / weights.sqrt()) / 2 + SAFETY * rise
    error = torch.where(turned.settled, series, sticking_out)
    error = torch.where(rounding > LOST, torch.inf, error)
    # A true zero: both ways it stays −inf.
    zero = (last == -torch.inf) & (history[-2] == -torch.inf) & (lost < LOST)
    return error.masked_fill(zero, 0.0)
