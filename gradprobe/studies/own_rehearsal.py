"""What a user's own cell is held to before a study computes anything with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from gradprobe import models, testing
from gradprobe.errors import ArgumentError, CellContractError, GradprobeError
from gradprobe.models.cell_files import module_of
from gradprobe.studies.measuring import dtype_of_parameters, generator_of, model_of, task_of
from gradprobe.studies.outcome import Rehearsal
from gradprobe.testing.checking import hold

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models import OpaqueModel, RecurrentModel

STEPS, SEQUENCES = 5, 3
"""So many steps of so many sequences are tried."""
LARGEST_CHECKED = 512
"""Entries of a state beyond which the contract is not checked: that takes N² steps back in time."""
LEFT_OUT = ("step_jacobian_is_a_finite_difference",)
"""A surrogate gradient, of a spike for example, is not the derivative, and may be studied."""


def rehearse_own_cell(specification: dict[str, Any], model: RecurrentModel | OpaqueModel) -> None:
    """See that a user's own cell is drawn from its seed alone, and takes the task's inputs.

    Parameters
    ----------
    specification
        Of a study's cell.
    model
        Its model at initialisation, in the dtype of the training if there is one.

    Raises
    ------
    ArgumentError
        It cannot be studied; the message begins with the file's name.
    """
    try:
        _check_seeded(specification, model)
        inputs = _inputs(specification)
        if specification["training"] is not None:
            models.trace(model, inputs, dtype=None)
        if specification["probes"]:
            models.trace(model, inputs, dtype=getattr(torch, specification["dtype"]))
    except GradprobeError as error:
        raise ArgumentError(f"{_file_of(specification)}: {error}") from error


def check_contract(specification: dict[str, Any], *, with_probes: bool) -> Rehearsal:
    """Hold a user's own cell to `gradprobe.testing.check_cell`, in a few steps.

    Parameters
    ----------
    specification
        Of a study's cell.
    with_probes
        Of no importance here: every rehearsal is told.
    """
    model = model_of(specification, dtype_of_parameters(specification))
    if model.state_size > LARGEST_CHECKED:
        return Rehearsal({}, 0.0)
    checks = testing.checks_of(model, _inputs(specification))
    try:
        hold([check for check in checks if check.name not in LEFT_OUT])
    except CellContractError as error:
        return Rehearsal({"model": f"{_file_of(specification)}: {error}"}, 0.0)
    return Rehearsal({}, 0.0)


def _file_of(specification: dict[str, Any]) -> str:
    return f"{module_of(specification['model']['name'])}.py"


def _inputs(specification: dict[str, Any]) -> Tensor:
    """Return normal inputs as wide as the task's, whose own may begin with zeros."""
    size, generator = task_of(specification).input_size, generator_of(specification, "rehearsal")
    return torch.randn(STEPS, SEQUENCES, size, generator=generator)


def _check_seeded(specification: dict[str, Any], model: RecurrentModel | OpaqueModel) -> None:
    again = model_of(specification, model.dtype).state_dict()
    for name, value in model.state_dict().items():
        if not torch.equal(value, again[name]):
            raise ArgumentError(
                f"{model.name} must draw {name.removeprefix('_call.')} from the seed, but two "
                "constructions at one seed differ; draw from torch, or from the global generators "
                "of random or numpy.random, which are set to it"
            )
