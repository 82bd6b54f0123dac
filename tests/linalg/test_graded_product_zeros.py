"""Zeros by structure are −inf exactly, with error 0; zeros by rounding are not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from product_families import absorbed, assert_honest, orthogonal_matrix, reference, tanh_network

from gradprobe.linalg import GradedProduct


def test_a_nilpotent_shift_vanishes_after_size_steps() -> None:
    product = GradedProduct(5)
    shift = torch.diag(torch.ones(4, dtype=torch.float64), 1)
    for step in range(1, 8):
        product.absorb(shift)
        spectrum = product.log_singular_values()
        assert (spectrum.log_singular_values == -torch.inf).sum() == min(step, 5)
        assert spectrum.resolved.all()


def test_a_strictly_triangular_matrix_vanishes_after_size_steps() -> None:
    product = GradedProduct(6)
    generator = torch.Generator().manual_seed(0)
    for _ in range(6):
        product.absorb(torch.randn(6, 6, generator=generator, dtype=torch.float64).tril(-1))
    spectrum = product.log_singular_values()
    assert (spectrum.log_singular_values == -torch.inf).all()
    assert (spectrum.error == 0).all()


def test_a_zero_step_makes_all_values_minus_infinity() -> None:
    product = GradedProduct(4)
    product.absorb(torch.eye(4, dtype=torch.float64))
    product.absorb(torch.zeros(4, 4, dtype=torch.float64))
    product.absorb(torch.ones(4, 4, dtype=torch.float64))
    assert (product.log_singular_values().log_singular_values == -torch.inf).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_zero_rows_and_columns_bound_the_rank(axis: int) -> None:
    steps = tanh_network(12, 60)
    for at, dead in ((20, [3]), (40, [0, 3, 7])):
        steps[at] = steps[at].copy()
        steps[at][(dead, slice(None)) if axis == 0 else (slice(None), dead)] = 0.0
    spectrum = absorbed(steps, tolerance=1e-9).log_singular_values()
    assert (spectrum.log_singular_values == -torch.inf).tolist() == [False] * 9 + [True] * 3
    assert spectrum.resolved.all()
    assert_honest(type(spectrum)(*(part[:9] for part in spectrum)), reference(steps)[:9])


def test_a_dependence_without_zeros_is_unresolved_not_minus_infinity() -> None:
    generator = np.random.default_rng(0)
    steps = [orthogonal_matrix(8, generator) for _ in range(5)]
    steps[2] = steps[2].copy()
    steps[2][1] = steps[2][0]
    # LAPACK leaves exact zero of the dependent row, or rounding, whose neighbour is less certain.
    spectrum = absorbed(steps, tolerance=1e-5).log_singular_values()
    assert spectrum.resolved[:-1].all()
    assert spectrum.error[-1] == torch.inf


def test_zero_rows_among_uneven_ones_leave_the_other_values_exact() -> None:
    """A gain of 8 reaches zero slopes: 1 − tanh² is 0 for some units, 1e-16 for others."""
    steps = tanh_network(16, 60, gain=8.0)
    assert min((step != 0).any(1).sum() for step in steps) == 14
    spectrum = absorbed(steps).log_singular_values()
    assert (spectrum.log_singular_values == -torch.inf).tolist() == [False] * 14 + [True] * 2
    live = type(spectrum)(*(part[:14] for part in spectrum))
    assert_honest(live, reference(steps)[:14])
    assert spectrum.resolved.all()


def test_a_hidden_block_without_recurrent_weights_is_zero_by_structure() -> None:
    product = GradedProduct(6)
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        step = torch.randn(6, 6, generator=generator, dtype=torch.float64)
        step[:, :3] = 0.0
        product.absorb(step)
    spectrum = product.block(slice(0, 3), slice(0, 3))
    assert (spectrum.log_singular_values == -torch.inf).all()
    assert spectrum.resolved.all()
