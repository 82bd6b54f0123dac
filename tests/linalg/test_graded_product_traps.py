"""Faults that looked harmless in a prototype: each test fails when its fault is built in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from product_families import Steps, absorbed, assert_honest, pre_activation_network, reference

from gradprobe.linalg import GradedProduct


@pytest.fixture(scope="module", name="uneven")
def draw_uneven_steps() -> Steps:
    """Saturated units before the activation: the columns of each J differ by e^20 and more."""
    return pre_activation_network(128, 12, gain=8.0)


@pytest.fixture(scope="module", name="exact")
def compute_reference(uneven: Steps) -> np.ndarray:
    return reference(uneven)


def test_uneven_columns_of_128_units_cost_no_digit(uneven: Steps, exact: np.ndarray) -> None:
    """Columns left unsorted before a QR are 51 nats off; signs of diag(R) dropped, 8 nats."""
    spectrum = absorbed(uneven, tolerance=1e-9).log_singular_values()
    values = spectrum.log_singular_values.numpy()
    assert exact[0] > 10
    assert exact[-1] < -460
    np.testing.assert_allclose(values, exact, rtol=0, atol=1e-10)
    assert_honest(spectrum, exact)
    assert spectrum.resolved.all()
    logs_of_determinants = sum(np.linalg.slogdet(step)[1] for step in uneven)
    assert values.sum() == pytest.approx(logs_of_determinants, rel=1e-13)


def test_negative_diagonals_of_r_count() -> None:
    """Householder QR leaves negative entries there; without their signs V is another matrix."""
    shear = torch.tensor([[1.0, 3.0], [0.0, 1.0]], dtype=torch.float64)
    mirror = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    product = GradedProduct(2)
    for factor in (shear, mirror, shear):
        product.absorb(factor)
    expected = np.log(np.linalg.svd((shear @ mirror @ shear).numpy())[1])
    got = product.log_singular_values().log_singular_values
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-14)
