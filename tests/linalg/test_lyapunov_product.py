"""Lyapunov exponents of given matrices: closed forms, zeros, lost digits, standard errors."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gradprobe.errors import ArgumentError, NonFiniteError
from gradprobe.linalg.lyapunov import Exponents, LyapunovProduct


def draw(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def exponents_of(step: Tensor, steps: int, **options: Any) -> Exponents:
    product = LyapunovProduct(step.shape[-1], **options)
    for _ in range(steps):
        product.absorb(step)
    return product.exponents()


@pytest.mark.parametrize("interval", [1, 3, 7])
def test_a_constant_map_has_the_logarithms_of_its_moduli(interval: int) -> None:
    basis = draw(4, 4)
    step = (
        basis
        @ torch.diag(torch.tensor([1.5, -1.0, 0.4, 0.1], dtype=torch.float64))
        @ basis.inverse()
    )
    exponents = exponents_of(step, 400, transient=200, interval=interval)
    expected = np.log([1.5, 1.0, 0.4, 0.1])
    off = np.abs(exponents.values.numpy() - expected)
    assert (off <= exponents.rounding.numpy()).all()
    assert (exponents.standard_error < 1e-9).all()
    assert exponents.rounding.max() < (1e-12 if interval == 1 else 1e-7)


def test_a_rotation_and_scaling_has_two_equal_exponents() -> None:
    """|λ| = 0.9 twice; the rows of R oscillate, their mean does not."""
    angle = torch.tensor(0.7).double()
    rotation = torch.stack((angle.cos(), -angle.sin(), angle.sin(), angle.cos())).reshape(2, 2)
    exponents = exponents_of(0.9 * rotation, 100)
    np.testing.assert_allclose(exponents.values.numpy(), math.log(0.9), rtol=0, atol=1e-14)


def test_finite_time_exponents_are_not_the_singular_values_but_share_their_sum() -> None:
    """Their sum is Σ log|det J| exactly; each differs from log σ/T by about 1/T."""
    steps = draw(30, 5, 5)
    product, dense = LyapunovProduct(5), torch.eye(5, dtype=torch.float64)
    for step in steps:
        product.absorb(step)
        dense = step @ dense
    values = product.exponents().values
    sigma = torch.linalg.svdvals(dense).log() / 30
    assert values.sum().item() == pytest.approx(
        torch.linalg.slogdet(steps).logabsdet.sum().item() / 30, abs=1e-13
    )
    assert 1e-3 < (values - sigma)[:2].abs().max() < 0.5


def test_k_exponents_are_the_first_of_all_of_them() -> None:
    steps = draw(500, 6, 6, seed=3)
    products = [LyapunovProduct(6, count, transient=400) for count in (6, 2)]
    for step in steps:
        for product in products:
            product.absorb(step)
    all_of_them, two = (product.exponents().values for product in products)
    assert two.shape == (2,)
    torch.testing.assert_close(two, all_of_them[:2], rtol=0, atol=1e-12)


def test_random_matrices_follow_the_law_of_newman() -> None:
    """Gaussian entries of variance 1/N: λ_i = (log(2/N) + ψ((N − i + 1)/2))/2 exactly.

    Newman, "The distribution of Lyapunov exponents: exact results for random matrices", 1986.
    """
    size, batch, steps = 4, 32, 600
    product = LyapunovProduct(size, batch_shape=(batch,))
    for step in draw(steps, batch, size, size) / math.sqrt(size):
        product.absorb(step)
    exponents = product.exponents()
    digamma = torch.digamma(torch.arange(size, 0, -1, dtype=torch.float64) / 2)
    expected = (math.log(2 / size) + digamma) / 2
    mean, spread = exponents.values.mean(0), exponents.values.std(0)
    assert ((mean - expected).abs() < 4 * spread / math.sqrt(batch)).all()
    assert (spread < 0.05).all()
    # The stated standard errors are the spread that other draws show.
    ratio = exponents.standard_error.mean(0) / spread
    assert ((ratio > 0.7) & (ratio < 1.4)).all()


def test_a_long_interval_that_collapses_the_directions_says_so() -> None:
    step = torch.diag(torch.tensor([1.0, 1e-3], dtype=torch.float64))
    short, long = (exponents_of(step, 200, interval=interval) for interval in (1, 20))
    assert short.rounding.max() < 1e-10
    assert short.values[1].item() == pytest.approx(math.log(1e-3), abs=0.1)
    assert long.rounding[0] < 1e-10
    assert torch.isnan(long.values[1])
    assert long.rounding[1] == math.inf


def test_scales_far_from_one_neither_overflow_nor_underflow() -> None:
    for scale in (1e150, 1e-150):
        exponents = exponents_of(scale * torch.eye(3, dtype=torch.float64), 50, interval=10)
        np.testing.assert_allclose(exponents.values.numpy(), math.log(scale), rtol=1e-14, atol=0)


def test_zero_rows_give_minus_infinity_exactly() -> None:
    step = torch.diag(torch.tensor([2.0, 0.5, 0.0], dtype=torch.float64))
    exponents = exponents_of(step, 100, transient=60)
    expected = [math.log(2), math.log(0.5), -math.inf]
    np.testing.assert_allclose(exponents.values.numpy(), expected, rtol=0, atol=1e-12)
    assert exponents.rounding[2] == exponents.standard_error[2] == 0
    nilpotent = torch.diag(torch.ones(2, dtype=torch.float64), 1)
    assert torch.isneginf(exponents_of(nilpotent, 5).values).all()


def test_few_factorisations_leave_the_standard_error_open() -> None:
    assert exponents_of(draw(3, 3), 15).standard_error.isinf().all()
    assert exponents_of(draw(3, 3), 16).standard_error.isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 4}, "count must not exceed the 3 entries of the state, got 4"),
        ({"count": 0}, "count must be a positive integer, got 0"),
        ({"interval": 0}, "interval must be a positive integer, got 0"),
        ({"transient": -1}, "transient must be zero or a positive integer, got -1"),
        ({"transient": True}, "transient must be zero or a positive integer, got True"),
        ({"transient": 2.5}, "transient must be zero or a positive integer, got 2.5"),
        ({"dtype": torch.float16}, "dtype must be torch.float64 or torch.float32"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=re.escape(message)):
        LyapunovProduct(3, **options)


def test_a_transient_that_leaves_nothing_and_a_step_that_is_not_finite() -> None:
    with pytest.raises(ArgumentError, match="more steps than the transient of 5, got 5"):
        exponents_of(torch.eye(2, dtype=torch.float64), 5, transient=5)
    with pytest.raises(NonFiniteError, match="step 1 holds NaN"):
        exponents_of(torch.full((2, 2), math.nan, dtype=torch.float64), 1)
