"""Cotangents going back: scales far apart, what enters on the way, and how far to trust them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gradprobe.errors import NonFiniteError
from gradprobe.linalg import Cotangents, ScaledSum


def draw(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def started(columns: Tensor) -> Cotangents:
    return Cotangents(columns, generator=torch.Generator().manual_seed(0))


def test_the_norm_is_that_of_the_plain_product() -> None:
    steps, columns = draw(9, 2, 5, 5), draw(2, 5, 3, seed=1)
    cotangents = started(columns)
    for step in steps:
        cotangents.pull_back(step.mT)
        columns = step.mT @ columns
    norm = cotangents.norm(slice(1, 4), tolerance=1e-6)
    expected = torch.linalg.matrix_norm(columns[:, 1:4]).log()
    torch.testing.assert_close(norm.log_norm, expected, rtol=0, atol=1e-13)
    assert norm.resolved.all()
    assert ((norm.log_norm - expected).abs() <= norm.error).all()
    assert (norm.error < 1e-12).all()


@pytest.mark.parametrize("factor", [2.0**-30, 2.0**30])
def test_a_batch_keeps_each_its_own_scale(factor: float) -> None:
    cotangents = started(torch.ones(3, 2, 1, dtype=torch.float64))
    step = torch.stack([torch.eye(2).double() * s for s in (1.0, factor, 1 / factor)])
    for _ in range(400):
        cotangents.pull_back(step)
    expected = 400 * math.log(factor) * torch.tensor([0, 1, -1], dtype=torch.float64)
    norm = cotangents.norm(tolerance=1e-6)
    torch.testing.assert_close(norm.log_norm, expected + math.log(2) / 2, rtol=1e-15, atol=1e-13)
    assert norm.resolved.all()


@pytest.mark.parametrize("exponent", [-3000, -700, 0, 700, 3000])
def test_what_enters_is_added_at_its_own_scale(exponent: int) -> None:
    """Σ of 2^exponent and one: the larger where they are far apart, the sum where they are not."""
    cotangents = started(torch.ones(1, 1, dtype=torch.float64))
    for _ in range(abs(exponent)):
        cotangents.pull_back(torch.full((1, 1), 2.0 if exponent > 0 else 0.5).double())
    cotangents.add(torch.ones(1, 1, dtype=torch.float64), slice(0, 1))
    expected = math.log(2) if exponent == 0 else max(0.0, exponent * math.log(2))
    norm = cotangents.norm(tolerance=1e-6)
    assert norm.log_norm.item() == pytest.approx(expected, abs=1e-12)
    assert norm.resolved


@pytest.mark.parametrize("growth", [0, 3000])
def test_what_enters_after_a_true_zero_counts_alone(growth: int) -> None:
    cotangents = started(torch.ones(1, 1, dtype=torch.float64))
    for _ in range(growth):
        cotangents.pull_back(torch.full((1, 1), 2.0, dtype=torch.float64))
    cotangents.pull_back(torch.zeros(1, 1, dtype=torch.float64))
    zero = cotangents.norm(tolerance=1e-6)
    assert (zero.log_norm.item(), zero.error.item()) == (-math.inf, 0.0)
    assert zero.resolved
    cotangents.add(torch.tensor([[1e-300]], dtype=torch.float64), slice(0, 1))
    assert cotangents.norm(tolerance=1e-6).log_norm.item() == pytest.approx(math.log(1e-300))


def test_what_cancels_is_not_resolved() -> None:
    """JᵀP = (1 − (1 − u)) is made of nothing but rounding."""
    cotangents = started(torch.tensor([[1.0], [1.0 - 2**-53]], dtype=torch.float64))
    cotangents.pull_back(torch.tensor([[1.0, -1.0], [0.0, 1.0]], dtype=torch.float64))
    row = cotangents.norm(slice(0, 1), tolerance=1e-6)
    assert not row.resolved
    assert row.error.item() == math.inf
    assert cotangents.norm(slice(1, 2), tolerance=1e-6).resolved


def test_a_row_lost_to_underflow_is_not_called_zero() -> None:
    """One row stays at one while the other falls to 2^-1500, out of range beside it."""
    cotangents = started(torch.ones(2, 1, dtype=torch.float64))
    for _ in range(1500):
        cotangents.pull_back(torch.diag(torch.tensor([1.0, 0.5], dtype=torch.float64)))
    lost = cotangents.norm(slice(1, 2), tolerance=1e-6)
    assert not lost.resolved
    assert cotangents.norm(slice(0, 1), tolerance=1e-6).resolved


def test_a_step_that_is_not_finite_is_refused() -> None:
    cotangents = started(torch.ones(1, 1, dtype=torch.float64))
    cotangents.pull_back(torch.ones(1, 1, dtype=torch.float64))
    with pytest.raises(NonFiniteError, match="NaN or infinite after 2 steps back in time"):
        cotangents.pull_back(torch.full((1, 1), math.nan, dtype=torch.float64))


@pytest.mark.parametrize("seed", range(5))
def test_the_stated_error_covers_single_precision(seed: int) -> None:
    """A product whose columns shrink unevenly, in float32, against float64."""
    steps = draw(60, 6, 6, seed=seed).float()
    single = started(torch.eye(6))
    double = torch.eye(6, dtype=torch.float64)
    for step in steps:
        single.pull_back(step)
        double = step.double() @ double
    for row in range(6):
        norm = single.norm(slice(row, row + 1), tolerance=1e-6)
        off = abs(norm.log_norm.item() - double[row].norm().log().item())
        assert off <= norm.error.item()
        assert norm.error.item() < 1e4 * max(off, 2**-24)


@settings(max_examples=50, deadline=None)
@given(
    terms=st.lists(st.tuples(st.integers(-5, 5), st.integers(-4000, 4000)), min_size=1, max_size=8)
)
def test_a_scaled_sum_is_the_sum_of_integers(terms: list[tuple[int, int]]) -> None:
    total = ScaledSum(torch.zeros(1, dtype=torch.float64))
    for value, exponent in terms:
        total.add(torch.tensor([float(value)], dtype=torch.float64), exponent)
    exact = sum(value << (exponent + 4000) for value, exponent in terms)
    largest = max((abs(value) << (exponent + 4000) for value, exponent in terms), default=0)
    numerator, denominator = total.tensor.item().as_integer_ratio()
    shift = total.exponent + 4000
    ours = numerator << max(shift, 0)
    off = abs(ours - ((exact * denominator) << max(-shift, 0)))
    bound = ((largest * denominator) << max(-shift, 0)) * len(terms)
    assert off * 2**52 <= bound
