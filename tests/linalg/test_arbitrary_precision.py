"""The reference itself, against closed forms."""

from __future__ import annotations

import math

import flint
import mpmath
import numpy as np
import pytest

from gradprobe.linalg import arbitrary_precision


@pytest.mark.parametrize("power", [0, 1, -1, 700, -5000])
def test_logarithms_are_rounded_once(power: int) -> None:
    with flint.ctx.workprec(9000), mpmath.workprec(200):
        got = arbitrary_precision.half_log(flint.arb(3) ** power)
        assert got == float(power * mpmath.log(3) / 2)


def test_what_is_not_positive_has_no_logarithm() -> None:
    assert arbitrary_precision.half_log(flint.arb(0)) == -math.inf
    assert arbitrary_precision.half_log(flint.arb(-1)) == -math.inf


def test_a_product_of_shears_has_the_golden_ratio_as_its_growth() -> None:
    """(1 1; 1 0)^n has the singular values φ^±n."""
    steps = [np.array([[1.0, 1.0], [1.0, 0.0]])] * 1000
    bits = arbitrary_precision.sufficient_bits(steps)
    matrix = arbitrary_precision.product(steps, bits)
    with mpmath.workprec(200):
        expected = float(1000 * mpmath.log(mpmath.phi))
    values = arbitrary_precision.log_singular_values(matrix, bits)
    assert values.tolist() == [expected, -expected]
