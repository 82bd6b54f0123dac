"""Steps of any size: what a block of steps multiplies to may be no number of floating point."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from product_families import absorbed, orthogonal

EXPONENTS = {
    torch.float64: [-300, -60, -19.4, -19, 19, 30, 300],
    torch.float32: [-30, -10, -2.7, 3],
}
CASES = [(dtype, exponent) for dtype, those in EXPONENTS.items() for exponent in those]


@pytest.mark.parametrize(("dtype", "exponent"), CASES)
def test_orthogonal_steps_of_any_size_keep_their_digits(
    dtype: torch.dtype, exponent: float
) -> None:
    """Sixteen steps of 4e-20 or of 1e30 are beyond double precision, the step itself is not."""
    factor = float(torch.tensor(10**exponent, dtype=dtype))
    steps = [factor * step for step in orthogonal(6, 100)]
    if dtype is torch.float32:
        steps = [step.astype(np.float32) for step in steps]
    values = absorbed(steps, dtype=dtype).log_singular_values().log_singular_values
    expected = np.full(6, 100 * math.log(factor))
    np.testing.assert_allclose(values, expected, rtol=1e-14, atol=1e4 * torch.finfo(dtype).eps)
