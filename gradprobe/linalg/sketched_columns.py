"""Columns of a product, and a sketch of their rounding errors, in one tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from gradprobe.linalg.operators import StepOperator


class SketchedColumns(NamedTuple):
    """P and E side by side, so that one matrix product carries both.

    Attributes
    ----------
    whole
        (P, E), shape (*batch_shape, size, columns + sketches).
    matrix, sketch
        Views of P and E.

    Examples
    --------
    >>> joint = SketchedColumns.of(torch.ones(2, 2, 5), 3)
    >>> joint.matrix.shape, joint.sketch.shape
    (torch.Size([2, 2, 3]), torch.Size([2, 2, 2]))
    """

    whole: Tensor
    matrix: Tensor
    sketch: Tensor

    @classmethod
    def of(cls, whole: Tensor, columns: int) -> SketchedColumns:
        """Take the parts out of (P, E), P being the first `columns`."""
        return cls(whole, whole[..., :columns], whole[..., columns:])

    def like(self) -> SketchedColumns:
        """Return uninitialised ones of the same shape."""
        return SketchedColumns.of(torch.empty_like(self.whole), self.matrix.shape[-1])

    def multiplied(
        self, step: Tensor | StepOperator, room: SketchedColumns
    ) -> tuple[SketchedColumns, SketchedColumns]:
        """Return J (P, E), and room for the next product; what these columns hold may be lost.

        Two blocks of memory in turn, where the step can write into one, cost less than a new block
        at every step.

        Parameters
        ----------
        step
            J: a tensor, or an operator, which may have a method ``multiply(columns, room)``: it
            returns J @ columns, in the memory of `room` or not, and may overwrite `columns`.
        room
            Columns of the same shape, to be overwritten.
        """
        if isinstance(step, Tensor):
            product = torch.matmul(step, self.whole, out=room.whole)
        elif hasattr(step, "multiply"):
            product = step.multiply(self.whole, room.whole)
        else:
            product = step @ self.whole
        if product is room.whole:
            return room, self
        return SketchedColumns.of(product, self.matrix.shape[-1]), room
