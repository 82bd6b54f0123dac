"""Cells whose step is a short sequence of products and pointwise maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from gradprobe.errors import UnsupportedModelError
from gradprobe.models.cell import Cell

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
