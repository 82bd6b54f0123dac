"""Frobenius norms at every step, against the matrix products alone.

``tox -e bench``, or

    python -m pytest tests/benchmarks --benchmark-enable --benchmark-only -rP

prints the ratios of processor time in one thread, each pair measured in turn in the same run;
``--benchmark-json FILE`` keeps them, under ``extra_info``.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from end_to_end import (
    LENGTH,
    UNITS,
    build,
    by_jacrev,
    draw_inputs,
    from_inputs,
    jacrev_of_cell,
    norms_backwards,
    norms_forwards,
    products,
)
from interleaving import compare

from gradprobe import models


@pytest.mark.parametrize("direction", [norms_forwards, norms_backwards])
def test_a_direction_from_a_trajectory(benchmark: Any, direction: Any) -> None:
    trajectory = models.trace(build(), draw_inputs())
    norms = compare(
        benchmark,
        lambda: direction(trajectory),
        bars={"gemms_alone": 1.6},
        gemms_alone=products(UNITS),
    )
    print(benchmark.extra_info)
    assert norms.shape == (LENGTH, 1)
    assert norms.isfinite().all()


def test_both_directions_from_the_inputs(benchmark: Any) -> None:
    model, inputs = build(), draw_inputs()

    def both() -> tuple[torch.Tensor, torch.Tensor]:
        trajectory = models.trace(model, inputs)
        return norms_forwards(trajectory), norms_backwards(trajectory)

    forwards, backwards = compare(
        benchmark, both, bars={"gemms_alone": 2 * 1.6}, gemms_alone=products(UNITS)
    )
    print(benchmark.extra_info)
    # Both end at the norm of the whole product.
    torch.testing.assert_close(forwards[-1], backwards[-1], rtol=0, atol=1e-10)


def test_forwards_from_the_inputs(benchmark: Any) -> None:
    model, inputs = build(), draw_inputs()
    cell = torch.nn.RNNCell(1, UNITS, dtype=torch.float64).requires_grad_(False)
    norms = compare(
        benchmark,
        lambda: from_inputs(model, inputs),
        bars={"jacrev_of_an_rnn_cell": 1.0, "jacrev_in_its_fastest_form": 1.0, "gemms_alone": 1.6},
        jacrev_of_an_rnn_cell=lambda: jacrev_of_cell(cell, inputs),
        jacrev_in_its_fastest_form=lambda: by_jacrev(model, inputs),
        gemms_alone=products(UNITS),
    )
    print(benchmark.extra_info)
    # The one length whose norm a dense product in float64 still represents well.
    expected = torch.linalg.matrix_norm(by_jacrev(model, inputs)).log()
    torch.testing.assert_close(norms[-1, 0], expected, rtol=0, atol=1e-8)
