"""What must hold for any steps: chain rule, invariance, scaling, transposition, batches."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from product_families import absorbed, lstm, orthogonal_matrix, tanh_network

from gradprobe.linalg import GradedProduct

seeds = st.integers(0, 10_000)
sizes = st.integers(1, 9)


def spectrum(steps: list[np.ndarray]) -> np.ndarray:
    values = absorbed(steps).log_singular_values()
    assert values.resolved.all()
    return values.log_singular_values.numpy()


def steps_of(size: int, seed: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    frames = [orthogonal_matrix(size, generator) for _ in range(9)]
    return [
        (after * np.exp(generator.normal(size=size))) @ before.T
        for before, after in itertools.pairwise(frames)
    ]


@settings(max_examples=25, deadline=None)
@given(size=sizes, seed=seeds)
def test_two_steps_are_their_product(size: int, seed: int) -> None:
    steps = steps_of(size, seed)
    pairs = [second @ first for first, second in zip(steps[::2], steps[1::2], strict=True)]
    np.testing.assert_allclose(spectrum(steps), spectrum(pairs), rtol=0, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(size=sizes, seed=seeds)
def test_orthogonal_maps_on_either_side_change_nothing(size: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    steps = steps_of(size, seed)
    turned = [orthogonal_matrix(size, generator), *steps, orthogonal_matrix(size, generator)]
    np.testing.assert_allclose(spectrum(steps), spectrum(turned), rtol=0, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(size=sizes, seed=seeds, factor=st.floats(1e-20, 1e20))
def test_a_factor_adds_its_logarithm(size: int, seed: int, factor: float) -> None:
    steps = steps_of(size, seed)
    scaled = [-factor * step for step in steps]
    shift = len(steps) * math.log(factor)
    np.testing.assert_allclose(spectrum(steps) + shift, spectrum(scaled), rtol=0, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(size=sizes, seed=seeds)
def test_the_transposed_product_has_the_same_spectrum(size: int, seed: int) -> None:
    steps = steps_of(size, seed)
    backwards = [step.T for step in reversed(steps)]
    np.testing.assert_allclose(spectrum(steps), spectrum(backwards), rtol=0, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(size=sizes, seed=seeds)
def test_the_inverse_product_has_the_opposite_spectrum(size: int, seed: int) -> None:
    steps = steps_of(size, seed)
    inverses = [np.linalg.inv(step) for step in reversed(steps)]
    np.testing.assert_allclose(spectrum(steps), -spectrum(inverses)[::-1], rtol=0, atol=1e-8)


def test_reading_the_spectrum_does_not_change_the_product() -> None:
    steps = tanh_network(8, 60)
    quiet, read = GradedProduct(8), GradedProduct(8)
    for step in steps:
        quiet.absorb(torch.from_numpy(step))
        read.absorb(torch.from_numpy(step))
        read.log_singular_values()
    for expected, got in zip(quiet.log_singular_values(), read.log_singular_values(), strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=0)


def test_a_batch_is_its_elements_side_by_side() -> None:
    batch = torch.stack([torch.from_numpy(np.stack(tanh_network(6, 60, seed=s))) for s in (0, 1)])
    together = GradedProduct(6, batch_shape=(2,))
    for t in range(60):
        together.absorb(batch[:, t])
    got = together.log_singular_values()
    assert got.resolved.all()
    for element, steps in enumerate(batch):
        expected = spectrum(list(steps.numpy()))
        values = got.log_singular_values[element].numpy()
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-10)


class Applied:
    """A step that can be applied, and made dense when asked."""

    def __init__(self, step: torch.Tensor) -> None:
        self.step = step

    def __matmul__(self, columns: torch.Tensor) -> torch.Tensor:
        return self.step @ columns

    def dense(self) -> torch.Tensor:
        return self.step


def test_an_operator_is_as_good_as_a_matrix() -> None:
    steps = [torch.from_numpy(step) for step in lstm(4, 60)]
    steps[30] = steps[30] * (torch.arange(8) != 3).unsqueeze(-1)
    dense, applied = GradedProduct(8), GradedProduct(8)
    for step in steps:
        dense.absorb(step)
        applied.absorb(Applied(step))
    for expected, got in zip(
        dense.log_singular_values(), applied.log_singular_values(), strict=True
    ):
        torch.testing.assert_close(got, expected, rtol=0, atol=0)
