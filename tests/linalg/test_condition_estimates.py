"""Condition, effective and stable rank against closed forms and arbitrary precision."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from product_families import absorbed, jordan_chain, tanh_network

from gradprobe.linalg import Spectrum
from gradprobe.linalg.condition import effective_rank, log_condition, stable_rank


def spectrum_of(logs: list[float], error: float = 1e-13) -> Spectrum:
    values = torch.tensor(sorted(logs, reverse=True), dtype=torch.float64)
    errors = torch.full_like(values, error).masked_fill(values == -math.inf, 0.0)
    return Spectrum(values, errors, errors <= 1e-6)


def exact_ranks(logs: list[float]) -> tuple[float, float]:
    """Effective and stable rank with fifty digits."""
    with mpmath.workdps(50):
        sigma = [mpmath.exp(log) for log in logs]
        p = [value / mpmath.fsum(sigma) for value in sigma]
        entropy = -mpmath.fsum(value * mpmath.log(value) for value in p)
        stable = mpmath.fsum((value / max(sigma)) ** 2 for value in sigma)
        return float(mpmath.exp(entropy)), float(stable)


@given(st.lists(st.floats(-3000, 3000), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_any_spectrum(logs: list[float]) -> None:
    spectrum = spectrum_of(logs)
    condition = log_condition(spectrum)
    assert condition.value.item() == max(logs) - min(logs)
    assert condition.error.item() == 2e-13
    for estimate, exact in zip(
        (effective_rank(spectrum), stable_rank(spectrum)), exact_ranks(logs), strict=True
    ):
        assert abs(estimate.value.item() - exact) <= estimate.error.item() < 1e-11
        assert 1 - 1e-12 < estimate.value.item() < len(logs) + 1e-12


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=6), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_errors_of_the_spectrum_are_carried_over(logs: list[float], seed: int) -> None:
    size = 1e-5
    moved = np.array(logs) + np.random.default_rng(seed).uniform(-size, size, len(logs))
    spectrum = spectrum_of(moved.tolist(), error=size)
    exact = exact_ranks(logs)
    for estimate, value in zip(
        (effective_rank(spectrum), stable_rank(spectrum)), exact, strict=True
    ):
        assert abs(estimate.value.item() - value) <= estimate.error.item() * (1 + 1e-3)
        assert estimate.error.item() < 100 * size


def test_equal_values_have_full_rank_and_a_single_one_has_rank_one() -> None:
    for count in (1, 3, 8):
        spectrum = spectrum_of([-700.0] * count + [-2000.0] * 2)
        assert effective_rank(spectrum).value.item() == pytest.approx(count, abs=1e-13)
        assert stable_rank(spectrum).value.item() == pytest.approx(count, abs=1e-13)
        assert log_condition(spectrum).value.item() == 1300


def test_a_geometric_spectrum_has_the_stable_rank_of_a_geometric_series() -> None:
    size, ratio = 5, 0.5
    product = absorbed([np.diag(ratio ** np.arange(size))] * 2)
    estimate = stable_rank(product.log_singular_values())
    expected = (1 - ratio ** (4 * size)) / (1 - ratio**4)
    assert abs(estimate.value.item() - expected) <= estimate.error.item() < 1e-12


def test_a_structural_zero_makes_the_condition_infinite_and_resolved() -> None:
    product = absorbed([np.diag([2.0, 1.0, 0.0])] * 3)
    condition = log_condition(product.log_singular_values())
    assert condition.value.item() == math.inf
    assert condition.error.item() == 0
    assert stable_rank(product.log_singular_values()).value.item() == pytest.approx(1 + 2**-6)


def test_the_zero_matrix() -> None:
    spectrum = absorbed([np.zeros((3, 3))]).log_singular_values()
    assert log_condition(spectrum).value.item() == math.inf
    for estimate in (effective_rank(spectrum), stable_rank(spectrum)):
        assert estimate.value.item() == 0
        assert estimate.error.item() == 0


def test_an_undetermined_tail_leaves_the_ranks_determined_where_it_is_small() -> None:
    spectrum = absorbed(tanh_network(12, 80)).log_singular_values()
    error = spectrum.error.clone()
    error[-3:] = math.inf
    tail = spectrum._replace(error=error)
    assert log_condition(tail).error.item() == math.inf
    for rank in (effective_rank, stable_rank):
        assert rank(tail).value.item() == rank(spectrum).value.item()
        assert rank(tail).error.item() < 1e-9
    error[0] = math.inf
    assert effective_rank(spectrum._replace(error=error)).error.item() == math.inf


def test_an_undetermined_value_near_the_largest_leaves_the_ranks_undetermined() -> None:
    spectrum = spectrum_of([0.0, 0.0, -0.5])
    error = torch.tensor([1e-13, 1e-13, math.inf], dtype=torch.float64)
    for rank, least in ((effective_rank, 0.9), (stable_rank, 0.6)):
        assert rank(spectrum._replace(error=error)).error.item() > least


def test_a_defective_chain_has_no_resolved_condition() -> None:
    spectrum = absorbed(jordan_chain(32, 800)).log_singular_values()
    assert log_condition(spectrum).error.item() == math.inf
