"""The exact spectrum, against the matrix products alone and against dense Jacobians.

``tox -e bench``, or

    python -m pytest tests/benchmarks --benchmark-enable --benchmark-only -rP

prints the ratios of processor time in one thread, each pair measured in turn in the same run;
``--benchmark-json FILE`` keeps them, under ``extra_info``.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from end_to_end import LENGTH, UNITS, build, by_jacrev, draw_inputs, products
from interleaving import compare
from torch import Tensor

from gradprobe import models
from gradprobe.linalg import GradedProduct
from gradprobe.models import RecurrentModel

EIGHT = range(LENGTH // 8, LENGTH + 1, LENGTH // 8)


def spectra(model: RecurrentModel, inputs: Tensor, lengths: Collection[int]) -> Tensor:
    """Return all log σ_i(∂h_T/∂h_0) at each length, shape (lengths, N), from the inputs."""
    product, values = GradedProduct(UNITS, batch_shape=(1,)), []
    for t, jacobian in enumerate(models.trace(model, inputs).step_jacobians(), start=1):
        product.absorb(jacobian)
        if t in lengths:
            values.append(product.log_singular_values().log_singular_values[0])
    return torch.stack(values)


def test_one_length(benchmark: Any) -> None:
    model, inputs = build(), draw_inputs()
    values = compare(
        benchmark,
        lambda: spectra(model, inputs, [LENGTH]),
        bars={"gemms_alone": 10.0},
        gemms_alone=products(UNITS),
        jacrev=lambda: by_jacrev(model, inputs),
    )
    print(benchmark.extra_info)
    # All that a dense product gives: its largest value.
    largest = torch.linalg.svdvals(by_jacrev(model, inputs))[0].log()
    torch.testing.assert_close(values[0, 0], largest, rtol=0, atol=1e-8)


def test_eight_lengths(benchmark: Any) -> None:
    """At T/8 … T: jacrev once for each of them, or eight times over all T steps."""
    model, inputs = build(), draw_inputs()
    values = compare(
        benchmark,
        lambda: spectra(model, inputs, EIGHT),
        bars={
            "gemms_alone": 16.0,
            "jacrev_at_eight_lengths": 1.0,
            "jacrev_eight_times": 1.0,
        },
        gemms_alone=products(UNITS),
        jacrev_at_eight_lengths=lambda: [by_jacrev(model, inputs[:length]) for length in EIGHT],
        jacrev_eight_times=lambda: [by_jacrev(model, inputs) for _ in EIGHT],
    )
    print(benchmark.extra_info)
    assert values.shape == (8, UNITS)
    assert values.isfinite().all()


def test_eight_times_the_length(benchmark: Any) -> None:
    model, long, short = build(), draw_inputs(length=1600), draw_inputs(length=200)
    values = compare(
        benchmark,
        lambda: spectra(model, long, [1600]),
        bars={"an_eighth_of_the_length": 9.0},
        an_eighth_of_the_length=lambda: spectra(model, short, [200]),
    )
    print(benchmark.extra_info)
    assert values.isfinite().all()
