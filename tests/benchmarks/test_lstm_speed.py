"""An LSTM's four gates are combined into one (2N, N) matrix per step: what its norms cost then."""

from __future__ import annotations

from typing import Any

import pytest
from end_to_end import (
    LENGTH,
    UNITS,
    build,
    draw_inputs,
    from_inputs,
    norms_backwards,
    norms_forwards,
    products,
)
from interleaving import compare

from gradprobe import models


@pytest.mark.parametrize("direction", [norms_forwards, norms_backwards])
def test_norms_of_an_lstm_from_a_trajectory(benchmark: Any, direction: Any) -> None:
    trajectory = models.trace(build("lstm"), draw_inputs())
    norms = compare(
        benchmark,
        lambda: direction(trajectory),
        bars={"gemms_alone": 2.0},
        gemms_alone=products(2 * UNITS),
    )
    print(benchmark.extra_info)
    assert norms.shape == (LENGTH, 1)


def test_norms_of_an_lstm_from_the_inputs(benchmark: Any) -> None:
    model, inputs = build("lstm"), draw_inputs()
    norms = compare(
        benchmark,
        lambda: from_inputs(model, inputs),
        bars={"gemms_alone": 2.0},
        gemms_alone=products(2 * UNITS),
    )
    print(benchmark.extra_info)
    assert norms.shape == (LENGTH, 1)
