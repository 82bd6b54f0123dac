"""coRNN and LEM against plain loops, the PyPI package torchrecurrent and closed forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torchrecurrent
from model_cases import BATCH, FEATURES, LENGTH, UNITS, build, draw_inputs, draw_state, loop
from torch import Tensor

from gradprobe import models
from gradprobe.errors import ArgumentError, UnsupportedModelError
from gradprobe.probes.state_statistics import state_statistics


def numbers(model: models.RecurrentModel) -> dict[str, np.ndarray]:
    return {name: p.detach().numpy() for name, p in model.named_parameters()}


def test_cornn_is_the_loop_of_its_equations() -> None:
    model, inputs = models.build("cornn", input_size=2, hidden_size=4).double(), draw_inputs()
    p = {name.removeprefix("layers.0."): value for name, value in numbers(model).items()}
    state = draw_state(model)
    y, z = state.numpy()[:, :UNITS], state.numpy()[:, UNITS:]
    w, w_of_velocity = p["recurrent_weight"][:, :UNITS], p["recurrent_weight"][:, UNITS:]
    hidden, final = model(inputs, state)
    for x, got in zip(inputs.numpy(), hidden.detach().numpy(), strict=True):
        force = np.tanh(y @ w.T + z @ w_of_velocity.T + x @ p["input_weight"].T + p["bias"])
        z = z + 0.042 * (force - 2.7 * y - 4.7 * z)
        y = y + 0.042 * z
        np.testing.assert_allclose(got, y, rtol=0, atol=1e-14)
    np.testing.assert_allclose(final.detach().numpy()[:, UNITS:], z, rtol=0, atol=1e-14)


def test_cornn_is_that_of_torchrecurrent() -> None:
    model, inputs = build("cornn"), draw_inputs()
    state = draw_state(model)
    cell = torchrecurrent.coRNNCell(FEATURES, UNITS, dt=0.3, gamma=2.7, epsilon=4.7).double()
    recurrent = model.cells[0].recurrent_matrix().detach()
    bias = model.cells[0].drive_bias()
    assert bias is not None
    with torch.no_grad():
        for name, value in (
            ("weight_ih", model.cells[0].input_matrix()),
            ("weight_hh", recurrent[:, :UNITS]),
            ("weight_ch", recurrent[:, UNITS:]),
            ("bias_ih", bias),
        ):
            getattr(cell, name).copy_(value)
    torch.testing.assert_close(
        model(inputs, state)[0], path_of(cell, inputs, state), rtol=0, atol=1e-14
    )


def path_of(cell: torch.nn.Module, inputs: Tensor, state: Tensor) -> Tensor:
    hidden, memory = state.chunk(2, dim=-1)
    path = []
    for now in inputs:
        hidden, memory = cell(now, (hidden, memory))
        path.append(hidden)
    return torch.stack(path)


def test_an_oscillator_left_alone_swings_at_its_frequency() -> None:
    """With nothing but γ, y_{n+1} − 2 y_n + y_{n-1} = −γ Δt² y_n, so y_n = cos(n θ) + …"""
    model = models.build("cornn", input_size=1, hidden_size=1, damping=0.0).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    step, stiffness, length = 0.042, 2.7, 1000
    angle = math.acos(1 - step**2 * stiffness / 2)
    # From rest at 1: y_0 = 1, y_1 = 1 − γ Δt².
    slope = (1 - step**2 * stiffness - math.cos(angle)) / math.sin(angle)
    n = np.arange(1, length + 1) * angle
    state = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    positions = model(torch.zeros(length, 1, 1).double(), state)[0].detach().numpy()[:, 0, 0]
    np.testing.assert_allclose(positions, np.cos(n) + slope * np.sin(n), rtol=0, atol=1e-10)


def test_lem_is_the_loop_of_its_equations() -> None:
    model, inputs = models.build("lem", input_size=2, hidden_size=4, time_step=0.8), draw_inputs()
    model = model.double()
    state = draw_state(model)
    hidden, final = model(inputs, state)
    p = [stage.detach().numpy() for stage in model.parameters()]
    (w_1, w_2, w_z), (v_1, v_2, v_z), (b_1, b_2, b_z) = (np.split(part, 3) for part in p[:3])
    w_y, v_y, b_y = p[3:]
    y, z = state.numpy()[:, :UNITS], state.numpy()[:, UNITS:]
    for x, got in zip(inputs.numpy(), hidden.detach().numpy(), strict=True):
        for_memory = 0.8 * sigmoid(y @ w_1.T + x @ v_1.T + b_1)
        for_output = 0.8 * sigmoid(y @ w_2.T + x @ v_2.T + b_2)
        z = (1 - for_memory) * z + for_memory * np.tanh(y @ w_z.T + x @ v_z.T + b_z)
        y = (1 - for_output) * y + for_output * np.tanh(z @ w_y.T + x @ v_y.T + b_y)
        np.testing.assert_allclose(got, y, rtol=0, atol=1e-14)
    np.testing.assert_allclose(final.detach().numpy()[:, UNITS:], z, rtol=0, atol=1e-14)


def sigmoid(x: np.ndarray) -> np.ndarray:
    result: np.ndarray = 1 / (1 + np.exp(-x))
    return result


def test_lem_is_that_of_torchrecurrent_where_the_output_does_not_read_the_memory() -> None:
    """torchrecurrent multiplies W_y by the old memory, the paper by the new: equal for W_y = 0."""
    model, inputs = build("lem"), draw_inputs()
    state = draw_state(model)
    first, second = model.cells[0].stages()
    n = UNITS
    cell = torchrecurrent.LEMCell(FEATURES, n).double()
    bias, output_bias = first.drive_bias(), second.drive_bias()
    assert bias is not None
    assert output_bias is not None
    with torch.no_grad():
        second.recurrent_matrix().zero_()
        # There the step of the output comes first, then that of the memory.
        order = torch.cat((torch.arange(n, 2 * n), torch.arange(n), torch.arange(2 * n, 3 * n)))
        cell.weight_hh.copy_(first.recurrent_matrix()[order])
        cell.weight_ih.copy_(torch.cat((first.input_matrix()[order], second.input_matrix())))
        cell.bias_ih.copy_(torch.cat((bias[order], output_bias)))
        cell.weight_ch.zero_()
    expected = path_of(cell, inputs, state)
    torch.testing.assert_close(model(inputs, state)[0], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "size", "published"),
    [("cornn", 256, 134_154), ("cornn", 128, 34_314), ("lem", 128, 67_850)],  # 134k, 34k and 68k
)
def test_the_parameters_are_as_many_as_published(name: str, size: int, published: int) -> None:
    model = models.build(name, input_size=1, hidden_size=size)
    assert model.degrees_of_freedom + 10 * (size + 1) == published
    assert model.output_size == size


@pytest.mark.parametrize(("name", "fan_in"), [("cornn", 2 + 2 * 500), ("lem", 500)])
def test_the_initial_values_are_uniform(name: str, fan_in: int) -> None:
    model = models.build(name, input_size=2, hidden_size=500)
    bound = fan_in**-0.5
    for parameter in model.parameters():
        assert parameter.detach().abs().max().item() <= bound
        assert parameter.detach().std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)


@pytest.mark.parametrize("option", [{"time_step": 0.0}, {"damping": -1.0}, {"stiffness": "soft"}])
def test_what_an_oscillator_cannot_have_is_refused(option: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=next(iter(option))):
        models.build("cornn", input_size=1, hidden_size=2, **option)


@pytest.mark.parametrize("case", ["lem", "lem-stacked", "cornn"])
def test_a_step_less_the_identity(case: str) -> None:
    model, inputs = build(case), draw_inputs()
    trajectory = models.trace(model, inputs, draw_state(model))
    identity = torch.eye(model.state_size, dtype=torch.float64)
    for jacobian in trajectory.step_jacobians():
        expected = jacobian.dense() - identity
        torch.testing.assert_close(jacobian.minus_identity(), expected, rtol=1e-12, atol=1e-14)
        transposed = jacobian.T.minus_identity()
        torch.testing.assert_close(transposed, expected.mT, rtol=1e-12, atol=1e-14)


def test_the_gates_of_lem_are_told() -> None:
    model, inputs = build("lem"), draw_inputs()
    state = draw_state(model)
    trajectory = models.trace(model, inputs, state)
    table = state_statistics(trajectory, [LENGTH], generator=torch.Generator())
    first = model.cells[0].stages()[0]
    previous = loop(model, inputs, state)[:-1, :, :UNITS]
    weights, bias = (first.recurrent_matrix(), first.input_matrix()), first.drive_bias()
    assert bias is not None
    for name, rows in (("memory", slice(0, UNITS)), ("output", slice(UNITS, 2 * UNITS))):
        expected = torch.sigmoid(
            previous @ weights[0][rows].T + inputs @ weights[1][rows].T + bias[rows]
        )
        got = table[table["quantity"] == f"gate_{name}"].sort_values(["step", "sequence"])["value"]
        expected_mean = expected.mean(-1).detach().flatten().numpy()
        np.testing.assert_allclose(got.to_numpy(), expected_mean, rtol=0, atol=1e-14)
        assert len(got) == LENGTH * BATCH


def test_the_products_of_a_staged_cell_are_asked_of_its_stages() -> None:
    cell = build("lem").cells[0]
    with pytest.raises(UnsupportedModelError, match=r"2 stages, each with its own recurrent_m"):
        cell.recurrent_matrix()
    with pytest.raises(UnsupportedModelError, match=r"pointwise\(\); take them from stages"):
        cell.pointwise(*[torch.zeros(2, UNITS)] * 4)
    assert cell.degrees_of_freedom == cell.stored_parameters
    assert cell.constraint_error() == 0.0
    assert cell.penalty().item() == 0.0
