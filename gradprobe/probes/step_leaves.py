"""A model's step as a function of its parameters."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from gradprobe.models.recurrent_model import RecurrentModel
from gradprobe.models.staged import StagedCell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from gradprobe.models.cell import Cell
    from gradprobe.models.dynamics import Dynamics

CELL_TENSORS = ("recurrent_matrix", "input_matrix", "drive_bias", "unit_parameters")
"""The methods of a cell that make its tensors out of its stored parameters."""


@dataclass(frozen=True)
class StepLeaves:
    """A private copy of a model whose step can be differentiated by its parameters.

    A cell computes tensors such as W − Wᵀ − γI or exp(A) from what it stores.  The step is
    differentiated by these tensors, many times; the derivative of these by the stored parameters is
    applied once, at the end.

    Parameters
    ----------
    model
        The copy.
    stored
        Its parameters by name.
    computed
        The tensors that are computed from them, with their graphs.
    substitutes
        For each of these the leaf that stands for it in the copy's step.

    Examples
    --------
    >>> from gradprobe import models
    >>> model = models.build("antisymmetric", input_size=1, hidden_size=4)
    >>> leaves = StepLeaves.of(model)
    >>> [tuple(leaf.shape) for leaf in leaves.all]
    [(4, 1), (4,), (6,), (4, 4)]
    """

    model: Dynamics
    stored: Mapping[str, nn.Parameter]
    computed: Sequence[Tensor]
    substitutes: Sequence[Tensor]

    @classmethod
    def of(cls, model: Dynamics) -> StepLeaves:
        """Copy `model` and find what its step is differentiated by."""
        twin = model.working_copy(model.dtype)
        stored = {
            name: parameter
            for name, parameter in twin.named_parameters()
            if parameter.is_floating_point() or parameter.is_complex()
        }
        for parameter in stored.values():
            parameter.requires_grad_()
        computed: list[Tensor] = []
        substitutes: list[Tensor] = []
        if isinstance(twin, RecurrentModel):
            with torch.enable_grad():
                cells = [_substituted(cell, computed, substitutes) for cell in twin.cells]
            twin.layers = nn.ModuleList(cells)
        return cls(twin, stored, computed, substitutes)

    @property
    def all(self) -> list[Tensor]:
        """The stored parameters, then the substitutes."""
        return [*self.stored.values(), *self.substitutes]


def _substituted(cell: Cell, computed: list[Tensor], substitutes: list[Tensor]) -> Cell:
    """Return the cell with leaves in place of the tensors that it, or its stages, compute."""
    twin = copy.copy(cell)
    if isinstance(cell, StagedCell):
        stages = tuple(_substituted(stage, computed, substitutes) for stage in cell.stages())
        setattr(twin, "stages", lambda: stages)  # noqa: B010 - mypy refuses to assign to a method
        return twin
    for name in CELL_TENSORS:
        if name == "input_matrix" and not cell.has_linear_drive:
            continue  # such a drive is differentiated by what is stored
        tensor = getattr(cell, name)()
        if tensor is None or tensor.is_leaf:
            continue
        computed.append(tensor)
        substitutes.append(tensor.detach().requires_grad_())
        setattr(twin, name, _returning(substitutes[-1]))
    return twin


def _returning(tensor: Tensor) -> Callable[[], Tensor]:
    """Return a function, in place of a method, that returns a tensor."""
    return lambda: tensor
