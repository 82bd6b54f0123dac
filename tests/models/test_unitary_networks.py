"""Unitary networks of complex units, against plain complex arithmetic and published numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from model_cases import BATCH, FEATURES, LENGTH, build, draw_inputs, draw_state, loop
from torch import Tensor

from gradprobe import models
from gradprobe.models.complex_units import ComplexCell, deviation_from_unitary, modrelu
from gradprobe.models.urnn import RestrictedUnitaryMatrix
from gradprobe.probes.parameter_sensitivity import parameter_sensitivity
from gradprobe.probes.singular_values import singular_values

NAMES = ["urnn", "full_capacity_urnn"]


def made(name: str, size: int, *, features: int = 1, layers: int = 1) -> models.RecurrentModel:
    return models.build(
        name, input_size=features, hidden_size=size, num_layers=layers, dtype=torch.float64
    )


def complex_cell(model: models.RecurrentModel) -> ComplexCell:
    cell = model.cells[0]
    assert isinstance(cell, ComplexCell)
    return cell


def matrix_of(model: models.RecurrentModel) -> Tensor:
    return complex_cell(model).complex_matrix().detach()


@pytest.mark.parametrize("size", [1, 2, 7, 16])
def test_the_restricted_matrix_is_the_product_of_its_seven_factors(size: int) -> None:
    initialiser = models.Initialiser(torch.Generator().manual_seed(size), dtype=torch.float64)
    matrix = RestrictedUnitaryMatrix(size, initialiser)
    phases, parts = matrix.phases.detach().numpy(), matrix.reflections.detach().numpy()
    indices = np.arange(size)
    fourier = np.exp(-2j * np.pi * np.outer(indices, indices) / size) / math.sqrt(size)
    permutation = np.eye(size)[matrix.permutation.numpy()]
    d1, d2, d3 = (np.diag(np.exp(1j * phase)) for phase in phases)
    vectors = parts[:, 0] + 1j * parts[:, 1]
    r1, r2 = (np.eye(size) - 2 * np.outer(v, v.conj()) / np.vdot(v, v).real for v in vectors)
    expected = d3 @ r2 @ fourier.conj().T @ d2 @ permutation @ r1 @ fourier @ d1
    np.testing.assert_allclose(matrix().detach().numpy(), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_a_sequence_is_that_of_plain_complex_arithmetic(name: str) -> None:
    model = build(name.replace("_", "-"))
    cell = complex_cell(model)
    w, bias = matrix_of(model).numpy(), cell.bias.detach().numpy()
    v = cell.input_weight.detach().numpy()
    v = v[: len(v) // 2] + 1j * v[len(v) // 2 :]
    inputs, state = draw_inputs(), draw_state(model)
    hidden = model(inputs, state)[0].detach().numpy()
    h = state.numpy()
    h = h[:, : len(bias)] + 1j * h[:, len(bias) :]
    for x, got in zip(inputs.numpy(), hidden, strict=True):
        z = h @ w.T + x @ v.T
        h = np.maximum(np.abs(z) + bias, 0) * z / np.abs(z)
        np.testing.assert_allclose(got, np.concatenate((h.real, h.imag), -1), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "size", "published"),
    [
        ("urnn", 128, 32 * 128 + 10),
        ("urnn", 512, 32 * 512 + 10),
        ("full_capacity_urnn", 116, 16_366),  # printed as 16k
        ("full_capacity_urnn", 512, 274_954),  # printed as 270k
    ],
)
def test_the_parameters_are_as_many_as_published(name: str, size: int, published: int) -> None:
    model = models.build(name, input_size=1, hidden_size=size)
    assert model.output_size == 2 * size
    assert model.degrees_of_freedom + 10 * (model.output_size + 1) == published


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("optimiser", [torch.optim.Adam, torch.optim.SGD])
def test_the_matrix_stays_unitary_while_it_is_trained(
    name: str, optimiser: type[torch.optim.Adam] | type[torch.optim.SGD]
) -> None:
    model = made(name, 6, features=FEATURES)
    start, inputs = matrix_of(model), draw_inputs()
    steps = optimiser(model.parameters(), lr=0.1)
    losses = []
    for _ in range(30):
        steps.zero_grad()
        loss = (model(inputs)[1] - 0.3).square().sum()
        loss.backward()
        steps.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert (matrix_of(model) - start).abs().max() > 0.05
    assert model.cells[0].constraint_error() < 1e-12
    identity = torch.eye(12, dtype=torch.float64)
    recurrent = model.cells[0].recurrent_matrix().detach()
    torch.testing.assert_close(recurrent.T @ recurrent, identity, rtol=0, atol=1e-12)


def test_the_checker_sees_a_matrix_that_is_not_unitary() -> None:
    matrix = torch.tensor([[1, 1e-3j], [0, 1]], dtype=torch.complex128)
    assert deviation_from_unitary(matrix) == pytest.approx(1e-3)


@pytest.mark.parametrize("case", ["urnn", "full-capacity-urnn"])
def test_a_phase_of_the_state_goes_through_unchanged(case: str) -> None:
    """Without inputs h_T(e^{iφ} h_0) = e^{iφ} h_T(h_0): both parts belong together."""
    model, inputs = build(case), torch.zeros(LENGTH, BATCH, FEATURES, dtype=torch.float64)
    state = draw_state(model)
    turned = as_complex(state) * np.exp(0.7j)
    got = model(inputs, torch.cat((turned.real, turned.imag), dim=-1))[1]
    expected = as_complex(model(inputs, state)[1]) * np.exp(0.7j)
    torch.testing.assert_close(as_complex(got), expected, rtol=0, atol=1e-14)


def as_complex(hidden: Tensor) -> Tensor:
    return torch.complex(*hidden.chunk(2, dim=-1))


def derivative_at_zero(bias: float) -> Tensor:
    def one_unit(z: Tensor) -> Tensor:
        return modrelu(z[:, None], torch.tensor([bias], dtype=z.dtype))[:, 0]

    zero = torch.zeros(2, dtype=torch.float64)
    assert torch.equal(one_unit(zero), zero)
    jacobian: Tensor = torch.autograd.functional.jacobian(one_unit, zero)
    return jacobian


def test_modrelu_at_zero() -> None:
    assert torch.equal(derivative_at_zero(-0.5), torch.zeros(2, 2).double())
    assert torch.equal(derivative_at_zero(0.0), torch.eye(2).double())
    assert not derivative_at_zero(0.5).any()  # by convention: it jumps there


@pytest.mark.parametrize("bias", [-0.5, 0.0])
def test_a_gradient_through_zero_is_that_of_the_loop(bias: float) -> None:
    """From h_0 = 0 without inputs z is exactly zero; with b = 0 the gradient goes on through W."""
    model, inputs = build("urnn"), torch.zeros(LENGTH, 1, FEATURES, dtype=torch.float64)
    with torch.no_grad():
        complex_cell(model).bias.fill_(bias)
    state = torch.zeros(1, model.state_size, dtype=torch.float64, requires_grad=True)
    weights = torch.linspace(1, 2, model.output_size, dtype=torch.float64)
    [got] = torch.autograd.grad((model(inputs, state)[1] * weights).sum(), state)
    [expected] = torch.autograd.grad((loop(model, inputs, state)[-1] * weights).sum(), state)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-14)
    assert got.norm() == pytest.approx(0 if bias < 0 else weights.norm().item(), abs=1e-12)


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
@pytest.mark.parametrize("bias", [-0.25, 0.0, 0.25])
def test_modrelu_changes_the_modulus_and_keeps_the_phase(scale: float, bias: float) -> None:
    z = scale * torch.tensor([[0.6, 0.0, -0.28], [0.8, -0.1, 0.96]], dtype=torch.float64)
    new = modrelu(z, torch.full((3,), scale * bias, dtype=torch.float64))
    modulus = torch.tensor([1.0, 0.1, 1.0], dtype=torch.float64)
    expected = z / modulus * torch.relu(modulus + bias)
    torch.testing.assert_close(new, expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_bias_no_gradient_is_lost_in_five_hundred_steps(name: str) -> None:
    """With b = 0, as a network starts, every step is h ↦ W h: all singular values are one."""
    model = made(name, 5)
    trajectory = models.trace(model, torch.zeros(500, 1, 1))
    table = singular_values(
        trajectory, [500], generator=torch.Generator().manual_seed(0), block="hidden"
    )
    assert len(table) == 10
    assert table["value"].abs().max() < 1e-12


@pytest.mark.parametrize("name", NAMES)
def test_the_initial_values_are_those_of_the_papers(name: str) -> None:
    size = 4000 if name == "urnn" else 60
    cell = complex_cell(made(name, size, features=3))
    for parameter, bound in (
        (cell.input_weight, math.sqrt(6 / (3 + 2 * size))),
        (cell.start, math.sqrt(3 / (2 * size))),
    ):
        largest = parameter.detach().abs().max().item()
        assert largest <= bound
        assert largest > 0.9 * bound
        deviation = parameter.detach().std().item()
        assert deviation == pytest.approx(bound / math.sqrt(3), rel=5 / math.sqrt(2 * size))
    assert torch.equal(cell.bias, torch.zeros(size).double())
    # E‖h_0‖² = 1
    assert cell.initial_units().square().sum().item() == pytest.approx(1, abs=5 / math.sqrt(size))


@pytest.mark.parametrize("case", ["urnn", "full-capacity-urnn", "urnn-stacked"])
def test_where_it_starts_is_learnt(case: str) -> None:
    model, inputs = build(case), draw_inputs()
    starts = [p for name, p in model.named_parameters() if name.endswith("start")]
    state = torch.cat([start.detach().flatten() for start in starts]).repeat(BATCH, 1)
    torch.testing.assert_close(model(inputs)[0], model(inputs, state)[0], rtol=0, atol=0)
    got = torch.autograd.grad(model(inputs)[1].square().sum(), starts)
    initial = model.initial_state(BATCH)
    expected = torch.autograd.grad(loop(model, inputs, initial)[-1].square().sum(), starts)
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("case", ["urnn", "full-capacity-urnn", "urnn-stacked"])
def test_the_sensitivity_to_what_is_learnt_counts_the_start(case: str) -> None:
    model, inputs = build(case), draw_inputs()
    parameters = dict(model.named_parameters())
    generator = torch.Generator().manual_seed(0)
    own = parameter_sensitivity(models.trace(model, inputs), [3, LENGTH], generator=generator)
    for length in (3, LENGTH):
        for sequence in range(BATCH):
            path = loop(model, inputs[:length, sequence : sequence + 1], model.initial_state(1))
            units = path[-1, 0, model.hidden_slice]
            rows = [
                torch.autograd.grad(
                    unit, list(parameters.values()), retain_graph=True, materialize_grads=True
                )
                for unit in units
            ]
            for name, derivatives in zip(parameters, zip(*rows, strict=True), strict=True):
                chosen = (own["block"] == name) & (own["sequence"] == sequence)
                [value] = own.loc[chosen & (own["length"] == length), "value"]
                norm = torch.stack([torch.linalg.vector_norm(d) for d in derivatives]).norm()
                assert value == pytest.approx(norm.log().item(), abs=1e-12), name
    given = models.trace(model, inputs, model.initial_state(BATCH).detach())
    table = parameter_sensitivity(given, [LENGTH], generator=generator)
    of_start = table[table["block"].str.endswith("start")]
    assert np.isneginf(of_start["value"]).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_network_is_the_same_network(name: str) -> None:
    inputs = draw_inputs()
    first = build(name.replace("_", "-"), seed=0)
    second = build(name.replace("_", "-"), seed=1)
    assert not torch.equal(first(inputs)[0], second(inputs)[0])
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(second(inputs)[0], first(inputs)[0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_a_state_may_come_as_real_and_imaginary_parts(name: str) -> None:
    model, inputs = made(name, 4, features=FEATURES), draw_inputs()
    state = draw_state(model)
    real, imaginary = state.chunk(2, dim=-1)
    one = models.trace(model, inputs, (real[None], imaginary[None])).states()
    other = models.trace(model, inputs, state).states()
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
