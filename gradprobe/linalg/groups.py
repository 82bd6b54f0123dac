"""Rows and columns of a matrix that fall into groups with nothing but zeros between them.

Householder QR keeps these zeros exactly if the rows and columns of each group stand together and
are as many: then no reflection reaches from one group into another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from torch import Tensor


class Groups(NamedTuple):
    """To which group each row and each column of Y belongs, and how many columns may be non-zero.

    Attributes
    ----------
    rows, columns
        The number of the group, (*batch_shape, n), int64; each has as many rows as columns.
    ranks
        The largest rank of each group, at the position that its number gives, of the same shape.
    """

    rows: Tensor
    columns: Tensor
    ranks: Tensor


def together(order: Tensor, numbers: Tensor) -> Tensor:
    """Return `order` with the members of each group next to each other, else as they were.

    Examples
    --------
    >>> together(torch.tensor([2, 0, 1]), torch.tensor([0, 1, 0])).tolist()
    [2, 0, 1]
    """
    numbers = numbers.expand(order.shape).gather(-1, order)
    return order.gather(-1, numbers.argsort(dim=-1, stable=True))


def largest_of_group(values: Tensor, groups: Groups) -> Tensor:
    """Return for each column the largest of the rows' `values` in its group.

    Examples
    --------
    >>> numbers = torch.tensor([0, 1, 0])
    >>> groups = Groups(numbers, numbers, torch.tensor([2, 1, 0]))
    >>> largest_of_group(torch.tensor([1.0, 2.0, 3.0]), groups).tolist()
    [3.0, 2.0, 3.0]
    """
    least = torch.full_like(values, -torch.inf)
    largest = least.scatter_reduce(-1, groups.rows.expand(values.shape), values, "amax")
    return largest.gather(-1, groups.columns.expand(values.shape))


def within_rank(order: Tensor, groups: Groups) -> Tensor:
    """Return which columns, taken in `order`, are among the first of their group, up to its rank.

    Examples
    --------
    >>> numbers = torch.tensor([0, 1, 0])
    >>> groups = Groups(numbers, numbers, torch.tensor([1, 1, 0]))
    >>> within_rank(torch.tensor([2, 0, 1]), groups).tolist()
    [True, False, True]
    """
    numbers = groups.columns.expand(order.shape).gather(-1, order)
    same = numbers.unsqueeze(-1) == numbers.unsqueeze(-2)
    place = same.tril(-1).sum(-1)
    return place < groups.ranks.expand(order.shape).gather(-1, numbers)
