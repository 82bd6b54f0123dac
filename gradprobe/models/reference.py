"""The step Jacobian with φ's derivatives at a reference instead of along the trajectory."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from gradprobe import checks
from gradprobe.models.step_jacobian import LayerJacobian, StepJacobian
from gradprobe.models.unit_map import unit_maps

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.cell import Cell, LocalDerivatives
    from gradprobe.models.recurrent_model import RecurrentModel
    from gradprobe.models.unit_map import UnitMap

REFERENCES = ("rest", "zero")


class ReferenceLayer(NamedTuple):
    """D_s, D_a and D_u of one layer at the reference."""

    by_state: UnitMap
    by_recurrent: UnitMap
    by_drive: UnitMap


class Reference:
    """φ's derivatives of every layer at one point, the same for all steps.

    Parameters
    ----------
    model
        A stack of cells.
    name
        ``"rest"``: zero state and zero input, so that the bias alone drives the cell: tanh has the
        slope 1 − tanh(b)², a gate stands at σ(b).  ``"zero"``: the drive is zero as well: tanh and
        relu have slope one, a gate is half open.  At a kink, such as relu's, the derivative is that
        from the right.
    batch
        B.

    Raises
    ------
    ArgumentError
        The name is neither.
    NonFiniteError
        φ has no finite derivative there.

    Examples
    --------
    >>> from gradprobe import models
    >>> model = models.build("vanilla", input_size=1, hidden_size=4, dtype=torch.float64)
    >>> jacobian = models.trace(model, torch.ones(5, 1, 1)).step_jacobian(5)
    >>> at_rest = Reference(model, "rest", 1).replacing(jacobian, carried=True, activated=True)
    >>> torch.equal(at_rest.dense()[0], model.cells[0].recurrent_matrix())
    True
    """

    def __init__(self, model: RecurrentModel, name: str, batch: int) -> None:
        checks.one_of("reference", name, REFERENCES)
        self._layers = []
        for index, cell in enumerate(model.cells):
            local = derivatives_at(cell, name, batch)
            parts = (local.by_state, local.by_recurrent, local.by_drive)
            for part in parts:
                checks.finite(f"the derivatives of layer {index} at reference {name!r}", part)
            self._layers.append(ReferenceLayer(*(unit_maps(part[None])[0] for part in parts)))

    def replacing(
        self, jacobian: StepJacobian, *, carried: bool = False, activated: bool = False
    ) -> StepJacobian:
        """Return a step Jacobian with some of its derivatives replaced by those of the reference.

        Parameters
        ----------
        jacobian
            J_t = D_s + D_a R, and D_u U between layers.
        carried
            Whether D_s, by which a unit carries its own state, is that of the reference.
        activated
            Whether D_a and D_u, the derivatives by what enters through R and U, are.
        """
        layers = [
            LayerJacobian(
                reference.by_state if carried else layer.by_state,
                reference.by_recurrent if activated else layer.by_recurrent,
                reference.by_drive if activated else layer.by_drive,
                layer.recurrent_matrix,
                layer.input_matrix,
            )
            for layer, reference in zip(jacobian.layers, self._layers, strict=True)
        ]
        return StepJacobian(layers)


@torch.no_grad()
def derivatives_at(cell: Cell, name: str, batch: int = 1) -> LocalDerivatives:
    """Return φ's derivatives at a reference, the first axis being the B sequences.

    Examples
    --------
    >>> from gradprobe import models
    >>> cell = models.build("lstm", input_size=1, hidden_size=3, forget_bias=0.0).cells[0]
    >>> derivatives_at(cell, "rest").by_state[0, :, 1, 0].tolist()  # of h and c by c: o f and f
    [0.25, 0.5]
    """
    like, units = cell.input_matrix(), cell.hidden_size
    state = like.new_zeros(batch, cell.components, units)
    # The smallest positive number: the derivative from the right at a kink, elsewhere that at zero.
    tiny = torch.finfo(like.dtype).tiny
    recurrent = like.new_full((batch, cell.recurrent_terms, units), tiny)
    drive: Tensor = like.new_zeros(batch, cell.drive_terms, units)
    if name == "rest":
        drive = cell.drive(like.new_zeros(batch, cell.input_size))
    return cell.local_derivatives(state, recurrent, drive, cell.unit_parameters())
