"""Lyapunov exponents of systems whose spectra are published, as a user would type them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import gradprobe as gp
from gradprobe.errors import ArgumentError

LORENZ_STEP = 0.01


def henon(inputs: Tensor, state: Tensor) -> Tensor:
    x, y = state.unbind(-1)
    return torch.stack((1 - 1.4 * x**2 + y, 0.3 * x), dim=-1)


def lorenz_field(state: Tensor) -> Tensor:
    x, y, z = state.unbind(-1)
    return torch.stack((10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z), dim=-1)


def lorenz(inputs: Tensor, state: Tensor) -> Tensor:
    """One step of the classical Runge-Kutta method."""
    first = lorenz_field(state)
    second = lorenz_field(state + LORENZ_STEP / 2 * first)
    third = lorenz_field(state + LORENZ_STEP / 2 * second)
    fourth = lorenz_field(state + LORENZ_STEP * third)
    return state + LORENZ_STEP / 6 * (first + 2 * second + 2 * third + fourth)


def exponents(
    function: Any, state: Tensor, steps: int, **options: Any
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Return values and errors, shape (sequences, k), and the table."""
    model = gp.adapt(function, state_size=state.shape[1])
    table = gp.probe(
        model, torch.zeros(steps, len(state), 1), {"lyapunov_exponents": options}, state=state
    )
    values, errors = (table[name].to_numpy().reshape(len(state), -1) for name in ("value", "error"))
    return values, errors, table


def uniform(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_the_henon_map() -> None:
    """0.41922 and −1.62319; their sum is log|det J| = log 0.3 at every point."""
    values, errors, table = exponents(henon, uniform(256, 2) / 10, 1600, transient=100)
    standard_error = values.std(0) / 16
    assert (standard_error < 0.001).all()
    assert (np.abs(values.mean(0) - [0.41922, -1.62319]) < 4 * standard_error).all()
    np.testing.assert_allclose(values.sum(1), math.log(0.3), rtol=0, atol=1e-12)
    # The stated errors are those that the other trajectories show.
    assert 0.7 < errors.mean() / values.std(0).mean() < 1.4
    assert set(table["quantity"]) == {"lyapunov_exponent"}
    assert set(table["rank"]) == {1, 2}
    assert (table["resolved"] == (table["error"] <= 0.01)).all()


def test_the_lorenz_system() -> None:
    """0.9056, 0 and −14.572 per unit of time; their sum is the divergence, −41/3."""
    values, errors, _ = exponents(
        lorenz, uniform(256, 3) * 10 + 5, 3000, transient=1000, interval=5
    )
    rates = values / LORENZ_STEP
    standard_error = rates.std(0) / 16
    assert (standard_error < [0.01, 0.005, 0.007]).all()
    assert (np.abs(rates.mean(0) - [0.9056, 0.0, -14.572]) < 4 * standard_error).all()
    np.testing.assert_allclose(rates.sum(1), -41 / 3, rtol=0, atol=2e-3)
    # Nearby stretches of this flow make up for one another, so that batch means err upwards.
    assert (errors.mean(0) > 0.7 * values.std(0)).all()


def test_a_constant_linear_map() -> None:
    matrix = torch.tensor([[1.2, 5.0, 1.0], [0.0, -0.9, 2.0], [0.0, 0.0, 0.5]]).double()
    values, errors, table = exponents(
        lambda inputs, state: state @ matrix.T, uniform(2, 3), 300, transient=150, count=2
    )
    expected = np.log([1.2, 0.9])
    assert (np.abs(values - expected) <= errors + 1e-7).all()  # its entries were float32
    assert table["resolved"].all()


def test_a_recurrent_network_of_our_own_and_its_twin_through_autograd() -> None:
    cell = torch.nn.RNNCell(2, 6).double()
    inputs = torch.randn(120, 2, 2, generator=torch.Generator().manual_seed(0)).double()
    options = {"lyapunov_exponents": {"transient": 20, "interval": 2}}
    own, opaque = (
        gp.probe(model, inputs, options, [60, 120])["value"].to_numpy()
        for model in (gp.adapt(cell), gp.adapt(cell, state_size=6))
    )
    assert len(own) == 2 * 2 * 6
    np.testing.assert_allclose(own, opaque, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 3}, "count must not exceed the 2 entries of the state, got 3"),
        ({"transient": 20}, "transient must be less than the shortest length, 20, got 20"),
        ({"transient": -1}, "transient must be zero or a positive integer"),
        ({"interval": 0}, "interval must be a positive integer"),
        ({"tolerance": 0}, "tolerance must be a positive number"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        exponents(henon, uniform(1, 2), 20, **options)
