"""Steps and gates of published cells, against the papers' formulas and other implementations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchrecurrent
from model_cases import BATCH, FEATURES, UNITS, build, draw_inputs, draw_state
from published_cells import Array, arrays, disturb
from scipy import linalg
from torch import Tensor, nn

from gradprobe import models

# ---- the papers' formulas


def modrelu(values: Array, bias: Array) -> Array:
    return np.sign(values) * np.maximum(np.abs(values) + bias, 0)


def skew(entries: Array) -> Array:
    """Return A = −Aᵀ from its entries above the diagonal, row by row."""
    matrix = np.zeros((UNITS, UNITS))
    matrix[np.triu_indices(UNITS, 1)] = entries
    return matrix - matrix.T


def lipschitz(p: dict[str, Array], x: Array, h: Array) -> Array:
    """Return the step of Erichson et al. with β_A = 0.6, γ_A = 0.001, β_W = 0.75, γ_W = 0.1."""
    first, second = p["linear.weight"], p["nonlinear.weight"]
    a = 0.4 * (first + first.T) + 0.6 * (first - first.T) - 0.001 * np.eye(UNITS)
    w = 0.25 * (second + second.T) + 0.75 * (second - second.T) - 0.1 * np.eye(UNITS)
    driven = np.tanh(h @ w.T + x @ p["input_weight"].T + p["bias"])
    return h + 0.3 * (h @ a.T + driven)


def irnn(p: dict[str, Array], x: Array, h: Array) -> Array:
    recurrent, driven = h @ p["recurrent_weight"].T, x @ p["input_weight"].T
    result: Array = np.maximum(recurrent + driven + p["biases.input"], 0)
    return result


def exprnn(p: dict[str, Array], x: Array, h: Array) -> Array:
    rotation = linalg.expm(skew(p["skew.upper_entries"]))
    return modrelu(h @ rotation.T + x @ p["input_weight"].T, p["bias"])


def scornn(p: dict[str, Array], x: Array, h: Array) -> Array:
    a, identity = skew(p["skew.upper_entries"]), np.eye(UNITS)
    matrix = np.linalg.inv(identity + a) @ (identity - a) @ np.diag([1.0, 1.0, -1.0, -1.0])
    return modrelu(h @ matrix.T + x @ p["input_weight"].T, p["bias"])


def kru(p: dict[str, Array], x: Array, h: Array) -> Array:
    first, second = (p[f"factors.{f}"][0] + 1j * p[f"factors.{f}"][1] for f in range(2))
    w, v = np.kron(first, second), p["input_weight"][:UNITS] + 1j * p["input_weight"][UNITS:]
    argument = (h[:, :UNITS] + 1j * h[:, UNITS:]) @ w.T + x @ v.T
    modulus = np.abs(argument)
    new = argument / modulus * np.maximum(modulus + p["bias"], 0)
    return np.concatenate((new.real, new.imag), axis=-1)


@pytest.mark.parametrize("step", [lipschitz, irnn, exprnn, scornn, kru])
def test_a_step_is_that_of_the_papers_formula(
    step: Callable[[dict[str, Array], Array, Array], Array],
) -> None:
    model = build(step.__name__)
    disturb(model)
    x, state = draw_inputs()[0], draw_state(model)
    ours = model.cells[0].step(x, state).detach().numpy()
    theirs = step(arrays(model.cells[0]), x.numpy(), state.numpy())
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-14)


# ---- other implementations


def copied(cell: nn.Module, **values: Tensor) -> nn.Module:
    """Return somebody else's cell with our values in its parameters."""
    cell.double()
    with torch.no_grad():
        for name, value in values.items():
            getattr(cell, name).copy_(value)
    return cell


def torchrecurrents_cfn() -> tuple[models.RecurrentModel, nn.Module]:
    model = build("cfn")
    ours = model.cells[0]
    bias = ours.drive_bias()
    assert bias is not None
    theirs = torchrecurrent.CFNCell(FEATURES, UNITS)
    return model, copied(
        theirs, weight_hh=ours.recurrent_matrix(), weight_ih=ours.input_matrix(), bias_ih=bias
    )


def torchrecurrents_minimal_rnn() -> tuple[models.RecurrentModel, nn.Module]:
    model = build("minimal-rnn")
    parameters = dict(model.cells[0].named_parameters())
    return model, copied(
        torchrecurrent.MinimalRNNCell(FEATURES, UNITS),
        weight_hh=parameters["recurrent_weight"],
        weight_mm=parameters["latent_weight"],
        weight_ih=parameters["input_weight"],
        bias_ih=parameters["latent_bias"],
        bias_hh=parameters["gate_bias"],
    )


def torchs_lstm() -> tuple[models.RecurrentModel, nn.Module]:
    model = build("chrono-lstm")
    ours = model.cells[0]
    bias = ours.drive_bias()
    assert bias is not None
    theirs = nn.LSTMCell(FEATURES, UNITS)
    return model, copied(
        theirs,
        weight_hh=ours.recurrent_matrix(),
        weight_ih=ours.input_matrix(),
        bias_ih=bias,
        bias_hh=torch.zeros_like(bias),
    )


@pytest.mark.parametrize(
    "pair",
    [torchrecurrents_cfn, torchrecurrents_minimal_rnn, torchs_lstm],
    ids=lambda f: f.__name__,
)
def test_a_step_is_that_of_another_implementation(
    pair: Callable[[], tuple[models.RecurrentModel, nn.Module]],
) -> None:
    model, theirs = pair()
    x, state = draw_inputs()[0], draw_state(model)
    parts = state.split(UNITS, dim=-1)
    after = theirs(x, parts[0] if len(parts) == 1 else parts)
    expected = after if isinstance(after, Tensor) else torch.cat(after, dim=-1)
    torch.testing.assert_close(model.cells[0].step(x, state), expected, rtol=0, atol=1e-14)


# ---- gates


def sigmoid(values: Array) -> Array:
    return 1 / (1 + np.exp(-values))


def gates_of(model: models.RecurrentModel, x: Array, h: Array) -> dict[str, Array]:
    cell = model.cells[0]
    state = torch.tensor(h).unflatten(-1, (cell.components, UNITS))
    recurrent = (torch.tensor(h) @ cell.recurrent_matrix().T).unflatten(-1, (-1, UNITS))
    gates = cell.gates(state, recurrent, cell.drive(torch.tensor(x)), cell.unit_parameters())
    assert all(gate.shape == (BATCH, UNITS) for gate in gates.values())
    return {name: gate.detach().numpy() for name, gate in gates.items()}


def test_the_gates_of_the_chaos_free_network() -> None:
    model = build("cfn")
    x, h = draw_inputs()[0].numpy(), draw_state(model).numpy()
    p = arrays(model.cells[0])
    gates = gates_of(model, x, h)
    for row, (name, bias) in enumerate([("forget", "forget_bias"), ("input", "input_bias")]):
        rows = slice(row * UNITS, (row + 1) * UNITS)
        argument = h @ p["recurrent_weight"][rows].T + x @ p["input_weight"][rows].T + p[bias]
        np.testing.assert_allclose(gates[name], sigmoid(argument), rtol=0, atol=1e-15)


def test_the_update_gate_of_the_minimal_rnn_keeps_the_state() -> None:
    model = build("minimal-rnn")
    x, h = draw_inputs()[0].numpy(), draw_state(model).numpy()
    p = arrays(model.cells[0])
    latent = np.tanh(x @ p["input_weight"].T + p["latent_bias"])
    new = model.cells[0].step(torch.tensor(x), torch.tensor(h)).detach().numpy()
    update = gates_of(model, x, h)["update"]
    np.testing.assert_allclose((new - latent) / (h - latent), update, rtol=1e-12, atol=0)
