"""The contract suite: right cells pass, and each fault is caught by the check of its name."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import model_cases
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

import gradprobe as gp
from gradprobe import models
from gradprobe.errors import ArgumentError, CellContractError, UnsupportedModelError
from gradprobe.models import Cell
from gradprobe.models.registry import MODELS

FEATURES, UNITS = 2, 3


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


# ---- cells of gradprobe's own contract, each with one fault


class Right(Cell):
    """h_t = (1 − α) h_{t-1} + α tanh(W h_{t-1} + V x_t)."""

    def __init__(self) -> None:
        super().__init__(FEATURES, UNITS)
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(UNITS, UNITS, generator=generator))
        self.input_weight = nn.Parameter(torch.randn(UNITS, FEATURES, generator=generator))

    def recurrent_matrix(self) -> Tensor:
        return self.weight

    def input_matrix(self) -> Tensor:
        return self.input_weight

    def pointwise(self, state: Tensor, recurrent: Tensor, drive: Tensor, *_: Tensor) -> Tensor:
        return 0.5 * state + 0.5 * torch.tanh(recurrent + drive)


class MixesUnits(Right):
    def pointwise(self, state: Tensor, recurrent: Tensor, drive: Tensor, *_: Tensor) -> Tensor:
        return torch.softmax(state + recurrent + drive, dim=-1)


class SumsOverTheLeadingAxes(Right):
    def pointwise(self, state: Tensor, recurrent: Tensor, drive: Tensor, *_: Tensor) -> Tensor:
        new = torch.tanh(recurrent + drive)
        return 0.5 * state + 0.5 * new / (1 + new.flatten(0, -3).square().mean(0))


class CutsTheGradient(Right):
    def pointwise(self, state: Tensor, recurrent: Tensor, drive: Tensor, *_: Tensor) -> Tensor:
        return 0.5 * state + 0.5 * torch.tanh(recurrent.detach() + drive)


class WrongDerivatives(Right):
    def local_derivatives(self, *arguments: Tensor) -> Any:
        local = super().local_derivatives(*arguments)
        return local._replace(by_recurrent=2 * local.by_recurrent)


class WrongDerivativeByTheDrive(Right):
    def local_derivatives(self, *arguments: Tensor) -> Any:
        local = super().local_derivatives(*arguments)
        return local._replace(by_drive=2 * local.by_drive)


class StepOfItsOwn(Right):
    def step(self, inputs: Tensor, state: Tensor) -> Tensor:
        return 0.9 * super().step(inputs, state)


class BreaksItsConstraint(Right):
    def constraint_error(self) -> float:
        return float((self.weight @ self.weight.T - torch.eye(UNITS)).abs().max())


class TooManyRows(Right):
    def recurrent_matrix(self) -> Tensor:
        return torch.cat((self.weight, self.weight))


class KeepsAMatrix(Right):
    """Computes R once: after a load, it goes on with the old one."""

    def recurrent_matrix(self) -> Tensor:
        if not hasattr(self, "kept"):
            self.kept = torch.linalg.matrix_exp(self.weight.detach() - self.weight.detach().T)
        kept: Tensor = self.kept
        return kept.to(self.weight.dtype)

    def input_matrix(self) -> Tensor:
        return torch.eye(UNITS, FEATURES, dtype=self.weight.dtype)


class NoGates(Right):
    def gates(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> dict[str, Tensor]:
        return {"input": recurrent.squeeze(-2), "output": torch.sigmoid(recurrent)}


OUR_FAULTS: dict[str, tuple[type[Right], set[str]]] = {
    "mixes-units": (MixesUnits, {"units_are_pointwise", "step_jacobian_is_autograds"}),
    "sums-over-leading-axes": (
        SumsOverTheLeadingAxes,
        {"pointwise_takes_leading_axes", "sequences_are_independent", "chunks_are_single_steps"},
    ),
    "cuts-the-gradient": (CutsTheGradient, {"step_jacobian_is_a_finite_difference"}),
    "wrong-derivatives": (
        WrongDerivatives,
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
        WrongDerivativeByTheDrive,
        {"unrolled_gradient_is_autograds"},
    ),
    "step-of-its-own": (StepOfItsOwn, {"unrolled_pass_is_the_loop_of_steps"}),
    "breaks-its-constraint": (BreaksItsConstraint, {"parametrisation_keeps_its_constraint"}),
    "no-gates": (NoGates, {"gates_are_between_closed_and_open"}),
    "too-many-rows": (TooManyRows, {"parts_have_their_shapes", "step_keeps_the_state"}),
    "keeps-a-matrix": (KeepsAMatrix, {"state_dict_restores_the_cell"}),
}


def test_a_right_cell_of_our_contract_passes() -> None:
    gp.testing.check_cell(Right())


@pytest.mark.parametrize("case", OUR_FAULTS)
def test_a_fault_in_a_cell_of_our_contract_is_caught_by_name(case: str) -> None:
    kind, expected = OUR_FAULTS[case]
    assert checks_failed_by(kind()) >= expected


# ---- modules and functions, each with one fault


class Module(nn.Module):
    input_size, hidden_size = FEATURES, UNITS

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.W = nn.Parameter(torch.randn(UNITS, UNITS, generator=generator))
        self.U = nn.Parameter(torch.randn(UNITS, FEATURES, generator=generator))

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(linear(x, self.U) + linear(h, self.W))


class WrongBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.sin(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 0.5 * gradient


class WrongDerivative(Module):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        result: Tensor = WrongBackward.apply(super().forward(x, h))  # type: ignore[no-untyped-call]
        return result


class DrawsNumbers(Module):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return super().forward(x, h) + torch.rand_like(h)


class NormalisesTheBatch(Module):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        new = super().forward(x, h)
        return new - new.mean(0)


class CannotBeCopied(Module):
    """Its copies are itself, so that what is written into a copy is written into the original."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Tensor
        self.register_buffer("calls", torch.zeros(()))

    def __deepcopy__(self, memo: dict[int, Any]) -> CannotBeCopied:
        return self

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        self.calls.add_(1)
        return super().forward(x, h)


class WritesToItsWeights(Module):
    def __init__(self) -> None:
        super().__init__()
        self.shared = [self.W]

    def __deepcopy__(self, memo: dict[int, Any]) -> WritesToItsWeights:
        twin = copy.copy(self)
        twin._parameters = {
            name: nn.Parameter(p.detach().clone())
            for name, p in self._parameters.items()
            if p is not None
        }
        return twin

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        with torch.no_grad():
            self.shared[0].mul_(0.999)
        return super().forward(x, h)


class UnstableInItsOwnDtype(Module):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return super().forward(x, (1e6 + h) - 1e6)


class KeepsAnObject(Module):
    def get_extra_state(self) -> object:
        return torch.Generator

    def set_extra_state(self, state: object) -> None:
        pass


class WrongShape(Module):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return super().forward(x, h)[:, :2]


def detached(x: Tensor, h: Tensor) -> Tensor:
    return (0.5 * h).detach()


FAULTS: dict[str, tuple[Callable[..., Any], set[str]]] = {
    "wrong-derivative": (WrongDerivative(), {"step_jacobian_is_a_finite_difference"}),
    "draws-numbers": (DrawsNumbers(), {"step_is_deterministic"}),
    "normalises-the-batch": (NormalisesTheBatch(), {"sequences_are_independent"}),
    "cannot-be-copied": (CannotBeCopied(), {"module_is_left_untouched"}),
    "writes-to-its-weights": (WritesToItsWeights(), {"module_is_left_untouched"}),
    "unstable": (UnstableInItsOwnDtype(), {"own_dtype_agrees_with_float64"}),
    "keeps-an-object": (KeepsAnObject(), {"state_dict_restores_the_cell"}),
    "wrong-shape": (WrongShape(), {"step_keeps_the_state"}),
    "detached": (detached, {"step_is_differentiable"}),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_in_a_module_is_caught_by_name(case: str) -> None:
    cell, expected = FAULTS[case]
    failed = checks_failed_by(cell, draw_inputs(), state_size=UNITS)
    assert failed >= expected


def test_a_right_module_passes() -> None:
    gp.testing.check_cell(Module())
    assert checks_failed_by(Module().double(), draw_inputs(), state_size=UNITS) == set()


# ---- how it is called


def test_all_faults_are_told_at_once_each_with_its_name_and_what_to_do() -> None:
    class Twice(WrongDerivative):
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
    checks = gp.testing.checks_of(WrongDerivative())
    names = [str(check) for check in checks]
    assert len(set(names)) == len(names) == 17
    for check in checks:
        if check.name == "step_jacobian_is_a_finite_difference":
            with pytest.raises(CellContractError, match="fails 1 of 1 checks of its contract:"):
                check()
        else:
            check()


def test_the_caller_s_generator_is_the_source_of_what_is_drawn() -> None:
    cell, random_state = Right(), torch.get_rng_state()
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
        gp.testing.check_cell(detached, state_size=UNITS)
    with pytest.raises(ArgumentError, match=r"inputs must be a tensor .*, got list"):
        gp.testing.check_cell(Module(), [1.0])  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"state must be of shape \(B, S\) = \(3, 3\), got"):
        gp.testing.check_cell(Right(), None, torch.zeros(3, UNITS + 1))
    with pytest.raises(ArgumentError, match=r"parameters must hold numbers, but .* is on meta"):
        gp.testing.check_cell(Right().to("meta"))
    with pytest.raises(UnsupportedModelError, match="outputs at step t depend on inputs after t"):
        gp.testing.check_cell(nn.GRU(2, 3, bidirectional=True))
