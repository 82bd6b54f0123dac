"""Beside what people use today: Jacobians at one length, and Lyapunov exponents.

Ours gives the norms at every length; `torch.func.jacrev`, `torch.func.jacfwd` and
`torch.autograd.functional.jacobian` give ∂h_T/∂h_0 at one, unscaled.  clvlib gives the sums of
log|diag R| of a QR sweep, which tend to the exponents but are not log singular values; its rival is
our exact spectrum.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from end_to_end import (
    UNITS,
    Rival,
    build,
    by_autograd_functional,
    by_jacfwd,
    by_jacrev,
    draw_inputs,
    from_inputs,
    lyapunov_exponents_by_clvlib,
)
from interleaving import compare
from torch import Tensor

from gradprobe import models
from gradprobe.linalg import GradedProduct
from gradprobe.models import RecurrentModel

SHORT = 20


@pytest.mark.parametrize("rival", [by_jacrev, by_jacfwd, by_autograd_functional])
def test_norms_at_every_length(benchmark: Any, rival: Rival) -> None:
    model, inputs = build(), draw_inputs()
    others: dict[str, Any] = {rival.__name__: lambda: rival(model, inputs)}
    norms = compare(benchmark, lambda: from_inputs(model, inputs), rounds=3, **others)
    print(benchmark.extra_info)
    expected = torch.linalg.matrix_norm(rival(model, inputs[:SHORT])).log()
    torch.testing.assert_close(norms[SHORT - 1, 0], expected, rtol=0, atol=1e-11)


def test_the_exact_spectrum_at_one_length(benchmark: Any) -> None:
    model, inputs = build(), draw_inputs()
    compare(
        benchmark,
        lambda: exact_spectrum(model, inputs),
        lyapunov_exponents_by_clvlib=lambda: lyapunov_exponents_by_clvlib(model, inputs),
        by_jacrev=lambda: by_jacrev(model, inputs),
    )
    print(benchmark.extra_info)
    # The two differ value by value; their sums are both log|det|.
    ours = exact_spectrum(model, inputs[:SHORT])
    theirs = lyapunov_exponents_by_clvlib(model, inputs[:SHORT])
    torch.testing.assert_close(ours.sum(), theirs.sum(), rtol=0, atol=1e-8)


def exact_spectrum(model: RecurrentModel, inputs: Tensor) -> Tensor:
    trajectory = models.trace(model, inputs)
    product = GradedProduct(UNITS, batch_shape=(1,))
    for jacobian in trajectory.step_jacobians():
        product.absorb(jacobian)
    return product.log_singular_values().log_singular_values[0]
