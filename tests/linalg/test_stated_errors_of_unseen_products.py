"""Stated errors on products that no constant was chosen by."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from model_cases import build
from product_families import (
    Steps,
    absorbed,
    assert_honest,
    distance,
    explosive,
    lstm,
    orthogonal,
    reference,
    tanh_network,
)

from gradprobe import models

FAMILIES: dict[str, Callable[[int], Steps]] = {
    "tanh": lambda seed: tanh_network(20, 60, seed),
    "orthogonal": lambda seed: orthogonal(20, 60, seed),
    "explosive": lambda seed: explosive(12, 150, seed),
    "lstm": lambda seed: lstm(10, 60, seed),
}


@pytest.mark.parametrize("seed", range(1000, 1003))
@pytest.mark.parametrize("family", FAMILIES)
def test_no_value_of_an_unseen_product_is_farther_off_than_stated(family: str, seed: int) -> None:
    steps = FAMILIES[family](seed)
    assert_honest(absorbed(steps).log_singular_values(), reference(steps))


@pytest.mark.parametrize("seed", [105, 2001])
def test_a_value_that_sinks_beside_structural_zeros_is_right(seed: int) -> None:
    """scoRNN's recurrent weights begin as blocks of two units, some of which are dead."""
    model = build("scornn", seed=seed, hidden_size=12)
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(200, 1, model.input_size, generator=generator, dtype=torch.float64)
    jacobians = models.trace(model, inputs).step_jacobians()
    steps = [jacobian.dense()[0].detach().numpy() for jacobian in jacobians]
    spectrum, exact = absorbed(steps).log_singular_values(), reference(steps)
    assert np.isneginf(exact).any()
    assert_honest(spectrum, exact)
    assert spectrum.resolved.all()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_value_that_sinks_beside_coupled_zeros_is_honest(seed: int) -> None:
    """The first step makes half the state zero; what rounding puts there outgrows all the rest."""
    generator = np.random.default_rng(seed)
    steps = [generator.normal(size=(8, 8)) / 2 for _ in range(150)]
    for step in steps:
        step[:4, :4] /= 2
        step[4:, :4] = 0.0
    steps[0][4:] = 0.0
    spectrum, exact = absorbed(steps).log_singular_values(), reference(steps)
    assert_honest(spectrum, exact)
    lost = np.abs(spectrum.log_singular_values.numpy()[:4] - exact[:4]) > 1
    assert lost.any()
    assert not spectrum.resolved[:4][lost].any()


@pytest.mark.parametrize("seed", range(1000, 1003))
def test_blocks_with_dead_units_are_right_and_honest(seed: int) -> None:
    steps = blocks_of_two(7, 80, seed)
    spectrum, exact = absorbed(steps).log_singular_values(), reference(steps)
    assert_honest(spectrum, exact)
    assert distance(spectrum.log_singular_values.numpy(), exact).max() < 1e-10


def blocks_of_two(size: int, steps: int, seed: int) -> Steps:
    """Turn pairs of entries, shuffled, at rates of their own; units die for a step now and then."""
    generator = np.random.default_rng(seed)
    angles, rates = generator.uniform(0, 6, size // 2), generator.normal(size=size // 2)
    W = np.eye(size)
    for pair, (angle, rate) in enumerate(zip(angles, rates, strict=True)):
        turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        W[2 * pair : 2 * pair + 2, 2 * pair : 2 * pair + 2] = np.exp(rate) * np.array(turn)
    places = np.ix_(*[generator.permutation(size)] * 2)
    alive = generator.random((steps, size, 1)) > 0.01
    return [(live * W * np.exp(0.3 * generator.normal(size=(size, 1))))[places] for live in alive]
