"""Logarithmic norms and departures from normality where theory gives them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from model_cases import CASES, build, draw_inputs, draw_state
from torch import Tensor

import gradprobe as gp
from gradprobe.errors import ArgumentError
from gradprobe.probes import dense_reference

STEP = 0.01


def values(table: pd.DataFrame, quantity: str, **chosen: object) -> np.ndarray:
    table = table[table["quantity"] == quantity]
    for name, value in chosen.items():
        table = table[table[name] == value]
    assert len(table)
    result: np.ndarray = table["value"].to_numpy()
    return result


def markus_yamabe(inputs: Tensor, state: Tensor) -> Tensor:
    """Forward Euler for x' = A(t) x, A = −I + ³⁄₂ v vᵀ + K, v = (cos t, −sin t).

    K is [[0, 1], [−1, 0]].  The eigenvalues of A(t) are (−1 ± i√7)/4 for every t; e^{t/2} v(t)
    solves the equation.
    """
    cosine, sine = inputs[:, 0].cos(), inputs[:, 0].sin()
    x, y = state.unbind(-1)
    along = 1.5 * (cosine * x - sine * y)
    return state + STEP * torch.stack((-x + y + along * cosine, -x - y - along * sine), dim=-1)


def test_it_is_not_misled_where_all_eigenvalues_are_stable_and_the_solution_grows() -> None:
    """μ₂(A(t)) = ½ exactly, the rate at which the solution does grow."""
    steps = 1000
    times = (STEP * torch.arange(steps, dtype=torch.float64)).reshape(steps, 1, 1)
    model = gp.adapt(markus_yamabe, state_size=2, step_size=STEP)
    probes = {
        "eigenvalue_real_parts": {"samples": 50},
        "logarithmic_norm": {"samples": 50, "end_to_end": True},
        "gradient_norm": {},
    }
    table = gp.probe(model, times, probes, [500, steps])
    np.testing.assert_allclose(values(table, "real_max"), -0.25, rtol=0, atol=1e-10)
    np.testing.assert_allclose(values(table, "logarithmic_norm"), 0.5, rtol=0, atol=1e-12)
    assert set(table.loc[table["quantity"] == "logarithmic_norm", "matrix"]) == {"vector_field"}
    # ‖A‖_F² = 13/4 and |det A| = 1/2 give ‖A‖₂².
    squared_norm = (3.25 + math.sqrt(3.25**2 - 1)) / 2
    bound = math.log(1 + 2 * STEP * 0.5 + STEP**2 * squared_norm) / 2
    np.testing.assert_allclose(
        values(table, "log_norm_bound", matrix="step"), bound, rtol=0, atol=1e-14
    )
    end = values(table, "log_norm_bound", matrix="end_to_end")
    np.testing.assert_allclose(end, [500 * bound, steps * bound], rtol=1e-12, atol=0)
    grown = values(table, "log_norm_spectral", matrix="end_to_end")
    assert (grown > 0.45 * STEP * np.array([500, steps])).all()
    assert (grown < end).all()
    assert table["resolved"].all()


@pytest.mark.parametrize("diffusion", [0.0, 0.3])
def test_antisymmetric_linear_dynamics(diffusion: float) -> None:
    """F = A − γI with A antisymmetric is normal, and μ₂(F) = −γ."""
    upper = torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    matrix = upper - upper.T - diffusion * torch.eye(6, dtype=torch.float64)
    model = gp.adapt(
        lambda inputs, state: state + STEP * state @ matrix.T, state_size=6, step_size=STEP
    )
    table = gp.probe(model, torch.zeros(5, 1, 1), ["logarithmic_norm", "non_normality"])
    np.testing.assert_allclose(values(table, "logarithmic_norm"), -diffusion, rtol=0, atol=1e-12)
    assert values(table, "departure_from_normality").max() < 1e-11
    assert table["resolved"].all()
    frequency = np.linalg.eigvals((upper - upper.T).numpy()).imag.max()
    norm = math.log((1 - STEP * diffusion) ** 2 + (STEP * frequency) ** 2) / 2
    np.testing.assert_allclose(
        values(table, "log_norm_spectral", matrix="step"), norm, rtol=0, atol=1e-13
    )


@pytest.mark.parametrize("case", CASES)
def test_every_model_against_plain_autograd(case: str) -> None:
    model, inputs = build(case), draw_inputs()
    state = draw_state(model)
    probes = {name: {"steps": [2, 5]} for name in ("logarithmic_norm", "non_normality")}
    table = gp.probe(model, inputs, probes, state=state)
    step_size = model.step_size
    name = "vector_field" if step_size else "step_minus_identity"
    scale = step_size or 1.0
    assert set(table["step"]) == {2, 5}
    for t in (2, 5):
        at_t = table[table["step"] == t]
        J = dense_reference.end_to_end_jacobian(model, inputs[:t], state, start=t - 1).numpy()
        F = (J - np.eye(model.state_size)) / scale
        logarithmic = np.linalg.eigvalsh((F + F.transpose(0, 2, 1)) / 2)[:, -1]
        np.testing.assert_allclose(
            values(at_t, "logarithmic_norm", matrix=name), logarithmic, rtol=0, atol=1e-12
        )
        spectral = np.log(np.linalg.norm(J, 2, axis=(1, 2)))
        np.testing.assert_allclose(values(at_t, "log_norm_spectral"), spectral, rtol=0, atol=1e-12)
        assert (values(at_t, "log_norm_bound") >= spectral - 1e-12).all()
        A = F if step_size else J
        norm = np.linalg.norm(A, axis=(1, 2))
        squares = norm**2 - np.square(np.abs(np.linalg.eigvals(A))).sum(1)
        judged = at_t[at_t["matrix"] == ("vector_field" if step_size else "step")]
        departure = values(judged, "departure_from_normality")
        np.testing.assert_allclose(departure**2, squares, rtol=0, atol=1e-7 * (norm**2).max())
        np.testing.assert_allclose(
            values(judged, "relative_departure_from_normality"), departure / norm, rtol=1e-12
        )


def test_the_steps_are_spread_evenly_if_none_are_named() -> None:
    table = gp.probe(build("gru"), draw_inputs(), {"non_normality": {"samples": 3}})
    assert sorted(set(table["step"])) == [1, 4, 7]
    assert set(table["length"]) == {7}


def test_the_digits_that_a_small_step_size_costs_a_cell_of_ones_own_are_stated() -> None:
    """(J − I)/ε of a user's function has lost the digits of ε; the error says so."""
    step = 1e-9

    def slow(inputs: Tensor, state: Tensor) -> Tensor:
        return state + step * torch.tanh(2 * state)

    table = gp.probe(
        gp.adapt(slow, state_size=1, step_size=step),
        torch.zeros(1, 1, 1),
        ["logarithmic_norm"],
    )
    row = table[table["quantity"] == "logarithmic_norm"]
    off = abs(row["value"].item() - 2)
    assert 1e-9 < off <= row["error"].item() < 1e-5


@pytest.mark.parametrize(
    ("probe", "options", "message"),
    [
        ("logarithmic_norm", {"end_to_end": 1}, "end_to_end must be True or False, got 1"),
        ("logarithmic_norm", {"steps": [8]}, "steps must lie between 1 and the 7 steps"),
        ("logarithmic_norm", {"samples": 0}, "samples must be a positive integer"),
        ("logarithmic_norm", {"tolerance": -1}, "tolerance must be a positive number"),
        ("non_normality", {"steps": []}, "steps must name at least one"),
        ("non_normality", {"samples": 2.5}, "samples must be a positive integer"),
        ("non_normality", {"tolerance": "x"}, "tolerance must be a finite number"),
    ],
)
def test_options_are_checked(probe: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        gp.probe(build("vanilla"), draw_inputs(), {probe: options})
