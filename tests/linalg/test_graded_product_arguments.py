"""Wrong arguments are refused with what was expected and what was got; other dtypes work."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from product_families import assert_honest, reference, tanh_network

from gradprobe.errors import ArgumentError, NonFiniteError
from gradprobe.linalg import GradedProduct


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size must be a positive integer, got 0"),
        ({"size": 3, "batch_shape": (2, 0)}, "each of batch_shape must be a positive integer"),
        ({"size": 3, "dtype": torch.float16}, "dtype must be torch.float64 or torch.float32"),
        ({"size": 3, "repetitions": -1}, "repetitions must be zero or a positive integer, got -1"),
        ({"size": 3, "repetitions": None}, "repetitions must be zero or a positive integer, got N"),
        ({"size": 3, "tolerance": 0.0}, "tolerance must be a positive number"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        GradedProduct(**options)  # type: ignore[arg-type]


def test_wrong_steps_are_refused_with_their_number() -> None:
    product = GradedProduct(3, batch_shape=(2,))
    product.absorb(torch.eye(3, dtype=torch.float64).expand(2, 3, 3))
    with pytest.raises(ArgumentError, match=r"step 2 must have shape \(2, 3, 3\), got \(3, 3\)"):
        product.absorb(torch.eye(3, dtype=torch.float64))
    with pytest.raises(ArgumentError, match=r"step 2 must have dtype torch.float64"):
        product.absorb(torch.eye(3).expand(2, 3, 3))
    with pytest.raises(ArgumentError, match="step 2 must be a tensor or have `@` and dense"):
        product.absorb([[1.0]])  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_step_that_is_not_finite_is_refused_and_leaves_the_product_alone(bad: float) -> None:
    product = GradedProduct(3)
    step = torch.eye(3, dtype=torch.float64)
    for _ in range(20):
        product.absorb(step)
    broken = step.clone()
    broken[1, 2] = bad
    with pytest.raises(NonFiniteError, match="step 21 holds NaN or an infinity"):
        product.absorb(broken)
    product.absorb(step)
    assert product.steps == 21
    assert product.log_singular_values().log_singular_values.abs().max() < 1e-13


def test_a_block_must_choose_something_that_exists() -> None:
    product = GradedProduct(3)
    with pytest.raises(ArgumentError, match="rows must choose at least one of 3"):
        product.block(slice(3, 5), slice(0, 3))
    with pytest.raises(ArgumentError, match="columns must be a slice or a tensor of indices"):
        product.block(slice(0, 3), torch.tensor([4]))


def test_a_rectangular_block_by_indices_matches_a_dense_one() -> None:
    steps = tanh_network(7, 6)
    product, dense = GradedProduct(7), np.eye(7)
    for step in steps:
        product.absorb(torch.from_numpy(step))
        dense = step @ dense
    got = product.block(torch.tensor([0, 2, 3, 6]), torch.tensor([1, 5])).log_singular_values
    expected = np.log(np.linalg.svd(dense[[0, 2, 3, 6]][:, [1, 5]])[1])
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-10)


def test_single_precision_is_honest_about_its_errors() -> None:
    steps = [step.astype(np.float32) for step in tanh_network(8, 60)]
    product = GradedProduct(8, dtype=torch.float32, tolerance=1e-2)
    for step in steps:
        product.absorb(torch.from_numpy(step))
    spectrum = product.log_singular_values()
    assert spectrum.log_singular_values.dtype == torch.float64
    assert_honest(spectrum, reference([step.astype(np.float64) for step in steps]))
    assert spectrum.resolved.any()
    assert float(spectrum.error.min()) > 1e-8


@pytest.mark.slow
def test_128_units_match_arbitrary_precision() -> None:
    steps = tanh_network(128, 25)
    product = GradedProduct(128, tolerance=1e-9)
    for step in steps:
        product.absorb(torch.from_numpy(step))
    spectrum, exact = product.log_singular_values(), reference(steps)
    assert_honest(spectrum, exact)
    np.testing.assert_allclose(spectrum.log_singular_values, exact, rtol=0, atol=1e-10)
    assert spectrum.error.max() < 2e-9
