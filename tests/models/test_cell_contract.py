"""The cell contract where a unit has several components, a drive of its own, or several stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradprobe import models
from gradprobe.errors import ArgumentError, CellContractError, UnsupportedModelError
from gradprobe.models import Cell, RecurrentModel
from gradprobe.models.staged import StagedCell
from gradprobe.probes.decay_attribution import decay_attribution
from gradprobe.probes.input_sensitivity import input_sensitivity
from gradprobe.probes.parameter_sensitivity import parameter_sensitivity
from gradprobe.testing import check_cell

if TYPE_CHECKING:
    from collections.abc import Callable

LENGTH, BATCH, UNITS, FEATURES = 6, 2, 3, 2


def drawn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


class Embedding(Cell):
    """h_t = tanh(W h_{t-1} + a tanh(V x_t)²): a drive without an input matrix."""

    def __init__(self, input_size: int, hidden_size: int, seed: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight = nn.Parameter(drawn(hidden_size, hidden_size, seed=seed))
        self.embedding = nn.Parameter(drawn(hidden_size, input_size, seed=seed + 1))

    def recurrent_matrix(self) -> Tensor:
        return self.weight

    def drive(self, inputs: Tensor) -> Tensor:
        return torch.tanh(inputs @ self.embedding.T).square().unsqueeze(-2)

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        return torch.tanh(recurrent + drive)

    def penalty(self) -> Tensor:
        return self.weight.square().sum()


class TwoOfThree(Cell):
    """Three components, of which R multiplies two, and three make up h; s_0 is learnt in part."""

    components: ClassVar[int] = 3
    recurrent_components: ClassVar[int] = 2
    hidden_components: ClassVar[int] = 3

    def __init__(self, input_size: int, hidden_size: int, seed: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight = nn.Parameter(drawn(hidden_size, 2 * hidden_size, seed=seed))
        self.input_weight = nn.Parameter(drawn(hidden_size, input_size, seed=seed + 1))
        self.start = nn.Parameter(drawn(hidden_size, seed=seed + 2))

    def recurrent_matrix(self) -> Tensor:
        return self.weight

    def input_matrix(self) -> Tensor:
        return self.input_weight

    def initial_units(self) -> Tensor:
        return torch.stack((self.start, self.start.exp(), torch.zeros_like(self.start)))

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        first, second, third = state.unbind(-2)
        new = torch.tanh(recurrent + drive).squeeze(-2)
        return torch.stack((new, 0.5 * second + first * new, 0.3 * third + new), dim=-2)


class Narrowing(Cell):
    """A first stage that leaves one component of two."""

    components: ClassVar[int] = 2
    first_recurrent_component: ClassVar[int] = 1

    def __init__(self, input_size: int, hidden_size: int, seed: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight = nn.Parameter(drawn(hidden_size, hidden_size, seed=seed))
        self.input_weight = nn.Parameter(drawn(hidden_size, input_size, seed=seed + 1))

    def recurrent_matrix(self) -> Tensor:
        return self.weight

    def input_matrix(self) -> Tensor:
        return self.input_weight

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        return torch.tanh(recurrent + drive) + 0.2 * state[..., :1, :]


class Widening(Embedding):
    """A second stage that makes two components of one, with a drive of its own."""

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        new = torch.tanh(recurrent + drive)
        return torch.cat((new, new.square() + state), dim=-2)


class Staged(StagedCell):
    """Two components, one between the stages, two again."""

    components: ClassVar[int] = 2

    def __init__(self, input_size: int, hidden_size: int, seed: int) -> None:
        super().__init__(
            [
                Narrowing(input_size, hidden_size, seed),
                Widening(input_size, hidden_size, seed + 2),
            ]
        )


KINDS: list[Callable[[int, int, int], Cell]] = [Embedding, TwoOfThree, Staged]


def stacked(kind: Callable[[int, int, int], Cell], layers: int) -> RecurrentModel:
    cells: list[Cell] = []
    for layer in range(layers):
        size = cells[-1].output_size if cells else FEATURES
        cells.append(kind(size, UNITS, 10 * layer))
    return RecurrentModel(cells, name="mine")


def path(model: RecurrentModel, inputs: Tensor, state: Tensor) -> Tensor:
    states = [state]
    for now in inputs:
        states.append(model.step(now, states[-1]))
    return torch.stack(states)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_the_step_jacobian_is_autograds(kind: Callable[[int, int, int], Cell], layers: int) -> None:
    model, inputs = stacked(kind, layers), drawn(LENGTH, BATCH, FEATURES, seed=5)
    state = 0.5 * drawn(BATCH, model.state_size, seed=6)
    states = path(model, inputs, state)
    torch.testing.assert_close(model.unroll(inputs, state), states[1:], rtol=0, atol=1e-14)
    trajectory = models.trace(model, inputs, state)
    identity = torch.eye(model.state_size, dtype=torch.float64)
    columns = drawn(5, BATCH, model.state_size, 2, seed=7)
    for t, jacobian in enumerate(trajectory.step_jacobians()):
        now = inputs[t]
        full = torch.autograd.functional.jacobian(
            lambda s, now=now: model.step(now, s), states[t].detach()
        )
        expected = torch.einsum("bibj->bij", full)
        torch.testing.assert_close(jacobian.dense(), expected, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(jacobian.T @ columns, expected.mT @ columns)
        torch.testing.assert_close(
            jacobian.minus_identity(), expected - identity, rtol=1e-12, atol=1e-14
        )


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_the_sensitivities_are_autograds(
    kind: Callable[[int, int, int], Cell], layers: int
) -> None:
    model, inputs = stacked(kind, layers), drawn(LENGTH, BATCH, FEATURES, seed=5)
    trajectory = models.trace(model, inputs)
    generator = torch.Generator().manual_seed(0)
    to_parameters = parameter_sensitivity(trajectory, [LENGTH], generator=generator)
    to_inputs = input_sensitivity(trajectory, [LENGTH], generator=generator)
    parameters = dict(model.named_parameters())
    for sequence in range(BATCH):
        here = inputs[:, sequence : sequence + 1].clone().requires_grad_()
        last = path(model, here, model.initial_state(1))[-1, 0, model.hidden_slice]
        rows = [
            torch.autograd.grad(
                unit, [here, *parameters.values()], retain_graph=True, materialize_grads=True
            )
            for unit in last
        ]
        by_input, *by_parameter = (torch.stack(part) for part in zip(*rows, strict=True))
        got = to_inputs[to_inputs["sequence"] == sequence].sort_values("step")["value"]
        expected = by_input.flatten(2).norm(dim=(0, 2)).log()
        np.testing.assert_allclose(got.to_numpy(), expected.numpy(), rtol=0, atol=1e-12)
        for name, derivative in zip(parameters, by_parameter, strict=True):
            chosen = (to_parameters["block"] == name) & (to_parameters["sequence"] == sequence)
            [value] = to_parameters.loc[chosen, "value"]
            assert value == pytest.approx(derivative.norm().log().item(), abs=1e-12), name


@pytest.mark.parametrize("kind", KINDS)
def test_the_decay_is_attributed_to_all_of_it(kind: Callable[[int, int, int], Cell]) -> None:
    model, inputs = stacked(kind, 2), drawn(20, BATCH, FEATURES, seed=5)
    trajectory = models.trace(model, inputs)
    generator = torch.Generator().manual_seed(0)
    table = decay_attribution(trajectory, [20], generator=generator)
    ends = table[table["matrix"] == "end_to_end"]
    values = ends.set_index(["quantity", "sequence"])["value"]
    product = torch.eye(model.state_size, dtype=torch.float64)
    for jacobian in trajectory.step_jacobians():
        product = jacobian.dense() @ product
    norms = torch.linalg.matrix_norm(product, ord=2).log()
    for sequence in range(BATCH):
        total = values["log_growth", sequence]
        assert total == pytest.approx(norms[sequence].item(), abs=1e-10)
        names = ("reference", "activation", "carry")
        parts = sum(values[f"log_growth_{name}", sequence] for name in names)
        assert parts == pytest.approx(total, abs=1e-11)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layers", [1, 2])
def test_such_a_cell_passes_the_checks(kind: Callable[[int, int, int], Cell], layers: int) -> None:
    check_cell(stacked(kind, layers))


def test_the_size_of_the_output_is_that_of_all_hidden_components() -> None:
    model = stacked(TwoOfThree, 2)
    assert (model.hidden_size, model.output_size, model.state_size) == (3, 9, 18)
    assert model.hidden_slice == slice(9, 18)
    hidden, final = model(drawn(LENGTH, BATCH, FEATURES))
    assert hidden.shape == (LENGTH, BATCH, 9)
    torch.testing.assert_close(hidden[-1], final[:, 9:], rtol=0, atol=0)
    with pytest.raises(ArgumentError, match=r"must take the 9 hidden values below it .*, got .* 3"):
        RecurrentModel([TwoOfThree(2, 3, 0), TwoOfThree(3, 3, 0)], name="mine")


def test_a_model_starts_where_its_cells_say() -> None:
    model = stacked(TwoOfThree, 1)
    start = model.get_parameter("layers.0.start")
    expected = torch.cat((start, start.exp(), torch.zeros_like(start)))
    assert torch.equal(model.initial_state(BATCH), expected.expand(BATCH, -1))
    assert torch.equal(stacked(Embedding, 2).initial_state(BATCH), torch.zeros(BATCH, 6).double())


def test_the_penalty_is_the_sum_over_the_layers() -> None:
    model = stacked(Embedding, 2)
    expected = sum(cell.recurrent_matrix().square().sum() for cell in model.cells)
    torch.testing.assert_close(model.penalty(), expected)
    model.penalty().backward()
    weight = model.get_parameter("layers.1.weight")
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, 2 * weight.detach())
    assert stacked(TwoOfThree, 2).penalty().item() == 0


def test_a_cell_without_a_drive_is_told_what_to_state() -> None:
    class Undriven(Embedding):
        drive = Cell.drive

    cell = Undriven(FEATURES, UNITS, 0)
    with pytest.raises(UnsupportedModelError, match=r"Undriven has no input matrix: state input_m"):
        cell.drive(drawn(BATCH, FEATURES))


class WrongStart(TwoOfThree):
    def initial_units(self) -> Tensor:
        return self.start


class WrongDrive(Embedding):
    def drive(self, inputs: Tensor) -> Tensor:
        return super().drive(inputs).expand(*inputs.shape[:-1], 2, -1)


class WrongPenalty(Embedding):
    def penalty(self) -> Tensor:
        return self.weight.square()


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (WrongStart, r"initial_units\(\) must have shape \(C, N\) = \(3, 3\), got \(3,\)"),
        (WrongDrive, r"drive\(\) must have shape .* = \(2, 3, 1, 3\), got \(2, 3, 2, 3\)"),
        (WrongPenalty, r"penalty\(\) must have shape \(\), got \(3, 3\)"),
    ],
)
def test_a_wrong_shape_is_told(kind: Callable[[int, int, int], Cell], told: str) -> None:
    with pytest.raises(CellContractError, match=told):
        check_cell(kind(FEATURES, UNITS, 0))
