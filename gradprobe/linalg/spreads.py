"""How far apart the values of a product lie on its way, and how far they have come back."""

from __future__ import annotations

import copy
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

AT_ONCE = 32
"""How many notes of d are worked up together: each by itself would cost as much as all of them."""


class Extent(NamedTuple):
    """Between which spreads some steps went, each of shape (2, ..., n).

    Attributes
    ----------
    widest, narrowest
        On the way.
    returned
        By how much one was narrower than one before.
    """

    widest: Tensor
    narrowest: Tensor
    returned: Tensor

    @classmethod
    def of(cls, spreads: Tensor) -> Extent:
        """Return what spreads in turn, of shape (m, 2, ..., n), come to.

        Examples
        --------
        >>> Extent.of(torch.tensor([0.0, 5.0, 3.0, 9.0]).reshape(4, 1, 1)).returned.item()
        2.0
        """
        returned = (spreads.cummax(0).values - spreads).amax(0)
        return cls(spreads.amax(0), spreads.amin(0), returned)

    def then(self, later: Extent) -> Extent:
        """Return the extent of both in turn."""
        return Extent(
            self.widest.maximum(later.widest),
            self.narrowest.minimum(later.narrowest),
            self.returned.maximum(later.returned).maximum(self.widest - later.narrowest),
        )


class Spreads:
    """The spreads of the values, to the largest and to the smallest of them, stretch by stretch.

    Attributes
    ----------
    stretch
        The number of the stretch that is on the way, from 0.
    changes
        How often values have become zero, or have been lost: what was before cannot come back.

    Examples
    --------
    >>> spreads = Spreads()
    >>> for smallest in (-1.0, -9.0, -7.0):
    ...     spreads.note(torch.tensor([0.0, smallest], dtype=torch.float64))
    >>> spreads.reversal().tolist()
    [2.0, 2.0]
    """

    def __init__(self) -> None:
        self._noted: list[tuple[int, Tensor]] = []
        self._widest: Tensor | None = None
        self._reversal: Tensor | None = None
        self._zeros = 0
        self._extents: dict[int, Extent] = {}
        self._last: Tensor | None = None
        self.stretch, self.changes = 0, 0

    def copied(self) -> Spreads:
        """Return one that can go on apart from this one."""
        twin = copy.copy(self)
        twin._noted, twin._extents = list(self._noted), dict(self._extents)
        return twin

    @property
    def is_full(self) -> bool:
        """Whether there are enough notes to work up."""
        return len(self._noted) >= AT_ONCE

    def next_stretch(self) -> None:
        """End the stretch that is on the way, and begin another."""
        self.stretch += 1

    def note(self, d: Tensor, zeros: int = 0, *, anew: bool = False) -> None:
        """Take note of d on the way, of shape (..., n), in any order, `zeros` of it being −inf.

        With `anew` a direction has been lost since, and what stands in its place is no return.
        """
        if zeros != self._zeros or anew:  # what has become zero has not come back
            self._work_up()
            self._widest, self._zeros = None, zeros
            self._extents.pop(self.stretch, None)
            self.changes += 1
        self._noted.append((self.stretch, d))

    def reversal(self) -> Tensor | None:
        """Return by how much either spread has shrunk again from its widest, (..., n).

        None if nothing has been noted.
        """
        self._work_up()
        return None if self._reversal is None else self._reversal.amax(0)

    def returned(self) -> Tensor | None:
        """Return by how much the last spreads are narrower than the widest, (..., n).

        None if nothing has been noted.
        """
        self._work_up()
        if self._widest is None or self._last is None:
            return None
        return (self._widest - self._last).amax(0)

    def taken(self, stretch: int) -> Extent | None:
        """Return the extent of a stretch, and forget it; None if nothing has been noted in it."""
        self._work_up()
        return self._extents.pop(stretch, None)

    def _work_up(self) -> None:
        """Bring the widest spreads and the reversal up to what has been noted."""
        if not self._noted:
            return
        spreads = spreads_of(torch.stack([d for _, d in self._noted]))
        self._last = spreads[-1]
        start = 0
        for stretch, group in groupby(stretch for stretch, _ in self._noted):
            end = start + len(list(group))
            extent, before = Extent.of(spreads[start:end]), self._extents.get(stretch)
            self._extents[stretch] = extent if before is None else before.then(extent)
            start = end
        if self._widest is not None:
            spreads = torch.cat((self._widest.unsqueeze(0), spreads))
        widest = spreads.cummax(0).values
        reversal = (widest - spreads).amax(0)
        self._reversal = reversal if self._reversal is None else self._reversal.maximum(reversal)
        self._widest, self._noted = widest[-1], []


def spreads_of(d: Tensor) -> Tensor:
    """Return largest − d and d − smallest for d of shape (m, ..., n), sorted: (m, 2, ..., n)."""
    sizes = without_zeros(d).sort(dim=-1, descending=True).values
    return torch.stack((sizes[..., :1] - sizes, sizes - sizes[..., -1:]), dim=1)


def without_zeros(d: Tensor) -> Tensor:
    """Replace −inf by the smallest other value: any will do that is not far from the others."""
    zeros = d == -torch.inf
    smallest = d.masked_fill(zeros, torch.inf).amin(-1, keepdim=True)
    return torch.where(zeros, smallest.masked_fill(smallest == torch.inf, 0.0), d)
