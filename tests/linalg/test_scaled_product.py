"""Norms at every step: closed forms, arbitrary precision, and errors that are never too small."""

from __future__ import annotations

import math

import flint
import numpy as np
import pytest
import torch
from product_families import (
    Steps,
    clusters,
    explosive,
    jordan_chain,
    lstm,
    orthogonal,
    tanh_network,
    there_and_back,
)

from gradprobe.errors import ArgumentError, NonFiniteError
from gradprobe.linalg import GradedProduct, ScaledProduct

FAMILIES = {
    "tanh": lambda: tanh_network(8, 150, seed=3),
    "saturated": lambda: tanh_network(8, 150, gain=4.0),
    "orthogonal": lambda: orthogonal(8, 150),
    "clusters": lambda: clusters(8, 150),
    "explosive": lambda: explosive(8, 150),
    "lstm": lambda: lstm(4, 150),
    "jordan": lambda: jordan_chain(8, 150),
    "there and back": lambda: there_and_back(8, 40),
}


def exact_log_norms(steps: Steps) -> list[float]:
    norms = []
    with flint.ctx.workprec(4000):
        product = flint.arb_mat(np.eye(len(steps[0])).tolist())
        for step in steps:
            product = (flint.arb_mat(step.tolist()) * product).mid()
            squares = sum((entry * entry for entry in product.entries()), flint.arb(0))
            norms.append(float((squares.log() / 2).mid()))
    return norms


@pytest.mark.parametrize("family", FAMILIES)
def test_no_norm_is_farther_off_than_stated(family: str) -> None:
    steps = FAMILIES[family]()
    product = ScaledProduct(8, generator=torch.Generator().manual_seed(0))
    for number, (step, exact) in enumerate(zip(steps, exact_log_norms(steps), strict=True), 1):
        product.absorb(torch.from_numpy(step))
        norm = product.log_norm()
        off = abs(norm.log_norm.item() - exact)
        assert off <= norm.error.item(), f"step {number} is off by {off:.1e}"
        if family != "there and back":
            assert norm.error.item() < 1e-11


def test_there_and_back_is_not_determined() -> None:
    product = ScaledProduct(8, generator=torch.Generator().manual_seed(0))
    for step in there_and_back(8, 40):
        product.absorb(torch.from_numpy(step))
    assert product.log_norm().error == torch.inf
    assert not product.log_norm().resolved


def test_the_norm_of_the_identity_needs_no_step() -> None:
    norm = ScaledProduct(9).log_norm()
    assert norm.log_norm.item() == pytest.approx(math.log(3), abs=1e-15)
    assert norm.resolved


@pytest.mark.parametrize("factor", [1e-150, 1e-30, 1e30, 1e150])
def test_scales_beyond_the_range_of_floating_point(factor: float) -> None:
    product = ScaledProduct(4)
    for _ in range(50):
        product.absorb(factor * torch.eye(4, dtype=torch.float64))
    expected = math.log(2) + 50 * math.log(factor)
    assert product.log_norm().log_norm.item() == pytest.approx(expected, rel=1e-14)
    assert product.log_spectral_norm().log_norm.item() == pytest.approx(
        expected - math.log(2), rel=1e-14
    )


def test_matrix_and_exponent_make_up_the_product() -> None:
    product = ScaledProduct(5, slice(0, 2))
    step = torch.diag(torch.tensor([1.0, 2, 3, 4, 5], dtype=torch.float64)) * 2.0**150
    for _ in range(3):
        product.absorb(step)
    exponent = int(product.exponent)
    assert exponent != 0
    expected = torch.diag(torch.tensor([1.0, 8, 27, 64, 125], dtype=torch.float64))[:, :2]
    torch.testing.assert_close(product.matrix * 2.0 ** (exponent - 450), expected, rtol=0, atol=0)


def test_an_exact_zero_is_minus_infinity_with_no_error() -> None:
    product = ScaledProduct(4)
    shift = torch.diag(torch.ones(3, dtype=torch.float64), 1)
    for _ in range(4):
        product.absorb(shift)
    norm = product.log_norm()
    assert norm.log_norm == -torch.inf
    assert norm.error == 0
    assert norm.resolved


def test_a_zero_by_cancellation_is_not_determined() -> None:
    generator = np.random.default_rng(0)
    direction = generator.normal(size=(6, 1))
    null = np.linalg.qr(direction, mode="complete")[0][:, 1:]
    product = ScaledProduct(6)
    product.absorb(torch.from_numpy(direction @ generator.normal(size=(1, 6))))
    product.absorb(torch.from_numpy(generator.normal(size=(6, 5)) @ null.T))
    assert product.log_norm().error == torch.inf


def test_rows_and_columns_give_the_norms_of_a_block() -> None:
    steps = [torch.from_numpy(step) for step in lstm(5, 20)]
    product = ScaledProduct(10, slice(0, 5))
    dense = torch.eye(10, dtype=torch.float64)
    for step in steps:
        product.absorb(step)
        dense = step @ dense
    block = dense[:5, :5]
    frobenius, spectral = product.log_norm(slice(0, 5)), product.log_spectral_norm(slice(0, 5))
    assert frobenius.log_norm.item() == pytest.approx(block.norm().log().item(), abs=1e-12)
    largest = torch.linalg.matrix_norm(block, ord=2).log().item()
    assert spectral.log_norm.item() == pytest.approx(largest, abs=1e-12)


def test_a_batch_is_its_elements_side_by_side() -> None:
    batch = torch.stack([torch.from_numpy(np.stack(tanh_network(6, 30, seed=s))) for s in (0, 1)])
    together = ScaledProduct(6, batch_shape=(2,))
    alone = [ScaledProduct(6), ScaledProduct(6)]
    for t in range(30):
        together.absorb(batch[:, t])
        for product, steps in zip(alone, batch, strict=True):
            product.absorb(steps[t])
    expected = torch.stack([product.log_norm().log_norm for product in alone])
    torch.testing.assert_close(together.log_norm().log_norm, expected, rtol=0, atol=1e-12)


def test_single_precision_states_its_larger_errors() -> None:
    steps = [step.astype(np.float32) for step in tanh_network(8, 100)]
    product = ScaledProduct(8, dtype=torch.float32)
    exact = exact_log_norms([step.astype(np.float64) for step in steps])
    for step in steps:
        product.absorb(torch.from_numpy(step))
    norm = product.log_norm()
    assert 1e-8 < norm.error.item() < 1e-3
    assert abs(norm.log_norm.item() - exact[-1]) <= norm.error.item()


def test_the_largest_singular_value_agrees_with_the_graded_product() -> None:
    scaled, graded = ScaledProduct(8), GradedProduct(8)
    for step in tanh_network(8, 200):
        scaled.absorb(torch.from_numpy(step))
        graded.absorb(torch.from_numpy(step))
    largest = graded.log_singular_values().log_singular_values[0].item()
    assert scaled.log_spectral_norm().log_norm.item() == pytest.approx(largest, abs=1e-11)


def test_wrong_steps_are_refused_with_their_number() -> None:
    with pytest.raises(ArgumentError, match="columns must be a slice"):
        ScaledProduct(3, 2)  # type: ignore[arg-type]
    product = ScaledProduct(3)
    product.absorb(torch.eye(3, dtype=torch.float64))
    with pytest.raises(ArgumentError, match=r"step 2 must have shape \(3, 3\), got \(2, 3\)"):
        product.absorb(torch.ones(2, 3, dtype=torch.float64))
    with pytest.raises(ArgumentError, match=r"step 2 must have dtype torch.float64"):
        product.absorb(torch.eye(3))
    with pytest.raises(NonFiniteError, match="step 2 holds NaN"):
        product.absorb(torch.full((3, 3), torch.nan, dtype=torch.float64))
