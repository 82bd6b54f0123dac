"""Several steps per factorisation, where their condition allows it, and never elsewhere."""

from __future__ import annotations

import numpy as np
import torch
from product_families import Steps, absorbed, assert_honest, orthogonal, reference, tanh_network

from gradprobe.linalg import GradedProduct


def near_identity(size: int, steps: int) -> Steps:
    generator = np.random.default_rng(0)
    W = np.triu(generator.normal(size=(size, size)), 1) / np.sqrt(size)
    slopes = 1 - np.tanh(generator.normal(size=(steps, size, 1))) ** 2
    return [np.eye(size) + 0.01 * slope * (W - W.T - 0.1 * np.eye(size)) for slope in slopes]


def product_and_waiting(steps: Steps) -> tuple[GradedProduct, list[int]]:
    """Return the product, and how many steps waited to be factored after each one."""
    product, waiting = GradedProduct(steps[0].shape[0]), []
    for step in steps:
        product.absorb(torch.from_numpy(step))
        waiting.append(len(product._pending))
    return product, waiting


def test_well_conditioned_steps_are_multiplied_before_they_are_factored() -> None:
    steps = near_identity(12, 203)
    product, waiting = product_and_waiting(steps)
    assert max(waiting) == 15
    spectrum = product.log_singular_values()
    exact = reference(steps)
    assert_honest(spectrum, exact)
    np.testing.assert_allclose(spectrum.log_singular_values, exact, rtol=0, atol=1e-12)
    assert float(spectrum.error.max()) < 1e-11


def test_a_stride_that_meets_ill_conditioned_steps_is_taken_back() -> None:
    steps = orthogonal(12, 72) + tanh_network(12, 80, gain=2.0)
    product, waiting = product_and_waiting(steps)
    assert max(waiting[:72]) == 15
    assert max(waiting[-40:]) <= 1
    spectrum = product.log_singular_values()
    exact = reference(steps)
    assert_honest(spectrum, exact)
    np.testing.assert_allclose(spectrum.log_singular_values, exact, rtol=0, atol=1e-10)


def test_moderate_steps_are_multiplied_in_twos_at_no_cost_in_digits() -> None:
    steps = tanh_network(16, 200)
    product, waiting = product_and_waiting(steps)
    assert waiting.count(1) > 50
    spectrum = product.log_singular_values()
    exact = reference(steps)
    assert_honest(spectrum, exact)
    np.testing.assert_allclose(spectrum.log_singular_values, exact, rtol=0, atol=1e-11)
    assert float(spectrum.error.max()) < 3e-10


def test_a_zero_row_within_a_stride_still_bounds_the_rank() -> None:
    steps = orthogonal(8, 100)
    steps[83] = steps[83] * (np.arange(8) != 2)[:, None]
    spectrum = absorbed(steps).log_singular_values()
    assert (spectrum.log_singular_values == -torch.inf).tolist() == [False] * 7 + [True]
    assert spectrum.resolved.all()
    np.testing.assert_allclose(spectrum.log_singular_values[:7], 0.0, rtol=0, atol=1e-12)


def test_every_prefix_can_be_read_between_factorisations() -> None:
    steps = near_identity(5, 60)
    product = GradedProduct(5)
    for t, step in enumerate(steps, start=1):
        product.absorb(torch.from_numpy(step))
        values = product.log_singular_values().log_singular_values
        np.testing.assert_allclose(values, reference(steps[:t]), rtol=0, atol=1e-12)


def test_a_tensor_may_change_after_it_was_absorbed() -> None:
    steps = orthogonal(6, 90)
    product, buffer = GradedProduct(6), torch.empty(6, 6, dtype=torch.float64)
    for step in [*steps[:80], *tanh_network(6, 10)]:
        product.absorb(buffer.copy_(torch.from_numpy(step)))
    expected = absorbed([*steps[:80], *tanh_network(6, 10)]).log_singular_values()
    got = product.log_singular_values()
    torch.testing.assert_close(got.log_singular_values, expected.log_singular_values)
