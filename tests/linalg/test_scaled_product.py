"""Norms at every step: closed forms, arbitrary precision, and errors that are never too small."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

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

from gradprobe.linalg import GradedProduct, Norm, ScaledProduct, arbitrary_precision

BITS = 4000
FAMILIES: dict[str, Callable[[], Steps]] = {
    "tanh": lambda: tanh_network(8, 150, seed=3),
    "tanh to e^-2000": lambda: tanh_network(8, 700, gain=0.1),
    "to e^-20000": lambda: [1e-60 * step for step in orthogonal(8, 150)],
    "zeros": lambda: [np.diag(np.ones(7), 1)] * 12,
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
    with flint.ctx.workprec(BITS):
        product = flint.arb_mat(np.eye(len(steps[0])).tolist())
        for step in steps:
            product = (flint.arb_mat(step.tolist()) * product).mid()
            norms.append(exact_log_norm(product))
    return norms


def exact_log_norm(matrix: flint.arb_mat) -> float:
    squares = sum((entry * entry for entry in matrix.entries()), flint.arb(0))
    return -math.inf if squares == 0 else float((squares.log() / 2).mid())


def absorbed(steps: Steps, columns: slice | None = None, **options: Any) -> ScaledProduct:
    product = ScaledProduct(len(steps[0]), columns, **options)
    for step in steps:
        product.absorb(torch.from_numpy(step).to(product.dtype))
    return product


def off(norm: Norm, exact: float) -> float:
    value = norm.log_norm.item()
    return 0.0 if value == exact else abs(value - exact)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_norm_is_farther_off_than_stated(family: str) -> None:
    steps = FAMILIES[family]()
    product = ScaledProduct(8)
    for number, (step, exact) in enumerate(zip(steps, exact_log_norms(steps), strict=True), 1):
        product.absorb(torch.from_numpy(step))
        norm = product.log_norm()
        far, stated = off(norm, exact), norm.error.item()
        assert far <= stated, f"step {number} is off by {far:.1e}, stated is {stated:.1e}"
        if family != "there and back":
            assert stated < 1e-11, f"step {number} states {stated:.1e}"


def test_the_families_go_where_they_should() -> None:
    last = {family: exact_log_norms(steps())[-1] for family, steps in FAMILIES.items()}
    assert last["tanh to e^-2000"] < -2000
    assert last["to e^-20000"] < -20000
    assert last["explosive"] > 990
    assert last["zeros"] == -math.inf


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("network", [tanh_network, orthogonal, clusters])
def test_three_hundred_benign_steps_state_no_more_than_rounding_can_do(
    network: Callable[..., Steps], seed: int
) -> None:
    steps = network(16, 300, seed=seed)
    norm = absorbed(steps).log_norm()
    assert off(norm, exact_log_norms(steps)[-1]) <= norm.error.item() < 1e-11


def test_there_and_back_is_not_determined() -> None:
    norm = absorbed(there_and_back(8, 40)).log_norm()
    assert norm.error == torch.inf
    assert not norm.resolved


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
    norm = absorbed([np.diag(np.ones(3), 1)] * 4).log_norm()
    assert norm.log_norm == -torch.inf
    assert norm.error == 0
    assert norm.resolved


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("halvings", [20, 60, 100, 600, 1000])
def test_a_row_far_below_the_others_is_right_or_unresolved(
    dtype: torch.dtype, halvings: int
) -> None:
    """Neither the squares of its entries nor the entries themselves may underflow unseen."""
    product = absorbed([np.diag([1.0, 0.5])] * halvings, dtype=dtype)
    for norm in (product.log_norm(slice(1, 2)), product.log_spectral_norm(slice(1, 2))):
        assert off(norm, -halvings * math.log(2)) <= norm.error.item()
        assert norm.error < 1e-3 or (dtype is torch.float32 and halvings > 100)


def test_a_row_that_underflows_is_no_zero() -> None:
    product = absorbed([np.diag([1.0, 0.5])] * 1200)
    assert product.log_norm(slice(1, 2)).error == torch.inf
    product.absorb(torch.diag(torch.tensor([0.0, 1.0], dtype=torch.float64)))
    assert product.log_norm().error == torch.inf
    product.absorb(torch.diag(torch.tensor([1.0, 0.0], dtype=torch.float64)))
    assert product.log_norm().log_norm == -torch.inf
    assert product.log_norm().error == 0


def test_a_row_that_underflows_in_a_single_step_is_no_zero() -> None:
    norm = absorbed([np.diag([1.0, 1e-170])] * 2).log_norm(slice(1, 2))
    assert norm.error == torch.inf


def test_a_product_that_underflows_in_a_single_step_is_followed_without_its_digits() -> None:
    factors = [2.0**-24, 1e-37, 2.0**100]
    norm = absorbed([factor * np.eye(2) for factor in factors], dtype=torch.float32).log_norm()
    assert norm.log_norm.item() == pytest.approx(sum(map(math.log, factors)), abs=1)
    assert norm.error == torch.inf


@pytest.mark.parametrize("factor", [1e-200, 1e200])
def test_one_step_may_leave_the_range_whose_squares_are_representable(factor: float) -> None:
    product = ScaledProduct(2)
    for steps in range(1, 4):
        product.absorb(factor * torch.eye(2, dtype=torch.float64))
        expected = math.log(2) / 2 + steps * math.log(factor)
        assert product.log_norm().log_norm.item() == pytest.approx(expected, rel=1e-14)


def test_single_precision_keeps_an_exponent_in_double() -> None:
    norm = absorbed([np.eye(4) / 2] * 434, dtype=torch.float32).log_norm()
    assert norm.log_norm.item() == pytest.approx(math.log(2) - 434 * math.log(2), abs=1e-12)


def test_a_zero_by_cancellation_is_not_determined() -> None:
    generator = np.random.default_rng(0)
    direction = generator.normal(size=(6, 1))
    null = np.linalg.qr(direction, mode="complete")[0][:, 1:]
    product = ScaledProduct(6)
    product.absorb(torch.from_numpy(direction @ generator.normal(size=(1, 6))))
    product.absorb(torch.from_numpy(generator.normal(size=(6, 5)) @ null.T))
    assert product.log_norm().error == torch.inf


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (slice(0, 5), slice(0, 5)),
        (slice(3, 9, 2), slice(2, 6)),
        (torch.tensor([7, 1, 4]), slice(-3, None)),
        (None, slice(9, 10)),
    ],
)
def test_rows_and_columns_give_the_norms_of_a_block(
    rows: slice | torch.Tensor | None, columns: slice
) -> None:
    steps = lstm(5, 200)
    product = absorbed(steps, columns)
    exact = np.array(arbitrary_precision.product(steps, BITS).tolist())[:, columns]
    block = exact if rows is None else exact[rows]
    frobenius, spectral = product.log_norm(rows), product.log_spectral_norm(rows)
    assert off(frobenius, exact_log_norm(flint.arb_mat(block.tolist()))) <= frobenius.error.item()
    wide = block if len(block) <= block.shape[1] else block.T
    largest = arbitrary_precision.log_singular_values(flint.arb_mat(wide.tolist()), BITS)[0]
    assert off(spectral, largest) <= spectral.error.item() < 1e-11


def test_a_batch_is_its_elements_side_by_side() -> None:
    """One vanishes exactly, one explodes, one decays: each as if it were alone."""
    kinds = [lstm(4, 90), [np.diag(np.ones(7), 1)] * 90, explosive(8, 90), tanh_network(8, 90)]
    together = ScaledProduct(8, batch_shape=(2, 2))
    alone = [ScaledProduct(8) for _ in kinds]
    for t in range(90):
        steps = [torch.from_numpy(kind[t]) for kind in kinds]
        together.absorb(torch.stack(steps).reshape(2, 2, 8, 8))
        for product, step in zip(alone, steps, strict=True):
            product.absorb(step)
        joint = together.log_norm(slice(2, 7))
        for index, product in enumerate(alone):
            norm = product.log_norm(slice(2, 7))
            got = Norm(*(part.flatten()[index] for part in joint))
            assert off(got, norm.log_norm.item()) <= norm.error.item()
            assert got.resolved
    assert together.log_norm().log_norm[0, 1] == -torch.inf


def test_products_draw_from_no_shared_generator() -> None:
    steps = tanh_network(6, 30)
    before = torch.get_rng_state()
    first, second = absorbed(steps).log_norm(), absorbed(steps).log_norm()
    assert torch.equal(torch.get_rng_state(), before)
    assert first.error == second.error
    seeded = absorbed(steps, generator=torch.Generator().manual_seed(1)).log_norm()
    assert seeded.log_norm == first.log_norm
    assert seeded.error != first.error


@pytest.mark.parametrize("seed", range(5))
def test_single_precision_states_its_larger_errors(seed: int) -> None:
    steps = [step.astype(np.float32).astype(np.float64) for step in tanh_network(8, 100, seed=seed)]
    norm = absorbed(steps, dtype=torch.float32).log_norm()
    assert off(norm, exact_log_norms(steps)[-1]) <= norm.error.item()
    assert 1e-8 < norm.error.item() < 1e-3


def test_the_largest_singular_value_agrees_with_the_graded_product() -> None:
    scaled, graded = ScaledProduct(8), GradedProduct(8)
    for step in tanh_network(8, 200):
        scaled.absorb(torch.from_numpy(step))
        graded.absorb(torch.from_numpy(step))
    largest = graded.log_singular_values().log_singular_values[0].item()
    assert scaled.log_spectral_norm().log_norm.item() == pytest.approx(largest, abs=1e-11)
