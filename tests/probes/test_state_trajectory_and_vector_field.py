"""Trajectories and vector fields against numpy's recurrence, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from model_cases import build, draw_inputs, draw_state, loop

import gradprobe as gp
from gradprobe.errors import ArgumentError, NonFiniteError, UnsupportedModelError

STATES = [[0.0, 0.5], [-0.5, -0.5], [0.5, -0.75]]
SPIRAL = [[-0.15, -2.0], [2.0, -0.15]]


def two_units(name: str = "feedback", **options: Any) -> gp.models.RecurrentModel:
    if name == "feedback":
        options = {"step_size": 0.1, **options}
    return gp.models.build(
        name, input_size=1, hidden_size=2, recurrent_matrix=SPIRAL, dtype=torch.float64, **options
    )


def measured(probe: str, model: Any, inputs: torch.Tensor, **options: Any) -> Any:
    return gp.probe(model, inputs, {probe: options})


def test_every_initial_state_is_followed_as_numpy_follows_it() -> None:
    table = measured("state_trajectory", two_units(), torch.zeros(50, 1, 1), states=STATES)
    h = np.array(STATES)
    for t in range(51):
        rows = table[table["step"] == t].sort_values(["sequence", "rank"])
        assert rows["value"].to_numpy().reshape(3, 2) == pytest.approx(h, abs=1e-14)
        h = h + 0.1 * np.tanh(h @ np.array(SPIRAL).T)


def test_every_sequence_is_run_from_every_state() -> None:
    model, inputs = two_units("vanilla"), draw_inputs()[..., :1]
    table = measured("state_trajectory", model, inputs, states=STATES)
    assert sorted(table["sequence"].unique()) == list(range(9))
    for b in range(3):
        for k, state in enumerate(STATES):
            alone = loop(model, inputs[:, b : b + 1], torch.tensor([state], dtype=torch.float64))
            rows = table[table["sequence"] == 3 * b + k].sort_values(["step", "rank"])
            expected = alone.detach().numpy().reshape(-1)
            assert rows["value"].to_numpy() == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("case", ["lstm-stacked", "gru", "orthogonal-modrelu"])
def test_without_states_it_is_the_trajectorys_own_path(case: str) -> None:
    model, inputs = build(case), draw_inputs()
    state = draw_state(model)
    table = gp.probe(model, inputs, ["state_trajectory"], state=state)
    rows = table.sort_values(["step", "sequence", "rank"])["value"].to_numpy()
    path = loop(model, inputs, state)[..., model.hidden_slice]
    assert rows == pytest.approx(path.detach().numpy().reshape(-1), abs=1e-13)
    assert table["resolved"].all()


def test_the_vector_field_is_the_differential_equations() -> None:
    options = {"extent": 1.5, "points": 4}
    table = measured("vector_field", two_units(), torch.ones(5, 1, 1), **options)
    mesh = table[table["quantity"] == "mesh"]["value"].to_numpy().reshape(-1, 2)
    line = [-1.5, -0.5, 0.5, 1.5]
    assert mesh == pytest.approx(np.array([[x, y] for x in line for y in line]), abs=1e-15)
    velocity = table[table["quantity"] == "velocity"]["value"].to_numpy().reshape(-1, 2)
    expected = np.tanh(mesh @ np.array(SPIRAL).T)  # the input of ones is not felt
    error = table[table["quantity"] == "velocity"]["error"].to_numpy().reshape(-1, 2)
    assert (np.abs(velocity - expected) <= error).all()
    assert error.max() < 1e-13


def test_a_map_without_step_size_gives_displacements() -> None:
    table = measured("vector_field", two_units("vanilla"), torch.zeros(5, 1, 1), points=3)
    assert set(table["quantity"]) == {"mesh", "displacement"}
    rows = table[(table["quantity"] == "displacement") & (table["sequence"] == 8)]
    expected = np.tanh(np.array(SPIRAL) @ [1.0, 1.0]) - 1
    assert rows["value"].to_numpy() == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize(
    ("probe", "options", "error", "message"),
    [
        ("state_trajectory", {"states": [0.0, 0.5]}, ArgumentError, "list of states"),
        ("state_trajectory", {"states": []}, ArgumentError, "list of states"),
        ("state_trajectory", {"states": [[0.0], [0.5, 1.0]]}, ArgumentError, "list of states"),
        ("state_trajectory", {"states": [[0.0] * 3]}, UnsupportedModelError, "the 2 entries"),
        ("state_trajectory", {"states": [[0.0, float("inf")]]}, NonFiniteError, "finite"),
        ("vector_field", {"extent": 0.0}, ArgumentError, "extent"),
        ("vector_field", {"points": 1}, ArgumentError, "at least 2"),
    ],
)
def test_what_does_not_fit_is_refused(
    probe: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        measured(probe, two_units(), torch.zeros(5, 1, 1), **options)


def test_a_vector_field_needs_a_plane() -> None:
    with pytest.raises(UnsupportedModelError, match="must have 2 entries, got 8"):
        gp.probe(build("lstm"), draw_inputs(), ["vector_field"])
