"""Eigenvalues of products against arbitrary precision: honest, and right where determined."""

from __future__ import annotations

import functools
import math

import flint
import numpy as np
import pytest
import torch
from product_families import (
    FAMILIES,
    Steps,
    absorbed,
    jordan_chain,
    lstm,
    orthogonal,
    tanh_network,
    there_and_back,
)

from gradprobe.linalg import GradedProduct
from gradprobe.linalg.eigenvalues import Eigenvalues, eigenvalues_of


def reference(steps: Steps, rows: int | None = None) -> np.ndarray:
    """Return log λ of the product, or of its leading block, complex, by descending modulus."""
    values = np.linalg.svd(np.stack(steps), compute_uv=False)
    bits = 2 * int(np.log2(values[:, 0] / values[:, -1]).sum()) + 400
    with flint.ctx.workprec(bits):
        factors = (flint.arb_mat(step.tolist()) for step in steps)
        matrix = functools.reduce(lambda result, factor: (factor * result).mid(), factors)
        block = [row[:rows] for row in matrix.tolist()[:rows]]
        eigenvalues = flint.acb_mat(block).eig(algorithm="approx")
    with flint.ctx.workprec(100):
        logs = [
            complex(float(abs(value.mid()).log().mid()), float(value.mid().arg().mid()))
            for value in eigenvalues
        ]
    ordered: np.ndarray = np.array(logs)[np.lexsort((-np.imag(logs), -np.real(logs)))]
    return ordered


def measured(steps: Steps, rows: int | None = None) -> Eigenvalues:
    product = absorbed(steps, repetitions=2)
    factors = product.factors(None if rows is None else slice(0, rows))
    return eigenvalues_of(factors, steps=len(steps), generator=torch.Generator(), count=rows)


def distances(eigenvalues: Eigenvalues, exact: np.ndarray) -> np.ndarray:
    """Return |δ log λ| of the determined values: to the nearest of the exact ones."""
    known = torch.isfinite(eigenvalues.error).numpy()
    logs = (eigenvalues.log_modulus + 1j * eigenvalues.phase).numpy()[known]
    difference = logs[:, None] - exact
    turned = (difference.imag + math.pi) % (2 * math.pi) - math.pi
    nearest: np.ndarray = np.hypot(difference.real, turned).min(axis=1)
    return nearest


def assert_honest(eigenvalues: Eigenvalues, exact: np.ndarray) -> None:
    known = torch.isfinite(eigenvalues.error).numpy()
    error = eigenvalues.error.numpy()[known]
    assert (distances(eigenvalues, exact) <= error).all()
    assert (np.abs(eigenvalues.log_modulus.numpy() - exact.real)[known] <= error).all()
    assert torch.isnan(eigenvalues.log_modulus).numpy()[~known].all()
    relative = np.exp(exact.real - exact.real[0])
    for index, value in enumerate((relative.mean(), relative.std())):
        stated = eigenvalues.statistics_error[index].item()
        if math.isfinite(stated):
            off = abs(eigenvalues.statistics[index].item() - math.log(value) - exact.real[0])
            assert off <= stated


@pytest.mark.parametrize("family", FAMILIES)
def test_every_eigenvalue_is_right_however_small(family: str) -> None:
    steps = FAMILIES[family]()
    eigenvalues, exact = measured(steps), reference(steps)
    assert_honest(eigenvalues, exact)
    assert eigenvalues.error.max() < 1e-7
    # The partner of each is another one: no value stands for two.
    np.testing.assert_allclose(eigenvalues.log_modulus.numpy(), exact.real, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_short_products_and_single_steps(seed: int) -> None:
    for length in (1, 3, 10):
        steps = tanh_network(16, length, seed)
        eigenvalues, exact = measured(steps), reference(steps)
        assert_honest(eigenvalues, exact)
        assert eigenvalues.error.max() < 1e-8


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("forget_bias", [1.0, 5.0])
def test_the_hidden_block_of_an_lstm(forget_bias: float, seed: int) -> None:
    steps = lstm(6, 60, seed, forget_bias=forget_bias)
    eigenvalues, exact = measured(steps, rows=6), reference(steps, rows=6)
    assert eigenvalues.log_modulus.shape == (6,)
    assert_honest(eigenvalues, exact)
    assert eigenvalues.error[0] < 1e-7


@pytest.mark.parametrize("seed", range(6))
def test_what_rounding_destroys_is_not_returned(seed: int) -> None:
    for steps in (
        there_and_back(10, 5 + 5 * seed, seed),
        there_and_back(10, 5 + 5 * seed, seed + 6),
        jordan_chain(6 + seed, 60 + 40 * seed, 0.5 + 0.1 * seed),
    ):
        assert_honest(measured(steps), reference(steps))


def test_the_eigenvalues_of_a_defective_chain_are_all_lost() -> None:
    eigenvalues = measured(jordan_chain(32, 800))
    assert torch.isnan(eigenvalues.log_modulus).all()
    assert torch.isnan(eigenvalues.statistics).all()


def test_naive_eigenvalues_are_noise_where_these_have_ten_digits() -> None:
    steps = tanh_network(12, 100)
    naive = np.sort(np.abs(np.linalg.eigvals(np.linalg.multi_dot(steps[::-1]))))[::-1]
    exact = reference(steps).real
    assert np.abs(np.log(naive[4:]) - exact[4:]).min() > 1
    assert np.abs(measured(steps).log_modulus.numpy() - exact).max() < 1e-10


def test_equal_moduli_have_a_mean_but_no_resolved_deviation() -> None:
    eigenvalues = measured(orthogonal(12, 150))
    assert abs(eigenvalues.statistics[0].item()) <= eigenvalues.statistics_error[0].item() < 1e-12
    assert torch.isnan(eigenvalues.statistics[1])
    assert eigenvalues.statistics_error[1] == math.inf


def test_zero_rows_give_true_zeros_and_a_zero_product_has_nothing_else() -> None:
    dead = np.diag([1.0, 1.0, 0.0]) @ tanh_network(3, 1)[0]
    eigenvalues = measured([dead] * 50)
    expected = 50 * np.log(np.abs(np.linalg.eigvals(dead[:2, :2])))
    np.testing.assert_allclose(
        eigenvalues.log_modulus[:2].numpy(), np.sort(expected)[::-1], rtol=1e-12, atol=0
    )
    assert eigenvalues.log_modulus[2] == -math.inf
    assert eigenvalues.error[2] == 0
    gone = measured([np.zeros((3, 3))])
    assert torch.isneginf(gone.log_modulus).all()
    assert torch.isneginf(gone.statistics).all()
    assert (gone.error == 0).all()
    assert (gone.statistics_error == 0).all()


def test_single_precision_says_so() -> None:
    steps = [step.astype(np.float32) for step in lstm(5, 50)]
    product = absorbed(steps, dtype=torch.float32, repetitions=2)
    eigenvalues = eigenvalues_of(product.factors(), steps=50, generator=torch.Generator())
    assert_honest(eigenvalues, reference([step.astype(np.float64) for step in steps]))
    assert 1e-7 < eigenvalues.error[0] < 1e-3


def test_each_element_of_a_batch_is_as_if_alone() -> None:
    families = [tanh_network(5, 40, seed=1), orthogonal(5, 40, seed=2)]
    product = GradedProduct(5, batch_shape=(2,), repetitions=2)
    for pair in zip(*families, strict=True):
        product.absorb(torch.from_numpy(np.stack(pair)))
    together = eigenvalues_of(product.factors(), steps=40, generator=torch.Generator())
    for index, steps in enumerate(families):
        assert_honest(Eigenvalues(*(part[index] for part in together)), reference(steps))
