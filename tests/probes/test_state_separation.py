"""Spread and effective rank of states that are known, against closed forms and NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import gradprobe as gp
from gradprobe import models
from gradprobe.errors import ArgumentError


def adding(states: Tensor, length: int = 3) -> dict[str, float]:
    """Probe h_t = h_{t-1} + x_t, whose last states are those given, and return the values."""
    inputs = torch.zeros(length, *states.shape, dtype=torch.float64)
    inputs[0] = states
    return values(lambda x, h: h + x, inputs)


def values(cell: Any, inputs: Tensor) -> dict[str, float]:
    adapted = models.adapt(cell, state_size=inputs.shape[-1], example_input=inputs[0])
    table = gp.probe(adapted, inputs, ["state_separation"])
    assert table["resolved"].all()
    return dict(zip(table["quantity"], table["value"], strict=True))


@pytest.mark.parametrize("directions", [1, 2, 5])
def test_states_on_axes_of_equal_length_have_as_many_directions(directions: int) -> None:
    axes = 0.01 * torch.eye(directions, 6, dtype=torch.float64)
    found = adding(torch.cat((axes, -axes)))
    assert found["effective_rank"] == pytest.approx(directions, rel=1e-12)
    assert found["log_spread"] == pytest.approx(math.log(0.01), rel=1e-12)


def test_two_unequal_directions_count_by_their_entropy() -> None:
    axes = torch.diag(torch.tensor([3.0, 1.0], dtype=torch.float64))
    expected = math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    assert adding(torch.cat((axes, -axes)))["effective_rank"] == pytest.approx(expected, rel=1e-12)


def test_it_is_what_numpy_finds_and_knows_no_scale_and_no_mean() -> None:
    states = torch.randn(30, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shares = np.linalg.svd(np.cov(states.numpy().T))[1] ** 0.5
    shares /= shares.sum()
    expected = np.exp(-(shares * np.log(shares)).sum())
    for scale, mean in ((1.0, 0.0), (1e-6, 3.0)):
        found = adding(scale * states + mean)
        assert found["effective_rank"] == pytest.approx(expected, rel=1e-8)
        spread = float((states - states.mean(0)).square().sum(-1).mean().sqrt())
        assert found["log_spread"] == pytest.approx(math.log(scale * spread), abs=1e-8)


def test_rounding_is_told_from_rank() -> None:
    far = torch.full((4, 3), 1e9, dtype=torch.float64)
    far[0, 0] += 1e-6  # a few units of rounding of 1e9
    inputs = torch.stack((far, torch.zeros_like(far)))
    adapted = models.adapt(lambda x, h: h + x, state_size=3, example_input=far)
    table = gp.probe(adapted, inputs, ["state_separation"])
    assert not table["resolved"].any()


def test_equal_states_have_no_spread_and_no_rank() -> None:
    model = models.build("gru", input_size=1, hidden_size=4)
    table = gp.probe(model, torch.zeros(5, 3, 1), ["state_separation"])
    assert table["quantity"].tolist() == ["effective_rank", "log_spread"]
    rank, log_spread = table["value"]
    assert math.isnan(rank)
    assert log_spread == -math.inf
    assert table["resolved"].tolist() == [False, True]


def test_one_sequence_has_nothing_beside_it() -> None:
    model = models.build("gru", input_size=1, hidden_size=4)
    with pytest.raises(ArgumentError, match="at least 2, got 1"):
        gp.probe(model, torch.zeros(5, 1, 1), ["state_separation"])
