"""Linear maps that act unit by unit: the derivatives of φ at one step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class UnitMap:
    """A matrix made of diagonal blocks: output i of unit n is Σ_j blocks[i, j, n] · argument j.

    Parameters
    ----------
    blocks
        Shape (B, I, J, N).
    pairs
        The (i, j) whose block is not zero throughout; the others are skipped.

    Examples
    --------
    >>> import torch
    >>> [at_step] = unit_maps(torch.tensor([[[[[3.0, 4.0]], [[0.0, 0.0]]]]]))
    >>> at_step.pairs
    ((0, 0),)
    >>> (at_step @ torch.ones(1, 1, 2, 1)).squeeze(-1).tolist()
    [[[3.0, 4.0], [0.0, 0.0]]]
    """

    blocks: Tensor
    pairs: tuple[tuple[int, int], ...]

    @property
    def T(self) -> UnitMap:  # noqa: N802 - as torch and numpy call it
        """The transposed map."""
        return UnitMap(self.blocks.transpose(1, 2), tuple((j, i) for i, j in self.pairs))

    def __matmul__(self, arguments: Tensor) -> Tensor:
        """Map (..., B, J, N, k) to (..., B, I, N, k)."""
        *leading, _, units, columns = arguments.shape
        result = arguments.new_zeros(*leading, self.blocks.shape[1], units, columns)
        return self.add_to(result, arguments)

    def add_to(self, result: Tensor, arguments: Tensor) -> Tensor:
        """Add the image of `arguments` to `result` in place, and return it."""
        for i, j in self.pairs:
            result[..., i, :, :].addcmul_(self.blocks[:, i, j, :, None], arguments[..., j, :, :])
        return result

    def minus_identity(self) -> UnitMap:
        """Return the map less the identity; I and J are equal."""
        components = self.blocks.shape[1]
        identity = torch.eye(components).to(self.blocks)[:, :, None]
        everywhere = tuple((i, j) for i in range(components) for j in range(components))
        return replace(self, blocks=self.blocks - identity, pairs=everywhere)


def unit_maps(derivatives: Tensor) -> list[UnitMap]:
    """Return the maps of several steps, from derivatives of shape (steps, B, I, J, N).

    Examples
    --------
    >>> import torch
    >>> len(unit_maps(torch.ones(5, 2, 1, 1, 3)))
    5
    """
    nonzero = (derivatives != 0).flatten(4).any(-1).flatten(0, 1).any(0)
    pairs = tuple((int(i), int(j)) for i, j in nonzero.nonzero())
    return [UnitMap(blocks, pairs) for blocks in derivatives.unbind(0)]
