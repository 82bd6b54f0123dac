"""The contract suite: right cells pass, and each fault is caught by the check of its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import broken_cells
import model_cases
import pytest
import torch
from broken_cells import FEATURES, UNITS
from torch import Tensor, nn

import gradprobe as gp
from gradprobe import models
from gradprobe.errors import ArgumentError, CellContractError, UnsupportedModelError
from gradprobe.models.registry import MODELS


def checks_failed_by(cell: Any, inputs: Tensor | None = None, **options: Any) -> set[str]:
    return {check.name for check in gp.testing.checks_of(cell, inputs, **options) if check.faults()}


def draw_inputs() -> Tensor:
    return torch.randn(5, 3, FEATURES, generator=torch.Generator().manual_seed(1))


# ---- right cells pass


@pytest.mark.parametrize("name", MODELS)
def test_the_models_of_the_registry_pass(name: str) -> None:
    model = models.build(name, input_size=FEATURES, hidden_size=UNITS, num_layers=2)
    gp.testing.check_cell(model)
    gp.testing.check_cell(model.cells[0])


@pytest.mark.parametrize("case", model_cases.CASES)
def test_the_models_pass_with_any_of_their_options(case: str) -> None:
    gp.testing.check_cell(model_cases.build(case))


@pytest.mark.parametrize(
    "module",
    [
        nn.LSTM(FEATURES, UNITS, num_layers=2, batch_first=True),
        nn.LSTM(FEATURES, UNITS, proj_size=2),
        nn.GRUCell(FEATURES, UNITS, bias=False),
        nn.RNNCell(FEATURES, UNITS, dtype=torch.bfloat16),
    ],
    ids=["LSTM", "LSTM-projected", "GRUCell", "RNNCell-bfloat16"],
)
def test_modules_of_torch_pass(module: nn.Module) -> None:
    gp.testing.check_cell(module)


class Complex(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.W = nn.Parameter(torch.randn(3, 3, dtype=torch.complex64, generator=generator) / 3)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return z @ self.W + x.sum(-1, keepdim=True)


def test_a_complex_cell_passes_with_a_state_of_its_own() -> None:
    gp.testing.check_cell(Complex(), draw_inputs(), torch.zeros(3, 3, dtype=torch.complex64))


def test_an_initial_state_may_be_given_as_torch_has_it() -> None:
    state = torch.full((2, 3, UNITS), 0.1)
    gp.testing.check_cell(nn.LSTM(FEATURES, UNITS, num_layers=2), draw_inputs(), (state, state))
    gp.testing.check_cell(nn.GRU(FEATURES, UNITS, num_layers=2), draw_inputs(), state)


def test_a_function_passes_with_its_options() -> None:
    def turn(x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h, c = state
        return 0.9 * c + x[..., :1], torch.tanh(h)

    gp.testing.check_cell(turn, draw_inputs(), state_size=(UNITS, UNITS), hidden=1)
    gp.testing.check_cell(turn, draw_inputs(), (torch.zeros(3, 2), torch.ones(3, 2)))
    gp.testing.check_cell(turn, draw_inputs().transpose(0, 1), state_size=(2, 2), batch_first=True)


# ---- each fault is caught by name

OUR_FAULTS: dict[str, tuple[type[broken_cells.Right], set[str]]] = {
    "mixes-units": (broken_cells.MixesUnits, {"units_are_pointwise", "step_jacobian_is_autograds"}),
    "sums-over-leading-axes": (
        broken_cells.SumsOverTheLeadingAxes,
        {"pointwise_takes_leading_axes", "sequences_are_independent", "chunks_are_single_steps"},
    ),
    "cuts-the-gradient": (broken_cells.CutsTheGradient, {"step_jacobian_is_a_finite_difference"}),
    "wrong-derivatives": (
        broken_cells.WrongDerivatives,
        {
            "step_jacobian_is_autograds",
            "step_jacobian_is_a_finite_difference",
            "product_is_that_of_the_matrix",
            "minus_identity_takes_off_the_identity",
            "unrolled_gradient_is_autograds",
            "own_dtype_agrees_with_float64",
            "singular_values_are_those_of_autograd",
        },
    ),
    "wrong-derivative-by-the-drive": (
        broken_cells.WrongDerivativeByTheDrive,
        {"unrolled_gradient_is_autograds"},
    ),
    "step-of-its-own": (broken_cells.StepOfItsOwn, {"unrolled_pass_is_the_loop_of_steps"}),
    "breaks-its-constraint": (
        broken_cells.BreaksItsConstraint,
        {"parametrisation_keeps_its_constraint"},
    ),
    "no-gates": (broken_cells.NoGates, {"gates_are_between_closed_and_open"}),
    "too-many-rows": (
        broken_cells.TooManyRows,
        {"parts_have_their_shapes", "step_keeps_the_state"},
    ),
    "keeps-a-matrix": (broken_cells.KeepsAMatrix, {"state_dict_restores_the_cell"}),
}


def test_a_right_cell_of_our_contract_passes() -> None:
    gp.testing.check_cell(broken_cells.Right())


@pytest.mark.parametrize("case", OUR_FAULTS)
def test_a_fault_in_a_cell_of_our_contract_is_caught_by_name(case: str) -> None:
    kind, expected = OUR_FAULTS[case]
    assert checks_failed_by(kind()) >= expected


FAULTS: dict[str, tuple[Callable[..., Any], set[str]]] = {
    "wrong-derivative": (broken_cells.WrongDerivative(), {"step_jacobian_is_a_finite_difference"}),
    "draws-numbers": (broken_cells.DrawsNumbers(), {"step_is_deterministic"}),
    "normalises-the-batch": (broken_cells.NormalisesTheBatch(), {"sequences_are_independent"}),
    "cannot-be-copied": (broken_cells.CannotBeCopied(), {"module_is_left_untouched"}),
    "writes-to-its-weights": (broken_cells.WritesToItsWeights(), {"module_is_left_untouched"}),
    "unstable": (broken_cells.UnstableInItsOwnDtype(), {"own_dtype_agrees_with_float64"}),
    "keeps-an-object": (broken_cells.KeepsAnObject(), {"state_dict_restores_the_cell"}),
    "wrong-shape": (broken_cells.WrongShape(), {"step_keeps_the_state"}),
    "detached": (broken_cells.detached, {"step_is_differentiable"}),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_in_a_module_is_caught_by_name(case: str) -> None:
    cell, expected = FAULTS[case]
    failed = checks_failed_by(cell, draw_inputs(), state_size=UNITS)
    assert failed >= expected


def test_a_right_module_passes() -> None:
    gp.testing.check_cell(broken_cells.Module())
    assert (
        checks_failed_by(broken_cells.Module().double(), draw_inputs(), state_size=UNITS) == set()
    )


# ---- how it is called


def test_all_faults_are_told_at_once_each_with_its_name_and_what_to_do() -> None:
    class Twice(broken_cells.WrongDerivative):
        def get_extra_state(self) -> object:
            return torch.Generator

        def set_extra_state(self, state: object) -> None:
            pass

    with pytest.raises(CellContractError) as caught:
        gp.testing.check_cell(Twice())
    first, *lines = str(caught.value).splitlines()
    assert first.endswith("Twice fails 2 of 17 checks of its contract:")
    assert lines[0].startswith("- step_jacobian_is_a_finite_difference: the step Jacobian must ")
    assert lines[1].startswith("- state_dict_restores_the_cell: the state_dict must load with ")
    assert "keep only tensors and plain numbers in it" in lines[1]


def test_one_reason_for_which_many_checks_cannot_run_is_told_once() -> None:
    def fails(x: Tensor, h: Tensor) -> Tensor:
        raise RuntimeError("out of order")

    with pytest.raises(CellContractError) as caught:
        gp.testing.check_cell(fails, draw_inputs(), state_size=UNITS)
    assert str(caught.value).count("raised RuntimeError: out of order") == 1


def test_the_checks_can_be_called_one_by_one() -> None:
    checks = gp.testing.checks_of(broken_cells.WrongDerivative())
    names = [str(check) for check in checks]
    assert len(set(names)) == len(names) == 17
    for check in checks:
        if check.name == "step_jacobian_is_a_finite_difference":
            with pytest.raises(CellContractError, match="fails 1 of 1 checks of its contract:"):
                check()
        else:
            check()


def test_the_caller_s_generator_is_the_source_of_what_is_drawn() -> None:
    cell, random_state = broken_cells.Right(), torch.get_rng_state()
    drawn = [
        gp.testing.checks_of(cell, generator=torch.Generator().manual_seed(seed))[0].subject.inputs
        for seed in (0, 0, 1)
    ]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    gp.testing.check_cell(cell)
    assert torch.equal(torch.get_rng_state(), random_state)


def test_a_call_that_does_not_fit_is_an_error_of_its_own() -> None:
    with pytest.raises(ArgumentError, match=r"inputs must be a tensor \(T, B, …\) for 'detached'"):
        gp.testing.check_cell(broken_cells.detached, state_size=UNITS)
    with pytest.raises(ArgumentError, match=r"inputs must be a tensor .*, got list"):
        gp.testing.check_cell(broken_cells.Module(), [1.0])  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"state must be of shape \(B, S\) = \(3, 3\), got"):
        gp.testing.check_cell(broken_cells.Right(), None, torch.zeros(3, UNITS + 1))
    with pytest.raises(ArgumentError, match=r"parameters must hold numbers, but .* is on meta"):
        gp.testing.check_cell(broken_cells.Right().to("meta"))
    with pytest.raises(UnsupportedModelError, match="outputs at step t depend on inputs after t"):
        gp.testing.check_cell(nn.GRU(2, 3, bidirectional=True))
