"""The forward and backward pass of a training step: ours, torch.nn's, autograd's, and the floor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from interleaving import ROUNDS, compare
from torch import Tensor, nn

from gradprobe import models
from gradprobe.models import RecurrentModel
from gradprobe.models.explicit.rule import tanh_

BATCH, UNITS, LENGTH = 128, 128, 784

TORCH = {"nn_lstm": nn.LSTM, "nn_rnn": nn.RNN, "nn_gru": nn.GRU}

BARS = {
    "antisymmetric": {"nn_lstm": 1 / 3.2, "autograd_loop": 1 / 1.7, "gemms_and_tanh": 1.5},
    "gated_antisymmetric": {"nn_lstm": 1 / 2.3},
    "lstm": {"nn_lstm": 1.0},
    "vanilla": {"nn_rnn": 1.0},
    "orthogonal": {"nn_rnn": 1.0},
}
"""By model: what it is compared with, and the largest ratio that was aimed at."""

ALSO = {"gated_antisymmetric": ("autograd_loop", "gemms_and_tanh"), "gru": ("nn_gru",)}
"""Comparisons without a bar."""


@pytest.mark.parametrize("name", sorted(BARS.keys() | ALSO.keys()))
def test_float32_training_step_of_128_sequences(benchmark: Any, name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(LENGTH, BATCH, 1, generator=generator)
    model = models.build(name, input_size=1, hidden_size=UNITS, dtype=torch.float32)
    bars = BARS.get(name, {})
    others = {other: rival(other, model, inputs) for other in (*bars, *ALSO.get(name, ()))}
    gradients = compare(benchmark, training_step(model, inputs), bars=bars, rounds=ROUNDS, **others)
    print(benchmark.extra_info)
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


def rival(name: str, model: RecurrentModel, inputs: Tensor) -> Callable[[], Any]:
    if name in TORCH:
        return training_step(TORCH[name](1, UNITS), inputs)
    return {"autograd_loop": autograd_loop, "gemms_and_tanh": gemms_and_tanh}[name](model, inputs)


def training_step(module: nn.Module, inputs: Tensor) -> Callable[[], list[Tensor]]:
    """Return the gradient of the last hidden state's sum, with respect to all parameters.

    The last state is the one that the module returns apart: nothing needs gradients of the others.
    """
    parameters = list(module.parameters())

    def run() -> list[Tensor]:
        final = module(inputs)[1]
        last = final[0] if isinstance(final, tuple) else final
        return list(torch.autograd.grad(last[..., :UNITS].sum(), parameters))

    return run


def autograd_loop(model: RecurrentModel, inputs: Tensor) -> Callable[[], list[Tensor]]:
    """Return the same by a loop over the steps, with matrix and drive computed once for all."""
    [cell] = model.cells
    parameters = list(cell.parameters())

    def run() -> list[Tensor]:
        matrix, unit = cell.recurrent_matrix(), cell.unit_parameters()
        state = torch.zeros(BATCH, cell.components, UNITS)
        for drive in cell.drive(inputs).unbind(0):
            product = nn.functional.linear(state[:, 0], matrix)
            state = cell.pointwise(state, product.unflatten(-1, (-1, UNITS)), drive, unit)
        return list(torch.autograd.grad(state[:, 0].sum(), parameters))

    return run


def gemms_and_tanh(model: RecurrentModel, inputs: Tensor) -> Callable[[], Tensor]:
    """Return the floor: the products and tanh in the shapes they have, with all else left out."""
    generator = torch.Generator().manual_seed(1)
    matrix = torch.randn(UNITS, UNITS, generator=generator) / UNITS
    state, gradient = torch.zeros(2, BATCH, UNITS).unbind(0)
    states, gradients = torch.zeros(2, LENGTH * BATCH, UNITS).unbind(0)

    def run() -> Tensor:
        for _ in range(LENGTH):
            torch.mm(state, matrix, out=gradient)
            tanh_(gradient)
        for _ in range(LENGTH):
            torch.mm(state, matrix, out=gradient)
        return torch.mm(gradients.T, states)

    return run
