"""Ranks that follow from exact zeros alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def propagate_zeros(step: Tensor, live: Tensor) -> tuple[Tensor, Tensor]:
    """Follow the zero rows of M through one step J.

    Parameters
    ----------
    step
        J, (*batch_shape, size, size).
    live
        Which rows of M may be non-zero, (*batch_shape, size), bool.

    Returns
    -------
    live : Tensor
        Which rows of J M may be non-zero.
    rank : Tensor
        An upper bound on the rank of J M, (*batch_shape), int64: the number of its non-zero rows,
        or of J's non-zero columns that meet a non-zero row of M, whichever is smaller.

    Examples
    --------
    >>> import torch
    >>> shift = torch.diag(torch.ones(2), diagonal=1)
    >>> live, rank = propagate_zeros(shift, torch.ones(3, dtype=torch.bool))
    >>> live.tolist(), rank.item()
    ([True, True, False], 2)
    """
    pattern = (step != 0) & live.unsqueeze(-2)
    rows, columns = pattern.any(-1), pattern.any(-2)
    return rows, rows.sum(-1).minimum(columns.sum(-1))
