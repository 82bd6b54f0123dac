"""Whether a cell states the rule of its own pointwise map."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradprobe.models.cell import Cell
    from gradprobe.models.explicit.rule import PointwiseRule


def rule_of(cell: Cell) -> PointwiseRule | None:
    """Return the rule of a cell; None if it states none that belongs to its φ.

    A subclass that overrides `pointwise` alone has another φ than the rule that it inherits.

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> from gradprobe.models.antisymmetric import Antisymmetric
    >>> class Linear(Antisymmetric):
    ...     def pointwise(self, state, recurrent, drive, unit_parameters):
    ...         return state + self.step_size * (recurrent + drive)
    >>> initialiser = models.Initialiser(torch.Generator().manual_seed(0))
    >>> rule_of(Antisymmetric(2, 3, initialiser=initialiser)) is None
    False
    >>> rule_of(Linear(2, 3, initialiser=initialiser)) is None
    True
    """
    order = [vars(cell), *map(vars, type(cell).__mro__)]
    rule, pointwise = (
        next(index for index, names in enumerate(order) if name in names)
        for name in ("pointwise_rule", "pointwise")
    )
    return cell.pointwise_rule() if rule <= pointwise else None
