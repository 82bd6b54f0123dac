"""The reference itself, against closed forms."""

from __future__ import annotations

import functools
import math
from fractions import Fraction

import flint
import hypothesis.strategies as st
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from gradprobe.errors import ArgumentError, NonFiniteError
from gradprobe.linalg import arbitrary_precision


@pytest.mark.parametrize("power", [0, 1, -1, 700, -5000])
def test_logarithms_are_rounded_once(power: int) -> None:
    with flint.ctx.workprec(9000), mpmath.workprec(200):
        got = arbitrary_precision.half_log(flint.arb(3) ** power)
        assert got == float(power * mpmath.log(3) / 2)


def test_what_is_not_positive_has_no_logarithm() -> None:
    assert arbitrary_precision.half_log(flint.arb(0)) == -math.inf
    assert arbitrary_precision.half_log(flint.arb(-1)) == -math.inf


def exact(steps: list[np.ndarray]) -> arbitrary_precision.ExactProduct:
    product = arbitrary_precision.ExactProduct(len(steps[0]))
    for step in steps:
        product.absorb(step)
    return product


def test_a_product_of_shears_has_the_golden_ratio_as_its_growth() -> None:
    """(1 1; 1 0)^n has the singular values φ^±n."""
    values, error = exact([np.array([[1.0, 1.0], [1.0, 0.0]])] * 1000).log_singular_values()
    with mpmath.workprec(200):
        expected = float(1000 * mpmath.log(mpmath.phi))
    assert values.tolist() == [expected, -expected]
    assert (error < 1e-12).all()


@settings(max_examples=30)
@given(
    steps=arrays(np.int64, (7, 3, 3), elements=st.integers(-(2**53), 2**53)),
    exponents=arrays(np.int64, (7, 3, 3), elements=st.integers(-300, 300)),
)
def test_the_product_is_that_of_fractions(steps: np.ndarray, exponents: np.ndarray) -> None:
    matrices = [np.ldexp(step.astype(float), e) for step, e in zip(steps, exponents, strict=True)]
    fractions = [np.vectorize(Fraction, otypes=[object])(matrix) for matrix in matrices]
    expected = functools.reduce(lambda result, step: step @ result, fractions)
    product = exact(matrices)
    scale = Fraction(2) ** product._exponent
    integers = product._integers(slice(None), slice(None)).tolist()
    assert [[int(n) * scale for n in row] for row in integers] == expected.tolist()


def test_values_below_the_resolution_of_float64_are_those_of_mpmath() -> None:
    generator = np.random.default_rng(0)
    steps = [generator.normal(size=(4, 4)) * 10.0 ** (-4 * np.arange(4)) for _ in range(20)]
    with mpmath.workdps(1500):
        product = functools.reduce(lambda result, step: mpmath.matrix(step) * result, steps, 1)
        singular = mpmath.svd_r(product, compute_uv=False)
        expected = [float(mpmath.log(value)) for value in singular]
    values, error = exact(steps).log_singular_values()
    assert expected[-1] - expected[0] < -500
    assert (np.abs(values - expected) <= error).all()
    assert (error < 1e-12).all()


def test_a_block_need_not_be_square() -> None:
    generator = np.random.default_rng(1)
    steps = [generator.normal(size=(5, 5)) for _ in range(3)]
    dense = functools.reduce(lambda result, step: step @ result, steps)
    product = exact(steps)
    for rows, columns in ((slice(3), slice(1, 3)), (slice(2), slice(5)), (slice(4, 5), slice(2))):
        expected = np.log(np.linalg.svd(dense[rows, columns], compute_uv=False))
        values, _ = product.log_singular_values(rows, columns)
        assert values == pytest.approx(expected, abs=1e-12)


def test_zeros_that_no_pattern_shows_are_exactly_zero() -> None:
    """Two equal units, whose difference no step keeps."""
    W = np.random.default_rng(2).normal(size=(4, 4))
    W[3] = W[2]
    values, error = exact([W] * 5).log_singular_values()
    assert values[-1] == -math.inf
    assert error[-1] == 0
    assert np.isfinite(values[:-1]).all()
    zero, no_error = exact([np.zeros((3, 3))]).log_singular_values()
    assert (zero == -math.inf).all()
    assert (no_error == 0).all()


def test_what_would_take_too_long_is_left_undetermined() -> None:
    product = exact([np.diag([1.0, 2.0**-1000])] * 4)
    values, error = product.log_singular_values(seconds=1e-9)
    assert values[0] == 0
    assert error[0] < 1e-20
    assert error[1] == math.inf
    with mpmath.workprec(200):
        expected = float(-4000 * mpmath.log(2))
    assert product.log_singular_values().log_singular_values[1] == expected


def test_a_step_of_another_shape_or_not_finite_is_refused() -> None:
    product = arbitrary_precision.ExactProduct(2)
    with pytest.raises(ArgumentError, match=r"a step must have shape \(2, 2\), got \(3, 3\)"):
        product.absorb(np.eye(3))
    with pytest.raises(NonFiniteError, match="step 1 holds NaN or an infinity"):
        product.absorb(np.full((2, 2), np.nan))
