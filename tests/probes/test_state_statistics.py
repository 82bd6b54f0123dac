"""The norms of states, saturation and gates, against the formulas of the networks themselves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from model_cases import BATCH, CASES, LENGTH, build, draw_inputs, draw_state, loop
from torch import Tensor

from gradprobe import models
from gradprobe.errors import ArgumentError
from gradprobe.models import Trajectory
from gradprobe.probes.state_statistics import state_statistics


def measured(trajectory: Trajectory, **options: Any) -> pd.DataFrame:
    lengths = [3, trajectory.length]
    table = state_statistics(trajectory, lengths, generator=torch.Generator(), **options)
    assert set(table["length"]) == {trajectory.length}
    assert table["matrix"].isna().all()
    return table


def column(table: pd.DataFrame, quantity: str, block: str) -> np.ndarray:
    """Return the values, shape (steps, B), the errors of which must be those of rounding."""
    chosen = table[(table["quantity"] == quantity) & (table["block"] == block)]
    assert chosen["resolved"].all()
    assert chosen["error"].max() < 1e-13
    values: np.ndarray = chosen["value"].to_numpy().reshape(-1, chosen["sequence"].nunique())
    return values


def close(values: np.ndarray, expected: Tensor) -> None:
    np.testing.assert_allclose(values, expected.detach().numpy(), rtol=0, atol=1e-13)


@pytest.mark.parametrize("case", CASES)
def test_the_norms_are_those_of_the_states(case: str) -> None:
    model = build(case)
    inputs, state = draw_inputs(), draw_state(model)
    table = measured(models.trace(model, inputs, state))
    states = loop(model, inputs, state)
    close(column(table, "log_norm", "state"), states.norm(dim=-1).log())
    close(column(table, "log_norm", "hidden"), states[..., model.hidden_slice].norm(dim=-1).log())
    layers = {f"layers.{index}" for index in range(len(model.cells))}
    assert set(table["block"]) == {"state", "hidden"} | layers
    assert set(table.loc[table["block"] == "layers.0", "step"]) == set(range(1, LENGTH + 1))


def test_a_tanh_network_is_saturated_where_its_states_are_near_one() -> None:
    """φ′ = 1 − h²; at rest 1 − tanh(b)², and at zero 1."""
    model = build("vanilla")
    inputs, state = 3 * draw_inputs(), draw_state(model)
    trajectory = models.trace(model, inputs, state)
    slopes = 1 - loop(model, inputs, state)[1:].square()
    bias = dict(model.named_parameters())["layers.0.biases.input"]
    for reference, at in (("rest", 1 - bias.tanh().square()), ("zero", torch.ones(4).double())):
        table = measured(trajectory, reference=reference, threshold=0.3)
        close(column(table, "saturation", "layers.0"), 1 - slopes.mean(-1) / at.mean())
        share = (slopes < 0.3 * at.mean()).double().mean(-1)
        assert 0 < share.mean() < 1
        close(column(table, "saturated_fraction", "layers.0"), share)


def test_a_relu_network_is_saturated_where_its_units_are_off() -> None:
    model = build("vanilla-relu")
    inputs, state = draw_inputs(), draw_state(model)
    table = measured(models.trace(model, inputs, state), reference="zero")
    off = (loop(model, inputs, state)[1:] == 0).double().mean(-1)
    close(column(table, "saturation", "layers.0"), off)
    close(column(table, "saturated_fraction", "layers.0"), off)


def test_the_step_size_of_an_euler_network_does_not_look_like_saturation() -> None:
    model = models.build("antisymmetric", input_size=2, hidden_size=4, step_size=1e-3).double()
    table = measured(models.trace(model, torch.zeros(LENGTH, 1, 2).double()))
    assert (column(table, "saturation", "layers.0") == 0).all()


def test_a_reference_without_slopes_leaves_saturation_missing() -> None:
    model = models.build("vanilla", input_size=2, hidden_size=4, nonlinearity="relu").double()
    with torch.no_grad():
        dict(model.named_parameters())["layers.0.biases.input"].fill_(-1.0)
    table = measured(models.trace(model, draw_inputs()))
    of_layer = table[table["block"] == "layers.0"]
    assert of_layer["value"].isna().all()
    assert not of_layer["resolved"].any()
    assert np.isinf(of_layer["error"]).all()


def test_the_gates_of_a_stacked_lstm() -> None:
    """Each layer's, from torch's own gate formulas: i, f, o out of i, f, g, o."""
    torch.manual_seed(0)
    module = torch.nn.LSTM(2, 3, num_layers=2, dtype=torch.float64)
    inputs = draw_inputs()
    table = measured(models.trace(models.adapt(module), inputs))
    below = inputs
    for layer in range(2):
        weights = [getattr(module, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh")]
        biases = [getattr(module, f"{name}_l{layer}") for name in ("bias_ih", "bias_hh")]
        cell = torch.nn.LSTMCell(below.shape[-1], 3, dtype=torch.float64)
        parameters = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
        for parameter, value in zip(parameters, (*weights, *biases), strict=True):
            parameter.data.copy_(value.data)
        hidden, memory = torch.zeros(2, BATCH, 3, dtype=torch.float64)
        states, opened = [], []
        for now in below:
            term = now @ weights[0].T + hidden @ weights[1].T + biases[0] + biases[1]
            opened.append(torch.sigmoid(term).unflatten(-1, (4, 3)).mean(-1))
            hidden, memory = cell(now, (hidden, memory))
            states.append(hidden)
        below, gates = torch.stack(states), torch.stack(opened)
        for name, index in (("input", 0), ("forget", 1), ("output", 3)):
            close(column(table, f"gate_{name}", f"layers.{layer}"), gates[..., index])


def test_the_gates_of_a_gru_and_of_the_gated_euler_network() -> None:
    inputs = draw_inputs()
    for case, names in (("gru", ("reset", "update")), ("gated-antisymmetric", ("input",))):
        model = build(case)
        state = draw_state(model)
        table = measured(models.trace(model, inputs, state))
        states = loop(model, inputs, state)[:-1]
        cell, parameters = model.cells[0], dict(model.named_parameters())
        recurrent = (states @ cell.recurrent_matrix().T).unflatten(-1, (-1, 4))
        bias = next(value for name, value in parameters.items() if "bias" in name)
        drive = (inputs @ parameters["layers.0.input_weight"].T + bias).unflatten(-1, (-1, 4))
        rows = {"reset": (0, 0), "update": (1, 1), "input": (0, 1)}
        for name in names:
            of_recurrent, of_drive = rows[name]
            argument = recurrent[..., of_recurrent, :] + drive[..., of_drive, :]
            expected = torch.sigmoid(argument).mean(-1)
            close(column(table, f"gate_{name}", "layers.0"), expected)


def test_of_a_function_there_are_norms_only() -> None:
    model = models.adapt(lambda x, h: 0.5 * h + x, state_size=2)
    table = measured(models.trace(model, torch.zeros(4, 1, 2).double(), torch.ones(1, 2).double()))
    assert set(table["quantity"]) == {"log_norm"}
    expected = [math.log(2) / 2 + t * math.log(0.5) for t in range(5)]
    np.testing.assert_allclose(column(table, "log_norm", "hidden")[:, 0], expected, atol=1e-14)
    table = measured(models.trace(model, torch.zeros(4, 1, 2).double()))
    assert np.isneginf(table["value"]).all()
    assert (table["error"] == 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reference": "open"}, "reference must be one of 'rest', 'zero', got 'open'"),
        ({"threshold": 0}, "threshold must be a positive number, got 0"),
        ({"tolerance": -1}, "tolerance must be a positive number, got -1"),
    ],
)
def test_it_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        measured(models.trace(build("gru"), draw_inputs()), **options)
