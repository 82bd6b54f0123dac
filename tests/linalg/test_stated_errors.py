"""No value is farther off than it says, over many draws of all families; nor are errors vain."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from product_families import (
    Steps,
    absorbed,
    assert_honest,
    clusters,
    explosive,
    jordan_chain,
    lstm,
    orthogonal,
    pre_activation_network,
    reference,
    tanh_network,
    there_and_back,
)

from gradprobe.linalg import ScaledProduct

# The steps of a seed, and the largest error that any of its values may state.
FULL: dict[str, tuple[Callable[[int], Steps], float]] = {
    "tanh": (lambda seed: tanh_network(12, 80, seed), 1e-8),
    "saturating tanh": (lambda seed: tanh_network(12, 60, seed, gain=1 + seed), 1e-8),
    "uneven columns": (lambda seed: pre_activation_network(12, 40, seed, gain=1 + seed), 1e-6),
    "orthogonal": (lambda seed: orthogonal(12, 150, seed), 1e-12),
    "clusters": (lambda seed: clusters(12, 100, seed), 2e-12),
    "explosive": (lambda seed: explosive(12, 80, seed), 1e-8),
    "lstm, forget bias 1": (lambda seed: lstm(6, 80, seed), 1e-6),
    "lstm, forget bias 5": (lambda seed: lstm(6, 80, seed, forget_bias=5.0), 1e-6),
    "there and back": (lambda seed: there_and_back(10, 10 + 5 * seed, seed), math.inf),
    "defective": (lambda seed: jordan_chain(6 + seed, 60 + 40 * seed, 0.5 + 0.1 * seed), math.inf),
}
SEEDS = range(5)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("family", FULL)
def test_no_value_is_farther_off_than_stated(family: str, seed: int) -> None:
    make, largest = FULL[family]
    steps = make(seed)
    spectrum, exact = absorbed(steps).log_singular_values(), reference(steps)
    assert_honest(spectrum, exact)
    assert spectrum.error.max() <= largest
    scaled = ScaledProduct(len(exact))
    for step in steps:
        scaled.absorb(torch.from_numpy(step))
    norm = scaled.log_spectral_norm()
    assert abs(norm.log_norm.item() - exact[0]) <= norm.error.item()


@pytest.mark.parametrize("steps", [100, 250, 500])
def test_directions_that_have_come_back_together_are_not_determined(steps: int) -> None:
    """The product as rounding leaves it may be well-conditioned: it is another one."""
    spectrum = absorbed(there_and_back(16, steps)).log_singular_values()
    assert (spectrum.error == math.inf).all()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("forget_bias", [1.0, 5.0])
def test_no_value_of_a_hidden_block_is_farther_off_than_stated(
    forget_bias: float, seed: int
) -> None:
    steps = lstm(8, 80, seed, forget_bias=forget_bias)
    spectrum = absorbed(steps).block(slice(0, 8), slice(0, 8))
    assert_honest(spectrum, reference(steps, block=8))
    assert spectrum.resolved[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_value_in_single_precision_is_farther_off_than_stated(seed: int) -> None:
    steps = [step.astype(np.float32) for step in lstm(5, 50, seed)]
    spectrum = absorbed(steps, dtype=torch.float32).log_singular_values()
    assert_honest(spectrum, reference([step.astype(np.float64) for step in steps]))
    assert 1e-8 < spectrum.error[0] < 1e-3
