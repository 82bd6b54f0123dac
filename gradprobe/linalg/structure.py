"""What follows from exact zeros alone: ranks, and which parts of a product never meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gradprobe.linalg.groups import Groups

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    rows, columns = _met(step, live)
    return rows, rows.sum(-1).minimum(columns.sum(-1))


def _met(step: Tensor, live: Tensor) -> tuple[Tensor, Tensor]:
    """Return which rows of J M may be non-zero, and which columns of J meet a row of M that may."""
    pattern = (step != 0) & live.unsqueeze(-2)
    return pattern.any(-1), pattern.any(-2)


class Structure:
    """The zeros of a product M that the zeros of its steps imply.

    The entries of the state fall into groups where no step couples one group to another, as with
    recurrent weights that consist of blocks of two: then M consists of the same blocks, and each
    has a rank of its own.

    Parameters
    ----------
    batch_shape, size, device
        Of the product.
    grouped
        Whether to look for groups. Otherwise all entries are one.

    Attributes
    ----------
    live
        Which rows of M may be non-zero, (*batch_shape, size).
    ranks
        How large the rank of each group can be, at the group's first entry, (*batch_shape, size).
    full
        Whether all rows may be non-zero.
    grouped
        Whether there is more than one group.

    Examples
    --------
    >>> structure = Structure((), 3, torch.device("cpu"), grouped=True)
    >>> structure.join(torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    >>> structure.groups().rows.tolist()
    [0, 1, 0]
    """

    def __init__(
        self, batch_shape: Sequence[int], size: int, device: torch.device | None, *, grouped: bool
    ) -> None:
        shape = (*batch_shape, size)
        self.live = self._started = torch.ones(shape, dtype=torch.bool, device=device)
        self.full, self.grouped = True, grouped and size > 1
        entries = torch.arange(size, device=device).expand(shape)
        self._labels = entries if self.grouped else torch.zeros_like(entries)
        self._of_vectors = self._labels
        self.ranks = self._counted(self.live)

    def join(self, step: Tensor) -> None:
        """Let groups be one that this step couples."""
        linked = step != 0
        linked = linked | linked.mT
        while self.grouped:
            size = self._labels.shape[-1]
            met = self._labels.unsqueeze(-2).masked_fill(~linked, size).amin(-1)
            first = torch.full_like(met, size).scatter_reduce(-1, self._labels, met, "amin")
            first = first.minimum(torch.arange(size, device=first.device))
            if bool((first.gather(-1, self._labels) == self._labels).all()):
                return
            self.ranks = torch.zeros_like(self.ranks).scatter_add(-1, first, self.ranks)
            self._labels = first.gather(-1, self._labels)
            self._of_vectors = first.gather(-1, self._of_vectors)
            self.grouped = bool((self._labels != 0).any())

    def follow(self, step: Tensor, *, first: bool) -> None:
        """Bound the ranks by the zeros of this step and all before."""
        if first:
            self._started = (step != 0).any(-2)
        self.live, columns = _met(step, self.live)
        self.full = bool(self.live.all())
        counts = self._counted(self.live).minimum(self._counted(columns))
        self.ranks = self.ranks.minimum(counts)

    def ranks_in(self, rows: Tensor) -> Tensor:
        """Return the ranks where all rows of M but some are set to zero."""
        return self.ranks.minimum(self._counted(self.live & rows))

    def ranks_between(self, ranks: Tensor, columns: Tensor) -> Tensor:
        """Return the ranks where, besides, all columns of M but some are set to zero."""
        return ranks.minimum(self._counted(self._started & columns))

    def reordered(self, order: Tensor | None) -> None:
        """Take note that the vectors of the product's basis stand in another order."""
        if order is not None and self.grouped:  # only products without copies are
            self._of_vectors = self._of_vectors.gather(-1, order[0])

    def groups(self, order: Tensor | None = None) -> Groups:
        """Return the groups of the rows of U, or of these rows in `order`, and of its columns."""
        rows = self._labels if order is None else self._labels.expand(order.shape).gather(-1, order)
        return Groups(rows, self._of_vectors, self.ranks)

    def limits(self, ranks: Tensor) -> Tensor | Groups:
        """Return what `graded.restriction` needs to know of the ranks, as they are given here."""
        return self.groups()._replace(ranks=ranks) if self.grouped else ranks.sum(-1)

    def within_reach(self) -> Tensor:
        """Return which vectors of the basis are of the same group, (*batch_shape, size, size)."""
        vectors = self._of_vectors
        return vectors.unsqueeze(-1) == vectors.unsqueeze(-2)

    def _counted(self, entries: Tensor) -> Tensor:
        zeros = torch.zeros_like(self._labels)
        return zeros.scatter_add(-1, self._labels, entries.to(zeros.dtype))
