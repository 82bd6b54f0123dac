"""What must hold for any steps: chain rule, invariance, scaling, transposition, batches."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from product_families import Steps, absorbed, lstm, orthogonal, orthogonal_matrix, tanh_network

from gradprobe.linalg import GradedProduct, Spectrum

seeds = st.integers(0, 10_000)
sizes = st.integers(1, 9)


def spectrum(steps: Steps) -> Spectrum:
    return absorbed(steps).log_singular_values()


def assert_same(first: Spectrum, second: Spectrum, shift: float = 0.0) -> None:
    """Fail if two spectra differ by more than the sum of their errors, or these are not small."""
    stated = first.error + second.error
    off = (first.log_singular_values + shift - second.log_singular_values).abs()
    assert stated.max() < 1e-8
    assert (off <= stated).all(), f"off by {off.tolist()}, stated are {stated.tolist()}"


def negated(values: Spectrum) -> Spectrum:
    """Return the spectrum of the inverse."""
    inverse = Spectrum(*(part.flip(-1) for part in values))
    return inverse._replace(log_singular_values=-inverse.log_singular_values)


def steps_of(size: int, seed: int) -> Steps:
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
    assert_same(spectrum(steps), spectrum(pairs))


@settings(max_examples=25, deadline=None)
@given(size=sizes, seed=seeds)
def test_orthogonal_maps_on_either_side_change_nothing(size: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    steps = steps_of(size, seed)
    turned = [orthogonal_matrix(size, generator), *steps, orthogonal_matrix(size, generator)]
    assert_same(spectrum(steps), spectrum(turned))


@settings(max_examples=25, deadline=None)
@given(size=sizes, seed=seeds, factor=st.floats(1e-20, 1e20))
def test_a_factor_adds_its_logarithm(size: int, seed: int, factor: float) -> None:
    steps = steps_of(size, seed)
    scaled = [-factor * step for step in steps]
    shift = len(steps) * math.log(factor)
    assert_same(spectrum(steps), spectrum(scaled), shift)


@settings(max_examples=25, deadline=None)
@given(size=sizes, seed=seeds)
def test_the_transposed_product_has_the_same_spectrum(size: int, seed: int) -> None:
    steps = steps_of(size, seed)
    backwards = [step.T for step in reversed(steps)]
    assert_same(spectrum(steps), spectrum(backwards))


@settings(max_examples=25, deadline=None)
@given(size=sizes, seed=seeds)
def test_the_inverse_product_has_the_opposite_spectrum(size: int, seed: int) -> None:
    steps = steps_of(size, seed)
    inverses = [np.linalg.inv(step) for step in reversed(steps)]
    assert_same(spectrum(steps), negated(spectrum(inverses)))


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
    """One has zeros, one needs short strides, one can take long ones: each as if it were alone."""
    uneven = lstm(4, 90)
    singular = [uneven[0] * (np.arange(8) > 2)[:, None], *uneven[1:]]
    kinds = [uneven, singular, orthogonal(8, 90), tanh_network(8, 90)]
    together = GradedProduct(8, batch_shape=(2, 2))
    for t in range(90):
        steps = [torch.from_numpy(kind[t]) for kind in kinds]
        together.absorb(torch.stack(steps).reshape(2, 2, 8, 8))
    joint = together.log_singular_values()
    for index, kind in enumerate(kinds):
        got = Spectrum(*(part.reshape(4, 8)[index] for part in joint))
        alone = spectrum(kind)
        zeros = alone.log_singular_values == -torch.inf
        assert int(zeros.sum()) == (3 if kind is singular else 0)
        assert torch.equal(got.log_singular_values == -torch.inf, zeros)
        got, alone = (Spectrum(*(part[~zeros] for part in values)) for values in (got, alone))
        assert_same(got, alone)


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
