"""What gradprobe's own cell contract asks: one matrix product and one pointwise map.

Each check yields a sentence for each fault that it finds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gradprobe.models import RecurrentModel
from gradprobe.testing.subject import difference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from gradprobe.models import Cell
    from gradprobe.testing.subject import Subject

ROUNDINGS_OF_A_CONSTRAINT = 1e3
"""How far R may be from the set that its parametrisation promises, in units of rounding."""


@torch.no_grad()
def parts_have_their_shapes(subject: Subject) -> Iterator[str]:
    """Hold that R, U, b, θ and s_0 have the shapes that `components` and the terms tell."""
    for where, cell in _cells(subject):
        for what, (got, shape) in _parts(cell).items():
            if tuple(got.shape) != shape:
                yield (
                    f"{where}: {what} {shape}, got {tuple(got.shape)}; components, recurrent_terms "
                    "and drive_terms say how many values a unit carries and receives"
                )


def _parts(cell: Cell) -> dict[str, tuple[Tensor, tuple[int, ...]]]:
    """Return the tensors that a cell states, each with the shape that it must have."""
    n, parameters = cell.hidden_size, cell.unit_parameters()
    parts: dict[str, tuple[Tensor, tuple[int, ...]]] = {
        "recurrent_matrix() must have shape (G·N, C_R·N) =": (
            cell.recurrent_matrix(),
            (cell.recurrent_terms * n, cell.recurrent_components * n),
        ),
        "unit_parameters() must have shape (P, N) =": (parameters, (len(parameters), n)),
        "initial_units() must have shape (C, N) =": (cell.initial_units(), (cell.components, n)),
        "penalty() must have shape": (cell.penalty(), ()),
    }
    if not cell.has_linear_drive:
        drive = cell.drive(torch.zeros(2, 3, cell.input_size, dtype=cell.dtype, device=cell.device))
        return parts | {"drive() must have shape (…, K, N) =": (drive, (2, 3, cell.drive_terms, n))}
    rows, bias = cell.drive_terms * n, cell.drive_bias()
    matrix_shape = (rows, cell.input_size)
    parts["input_matrix() must have shape (K·N, D) ="] = cell.input_matrix(), matrix_shape
    if bias is not None:
        parts["drive_bias() must have shape (K·N,) ="] = bias, (rows,)
    return parts


@torch.no_grad()
def units_are_pointwise(subject: Subject) -> Iterator[str]:
    """Hold that unit n of φ depends on unit n of its arguments only."""
    for where, cell in _cells(subject):
        arguments = _arguments(cell, subject)
        expected = cell.pointwise(*arguments)
        for unit in range(cell.hidden_size):
            moved = cell.pointwise(*(_changed(argument, unit) for argument in arguments))
            moved[..., unit] = expected[..., unit]
            error = difference(moved, expected)
            if error > subject.rounding:
                yield (
                    f"{where}: unit n of pointwise() must depend on unit n of its arguments only, "
                    f"got a relative difference of {error:.1e} in the others when unit {unit} was "
                    "changed; what mixes units (a product, a norm, a softmax) belongs to R, or the "
                    "cell is one for adapt()"
                )
                return


@torch.no_grad()
def pointwise_takes_leading_axes(subject: Subject) -> Iterator[str]:
    """Hold that φ of stacked arguments is the stack of φ."""
    for where, cell in _cells(subject):
        state, recurrent, drive, parameters = _arguments(cell, subject)
        together = cell.pointwise(
            torch.stack((state, 0.5 * state)),
            torch.stack((recurrent, 0.5 * recurrent)),
            torch.stack((drive, 0.5 * drive)),
            parameters,
        )
        first = cell.pointwise(state, recurrent, drive, parameters)
        second = cell.pointwise(0.5 * state, 0.5 * recurrent, 0.5 * drive, parameters)
        error = difference(together, torch.stack((first, second)))
        if error > subject.rounding:
            yield (
                f"{where}: pointwise() must treat leading axes alike, got a relative difference of "
                f"{error:.1e}; take components by [..., c, :] and stack them with dim=-2"
            )


@torch.no_grad()
def gates_are_between_closed_and_open(subject: Subject) -> Iterator[str]:
    """Hold that `gates` gives values between 0 and 1, one for each unit."""
    for where, cell in _cells(subject):
        arguments = _arguments(cell, subject)
        expected = arguments[0].select(-2, 0).shape
        for name, gate in cell.gates(*arguments).items():
            if gate.shape != expected:
                yield (
                    f"{where}: gate {name!r} must have shape (…, N) = {tuple(expected)}, got "
                    f"{tuple(gate.shape)}; take the gates apart with unbind(-2)"
                )
            elif not bool(((gate >= 0) & (gate <= 1)).all()):
                yield (
                    f"{where}: gate {name!r} must lie between 0, closed, and 1, open, got values "
                    f"from {float(gate.min()):.3g} to {float(gate.max()):.3g}; return the factor "
                    "itself, after its sigmoid"
                )


@torch.no_grad()
def parametrisation_keeps_its_constraint(subject: Subject) -> Iterator[str]:
    """Hold that `constraint_error` is zero to rounding."""
    # What is stored of a constrained matrix has been rounded in the dtype of the model.
    allowed = ROUNDINGS_OF_A_CONSTRAINT * torch.finfo(subject.model.dtype).eps
    for where, cell in _cells(subject):
        error = cell.constraint_error()
        if not error <= allowed:
            yield (
                f"{where}: recurrent_matrix() must satisfy its constraint, got constraint_error() "
                f"= {error:.1e}; look at the parametrisation"
            )


def _cells(subject: Subject) -> Iterator[tuple[str, Cell]]:
    assert isinstance(subject.working, RecurrentModel)  # noqa: S101 - the table of checks says so
    for layer, cell in enumerate(subject.working.cells):
        for stage in cell.stages():
            yield f"layer {layer} ({type(stage).__name__})", stage


def _changed(argument: Tensor, unit: int) -> Tensor:
    changed = argument.clone()
    changed[..., unit] = argument[..., unit] * 1.5 + 0.25
    return changed


def _arguments(cell: Cell, subject: Subject) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    terms = (cell.components, cell.recurrent_terms, cell.drive_terms)
    drawn = subject.draw(2, sum(terms), cell.hidden_size)
    state, recurrent, drive = drawn.split(terms, dim=1)
    return state, recurrent, drive, cell.unit_parameters().clone()
