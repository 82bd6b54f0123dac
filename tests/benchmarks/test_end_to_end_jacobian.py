"""Norms at every step and the exact spectrum, against ``torch.func.jacrev`` and the GEMMs alone.

``tox -e bench``, or

    python -m pytest tests/benchmarks --benchmark-enable --benchmark-only

prints the times; the ratios are in the JSON of ``--benchmark-json`` under ``extra_info``, and are
printed at the end of each test with ``-rP``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from interleaving import compare
from torch import Tensor

from gradprobe import models
from gradprobe.linalg import GradedProduct, ScaledProduct
from gradprobe.models import RecurrentModel

UNITS, LENGTH = 128, 784


@pytest.fixture(name="model")
def build_model() -> RecurrentModel:
    return models.build("vanilla", input_size=1, hidden_size=UNITS, dtype=torch.float64)


@pytest.fixture(name="inputs")
def draw_inputs() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(LENGTH, 1, 1, generator=generator, dtype=torch.float64)


def floor(model: RecurrentModel) -> Callable[[], Tensor]:
    """Return the products alone: T GEMMs of the recurrent matrix with an (N, N) matrix."""
    matrix = model.cells[0].recurrent_matrix().detach()
    columns, result = torch.eye(UNITS, dtype=torch.float64), torch.empty_like(matrix)

    def run() -> Tensor:
        for _ in range(LENGTH):
            torch.mm(matrix, columns, out=result)
        return result

    return run


def jacrev(model: RecurrentModel, inputs: Tensor) -> Callable[[], Tensor]:
    """Return ∂h_T/∂h_0 for one length, as it is commonly computed."""

    def final(state: Tensor) -> Tensor:
        for now in inputs[:, 0]:
            state = model.step(now, state)
        return state

    return lambda: torch.func.jacrev(final)(torch.zeros(UNITS, dtype=torch.float64))


def norms_at_every_step(model: RecurrentModel, inputs: Tensor) -> Tensor:
    path = models.trace(model, inputs)
    product = ScaledProduct(UNITS, batch_shape=(1,), generator=torch.Generator().manual_seed(0))
    logarithms = []
    for jacobian in path.step_jacobians():
        product.absorb(jacobian)
        logarithms.append(product.log_norm().log_norm)
    return torch.cat(logarithms)


def exact_spectrum(model: RecurrentModel, inputs: Tensor) -> Tensor:
    path = models.trace(model, inputs)
    product = GradedProduct(UNITS, batch_shape=(1,), generator=torch.Generator().manual_seed(0))
    for jacobian in path.step_jacobians():
        product.absorb(jacobian)
    return product.log_singular_values().log_singular_values[0]


def test_frobenius_norms_at_every_step(
    benchmark: Any, model: RecurrentModel, inputs: Tensor
) -> None:
    reference = jacrev(model, inputs)
    norms = compare(
        benchmark,
        lambda: norms_at_every_step(model, inputs),
        jacrev_at_one_length=reference,
        gemms_alone=floor(model),
    )
    print(benchmark.extra_info)
    # The one length whose norm a dense product in float64 still represents well.
    torch.testing.assert_close(
        norms[-1], torch.linalg.matrix_norm(reference()).log(), rtol=0, atol=1e-8
    )


def test_exact_spectrum_at_one_length(
    benchmark: Any, model: RecurrentModel, inputs: Tensor
) -> None:
    reference = jacrev(model, inputs)
    spectrum = compare(
        benchmark,
        lambda: exact_spectrum(model, inputs),
        jacrev_at_one_length=reference,
        gemms_alone=floor(model),
    )
    print(benchmark.extra_info)
    # All that a dense product gives: its largest value, and the sum of squares.
    largest = torch.linalg.svdvals(reference())[0].log()
    torch.testing.assert_close(spectrum[0], largest, rtol=0, atol=1e-8)
