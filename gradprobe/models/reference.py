"""The step Jacobian with φ's derivatives at a reference instead of along the trajectory."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from gradprobe import checks
from gradprobe.models.step_jacobian import StepJacobian
from gradprobe.models.unit_map import unit_maps

if TYPE_CHECKING:
    from gradprobe.models.cell import Cell, LocalDerivatives
    from gradprobe.models.recurrent_model import RecurrentModel
    from gradprobe.models.step_jacobian import StageJacobian
    from gradprobe.models.unit_map import UnitMap

REFERENCES = ("rest", "zero")


class ReferenceStage(NamedTuple):
    """D_s, D_a and D_u of one stage at the reference."""

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
        ``"rest"``: zero input, and the state where the model starts, which is zero unless it has
        learnt another, so that the bias alone drives the cell: tanh has the slope 1 − tanh(b)², a
        gate stands at σ(b).  ``"zero"``: state and drive are zero: tanh and
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
        self._layers = [
            [_checked(local, index, name) for local in derivatives_at(cell, name, batch)]
            for index, cell in enumerate(model.cells)
        ]

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
            layer._replace(
                stages=[
                    _replacing(stage, at_reference, carried, activated)
                    for stage, at_reference in zip(layer.stages, at_references, strict=True)
                ]
            )
            for layer, at_references in zip(jacobian.layers, self._layers, strict=True)
        ]
        return StepJacobian(layers)


def _checked(local: LocalDerivatives, layer: int, name: str) -> ReferenceStage:
    for part in local[:3]:
        checks.finite(f"the derivatives of layer {layer} at reference {name!r}", part)
    return ReferenceStage(*(unit_maps(part[None])[0] for part in local[:3]))


def _replacing(
    stage: StageJacobian, at_reference: ReferenceStage, carried: bool, activated: bool
) -> StageJacobian:
    if carried:
        stage = stage._replace(by_state=at_reference.by_state)
    if activated:
        stage = stage._replace(
            by_recurrent=at_reference.by_recurrent, by_drive=at_reference.by_drive
        )
    return stage


@torch.no_grad()
def derivatives_at(cell: Cell, name: str, batch: int = 1) -> list[LocalDerivatives]:
    """Return φ's derivatives at a reference for each stage, the first axis being the B sequences.

    Examples
    --------
    >>> from gradprobe import models
    >>> cell = models.build("lstm", input_size=1, hidden_size=3, forget_bias=0.0).cells[0]
    >>> [local] = derivatives_at(cell, "rest")
    >>> local.by_state[0, :, 1, 0].tolist()  # of h and c by c: o f and f
    [0.25, 0.5]
    """
    units = cell.initial_units().expand(batch, -1, -1)
    units = torch.zeros_like(units) if name == "zero" else units
    per_stage = []
    for stage in cell.stages():
        state, recurrent, drive, parameters = stage.arguments(
            units, units.new_zeros(batch, cell.input_size)
        )
        # The smallest positive number: the derivative from the right at a kink, elsewhere that at
        # zero.
        recurrent = recurrent + torch.finfo(recurrent.dtype).tiny
        drive = torch.zeros_like(drive) if name == "zero" else drive
        per_stage.append(stage.local_derivatives(state, recurrent, drive, parameters))
        units = stage.pointwise(state, recurrent, drive, parameters)
    return per_stage
