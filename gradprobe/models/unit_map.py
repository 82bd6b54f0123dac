"""Linear maps that act unit by unit: the derivatives of φ at one step."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from torch import Tensor


class UnitMap(NamedTuple):
    """A matrix of I by J diagonal blocks: output i of unit n is Σ_j block[i, j]_n · argument j.

    Attributes
    ----------
    blocks
        The diagonals, shape (B, I, J, N, 1).
    outputs, arguments
        The i and the j outside which every block is zero.
    scale
        The one block of a map with I = J = 1, shape (B, N, 1), by which columns are multiplied
        without any view of them by component; None where it is not known, or I or J is larger.

    Examples
    --------
    >>> import torch
    >>> [at_step] = unit_maps(torch.tensor([[[[[3.0, 4.0]], [[0.0, 0.0]]]]]))
    >>> at_step.outputs, at_step.arguments
    (range(0, 1), range(0, 1))
    >>> (at_step @ torch.ones(1, 2, 1)).squeeze(-1).tolist()
    [[3.0, 4.0, 0.0, 0.0]]
    """

    blocks: Tensor
    outputs: range
    arguments: range
    scale: Tensor | None = None

    @property
    def T(self) -> UnitMap:  # noqa: N802 - as torch and numpy call it
        """The transposed map."""
        if self.scale is not None:
            return self
        return UnitMap(self.blocks.transpose(1, 2), self.arguments, self.outputs)

    def __matmul__(self, columns: Tensor) -> Tensor:
        """Map (..., B, J·N, k) to (..., B, I·N, k)."""
        if self.scale is not None:
            return columns * self.scale
        _, outputs, _, units, _ = self.blocks.shape
        if len(self.outputs) < outputs:
            shape = (*columns.shape[:-2], outputs * units, columns.shape[-1])
            return self.add_to(columns.new_zeros(shape), columns)
        parts, (first, *others) = self._by_component(columns), self.arguments
        images = parts.narrow(-3, first, 1) * self.blocks.select(2, first)
        for j in others:
            images.addcmul_(parts.narrow(-3, j, 1), self.blocks.select(2, j))
        return images.flatten(-3, -2)

    def take(self, columns: Tensor) -> Tensor:
        """Map `columns`, which are not needed any more: their memory may hold the result."""
        return self @ columns if self.scale is None else columns.mul_(self.scale)

    def add_to(self, result: Tensor, columns: Tensor) -> Tensor:
        """Add the image of `columns` to `result` in place, and return it."""
        if self.arguments and self.scale is not None:
            return result.addcmul_(columns, self.scale)
        if self.arguments:
            first, count = self.outputs.start, len(self.outputs)
            images = self._by_component(result).narrow(-3, first, count)
            parts, blocks = self._by_component(columns), self.blocks.narrow(1, first, count)
            for j in self.arguments:
                images.addcmul_(parts.narrow(-3, j, 1), blocks.select(2, j))
        return result

    def minus_identity(self) -> UnitMap:
        """Return the map less the identity; I and J are equal."""
        components = self.blocks.shape[1]
        identity = torch.eye(components).to(self.blocks)[:, :, None, None]
        return UnitMap(self.blocks - identity, range(components), range(components))

    def _by_component(self, rows: Tensor) -> Tensor:
        """Return a view (..., components, N, k) of rows (..., components·N, k)."""
        view: Tensor = rows.unflatten(-2, (-1, self.blocks.shape[3]))
        return view


def unit_maps(derivatives: Tensor) -> list[UnitMap]:
    """Return the maps of several steps, from derivatives of shape (steps, B, I, J, N).

    Examples
    --------
    >>> import torch
    >>> len(unit_maps(torch.ones(5, 2, 1, 1, 3)))
    5
    """
    nonzero = (derivatives != 0).any(-1).flatten(0, 1).any(0)
    outputs, arguments = _hull(nonzero.any(1)), _hull(nonzero.any(0))
    steps = len(derivatives)
    if not outputs:
        derivatives = derivatives[:1]  # one map of nothing but zeros does for all steps
    over_time = derivatives.unsqueeze(-1)
    single = derivatives.shape[2:4] == (1, 1)
    scales = over_time[:, :, 0, 0].unbind(0) if single else repeat(None, len(derivatives))
    blocks = zip(over_time.unbind(0), scales, strict=True)
    maps = [UnitMap(at_step, outputs, arguments, scale) for at_step, scale in blocks]
    return maps if outputs else maps * steps


def _hull(wanted: Tensor) -> range:
    """Return the smallest range that holds every index where `wanted` is true."""
    indices = wanted.nonzero().flatten().tolist()
    return range(indices[0], indices[-1] + 1) if indices else range(0)
