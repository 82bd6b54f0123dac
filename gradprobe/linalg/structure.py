"""Ranks that follow from exact zeros alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


class StructuralZeros:
    """What the zeros of the steps say of a product's rows, columns and rank.

    Parameters
    ----------
    shape
        (*batch_shape, size).
    device
        Of the truth values.

    Attributes
    ----------
    live
        Which rows may be non-zero, of this shape.
    started
        Which columns may be.
    rank
        At most how many are independent, (*batch_shape), int64.

    Examples
    --------
    >>> import torch
    >>> zeros = StructuralZeros((2,), torch.device("cpu"))
    >>> zeros.follow(torch.tensor([[1.0, 0.0], [0.0, 0.0]]), is_first=True)
    >>> zeros.live.tolist(), zeros.started.tolist(), zeros.rank.item()
    ([True, False], [True, False], 1)
    """

    def __init__(self, shape: torch.Size | tuple[int, ...], device: torch.device) -> None:
        self.live = self.started = torch.ones(shape, dtype=torch.bool, device=device)
        self.rank = torch.full(shape[:-1], shape[-1], device=device)
        self.is_none = True

    def follow(self, step: Tensor, *, is_first: bool) -> None:
        """Take note of a step."""
        if is_first:
            self.started = (step != 0).any(-2)
        self.live, rank = propagate_zeros(step, self.live)
        self.is_none = bool(self.live.all())
        self.rank = self.rank.minimum(rank)

    def rank_of_rows(self, rows: Tensor) -> Tensor:
        """Return at most how many of these rows, (size), are independent."""
        return self.rank.minimum((self.live & rows).sum(-1))


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
