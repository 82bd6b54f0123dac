"""Products whose steps part directions and bring them back: what was lost on the way must be told.

At the end nothing is left to see of it: the product is as well conditioned as it was before.
"""

from __future__ import annotations

import numpy as np
import product_families as families
import pytest
import torch
from numpy.typing import NDArray

from gradprobe.linalg import GradedProduct
from gradprobe.linalg.leading_values import LinearMap, leading_singular_values

Steps = list[NDArray[np.float64]]


def orthogonal_steps(size: int, count: int, seed: int) -> Steps:
    generator = np.random.default_rng(seed)
    return [families.orthogonal_matrix(size, generator) for _ in range(count)]


def turning_once(size: int, before: int, steps: int, seed: int) -> Steps:
    """Return orthogonal steps, as many steps there and back, and a few orthogonal ones."""
    turn = families.there_and_back(size, steps, seed)
    return [*orthogonal_steps(size, before, seed), *turn, *orthogonal_steps(size, 5, seed + 1)]


def wandering(size: int, steps: int, seed: int) -> Steps:
    """Return a random walk over three matrices and their inverses; half of its steps go back."""
    generator = np.random.default_rng(seed)
    ways: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    trodden: list[tuple[int, int]] = []
    result: Steps = []
    for _ in range(3):
        left, right = (families.orthogonal_matrix(size, generator) for _ in range(2))
        there = (left * np.exp(generator.normal(size=size))) @ right
        ways.append((there, np.linalg.inv(there)))
    for _ in range(steps):
        if trodden and generator.random() < 0.45:
            way, direction = trodden.pop()
            result.append(ways[way][1 - direction])
        else:
            trodden.append((int(generator.integers(3)), int(generator.integers(2))))
            result.append(ways[trodden[-1][0]][trodden[-1][1]])
    return result


# Before the turn, blocks have grown to sixteen steps: it lies inside a block, or in two.
@pytest.mark.parametrize(
    ("size", "before", "steps"),
    [(6, 31, 7), (6, 46, 8), (6, 49, 5), (12, 31, 8), (12, 37, 5), (12, 49, 8), (12, 64, 3)],
)
def test_a_turn_after_orthogonal_steps_is_told(size: int, before: int, steps: int) -> None:
    product = turning_once(size, before, steps, seed=before)
    families.assert_honest(
        families.absorbed(product).log_singular_values(), families.reference(product)
    )


def test_a_turn_that_costs_all_digits_leaves_no_value_resolved() -> None:
    steps = turning_once(12, 49, 8, seed=49)
    spectrum = families.absorbed(steps).log_singular_values()
    off = families.distance(spectrum.log_singular_values.numpy(), families.reference(steps))
    assert off.max() > 1e-3
    assert not bool(spectrum.resolved.any())


@pytest.mark.parametrize("seed", [8001, 8013])
def test_the_last_steps_of_a_return_are_told(seed: int) -> None:
    """Between the last factorisation but one and the end, values came back by nine nats."""
    steps = families.there_and_back(12, 10, seed)
    spectrum = families.absorbed(steps).log_singular_values()
    families.assert_honest(spectrum, families.reference(steps))


@pytest.mark.parametrize("seed", range(3))
def test_steps_that_wander_to_and_fro_stay_resolved(seed: int) -> None:
    steps = wandering(8, 100, seed)
    spectrum = families.absorbed(steps).log_singular_values()
    exact = families.reference(steps)
    families.assert_honest(spectrum, exact)
    assert bool((spectrum.error <= 1e-6).all())


def test_orthogonal_steps_are_still_multiplied_sixteen_at_a_time() -> None:
    """Errors followed inside a block must not part blocks that lose nothing."""
    product = GradedProduct(12)
    for step in orthogonal_steps(12, 200, seed=0):
        product.absorb(torch.from_numpy(step))
    assert product._stride.length == 16
    assert float(product.log_singular_values().error.max()) < 1e-11


def test_equal_values_share_the_error_of_the_worst_of_them() -> None:
    """All values are 1 to 1e-9, so that the vectors of each are any: none is surer than another."""
    steps = turning_once(6, 31, 7, seed=31)
    error = families.absorbed(steps).log_singular_values().error
    assert float(error.max() / error.min()) < 1.1


@pytest.mark.parametrize(("before", "steps"), [(40, 7), (46, 7), (31, 7)])
def test_a_turn_is_told_by_the_leading_values(before: int, steps: int) -> None:
    product = turning_once(6, before, steps, seed=before)
    matrices = [torch.from_numpy(step) for step in product]
    there_and_back = LinearMap(
        lambda: matrices, lambda: [step.mT for step in reversed(matrices)], 6, (), torch.float64
    )
    generator = torch.Generator().manual_seed(0)
    leading = leading_singular_values(there_and_back, 2, generator=generator)
    families.assert_honest(leading.spectrum, families.reference(product)[:2])


def test_values_that_come_closer_for_a_few_steps_are_told() -> None:
    """Saturated units: two values came closer by eight nats and parted again inside a stretch."""
    steps = families.tanh_network(20, 40, 8103, gain=8.0)
    spectrum = families.absorbed(steps).log_singular_values()
    families.assert_honest(spectrum, families.reference(steps))
    assert bool((spectrum.error < 1e-7).all())
