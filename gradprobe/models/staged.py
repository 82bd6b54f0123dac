"""Cells whose step is a short sequence of products and pointwise maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from gradprobe.errors import UnsupportedModelError
from gradprobe.models.cell import Cell, unflatten_units

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from torch import Tensor


class StagedCell(Cell):
    """A step that goes through several cells, its stages, all driven by the same x_t.

    Each stage takes the units as the one before leaves them.  It may append components, which a
    later stage takes up, or return fewer; the last returns those of the state.  A stage whose R
    multiplies another component than the first names it by `first_recurrent_component`.  The step
    Jacobian is the product of the stages'.

    Parameters
    ----------
    stages
        The cells, in the order in which a step goes through them.

    Examples
    --------
    >>> from gradprobe import models
    >>> cell = models.build("lem", input_size=1, hidden_size=4).cells[0]
    >>> [type(stage).__name__ for stage in cell.stages()]
    ['MemoryStage', 'OutputStage']
    """

    def __init__(self, stages: Sequence[Cell]) -> None:
        super().__init__(stages[0].input_size, stages[0].hidden_size)
        self.sequence = nn.ModuleList(stages)

    def stages(self) -> tuple[Cell, ...]:
        """Return the cells of which one step consists."""
        return tuple(stage for stage in self.sequence if isinstance(stage, Cell))

    @property
    def degrees_of_freedom(self) -> int:
        """The sum over the stages."""
        return sum(stage.degrees_of_freedom for stage in self.stages())

    def constraint_error(self) -> float:
        """Return the largest of the stages'."""
        return max(stage.constraint_error() for stage in self.stages())

    def penalty(self) -> Tensor:
        """Return the sum over the stages."""
        first, *others = (stage.penalty() for stage in self.stages())
        return sum(others, first)

    def recurrent_matrix(self) -> NoReturn:
        """Refuse: each of the `stages` has its own."""
        raise self._has_stages("recurrent_matrix")

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> NoReturn:
        """Refuse: each of the `stages` has its own."""
        raise self._has_stages("pointwise")

    def _has_stages(self, method: str) -> UnsupportedModelError:
        return UnsupportedModelError(
            f"a step of {type(self).__name__} has {len(self.sequence)} stages, each with its own "
            f"{method}(); take them from stages()"
        )


def unroll_stages(cell: Cell, inputs: Tensor, initial_state: Tensor) -> Tensor:
    """Return the states s_1 … s_T of a cell of several stages, by plain operations.

    Matrices and drives are computed once for all steps.  Unlike `gradprobe.models.unrolled.unroll`
    it leaves the way back to autograd, and can be differentiated as often as wanted.

    Parameters
    ----------
    cell
        The cell.
    inputs
        x_1 … x_T, shape (T, B, D).
    initial_state
        s_0, shape (B, S).

    Returns
    -------
    Tensor
        Shape (T, B, S).

    Examples
    --------
    >>> from gradprobe import models
    >>> cell = models.build("lem", input_size=2, hidden_size=3).cells[0]
    >>> unroll_stages(cell, torch.zeros(7, 4, 2), torch.zeros(4, 6)).shape
    torch.Size([7, 4, 6])
    """
    stages = [
        (stage, stage.recurrent_matrix(), stage.drive(inputs).unbind(0), stage.unit_parameters())
        for stage in cell.stages()
    ]
    units, states = unflatten_units(initial_state, cell.components), []
    for step in range(len(inputs)):
        for stage, matrix, drives, parameters in stages:
            product = functional.linear(stage.recurrent_argument(units), matrix)
            recurrent = unflatten_units(product, stage.recurrent_terms)
            units = stage.pointwise(units, recurrent, drives[step], parameters)
        states.append(units)
    return torch.stack(states).flatten(-2)
