"""An arbitrary cell, linearised by automatic differentiation: all lengths, rescaled."""

from __future__ import annotations

from typing import Any

import torch
from end_to_end import LENGTH, UNITS, build, draw_inputs, from_inputs, jacrev_of_cell
from interleaving import compare
from torch import Tensor

import gradprobe as gp


def test_norms_of_an_arbitrary_cell(benchmark: Any) -> None:
    model, inputs = build(), draw_inputs()
    [cell] = model.cells
    weight, input_weight = cell.recurrent_matrix().detach(), cell.input_matrix().detach()
    bias = cell.drive_bias()
    assert bias is not None
    offset = bias.detach()

    def step(now: Tensor, state: Tensor) -> Tensor:
        return torch.tanh(state @ weight.T + now @ input_weight.T + offset)

    opaque = gp.adapt(step, state_size=UNITS)
    norms = compare(
        benchmark,
        lambda: from_inputs(opaque, inputs),
        bars={"jacrev_at_one_length": 3.0},
        jacrev_at_one_length=lambda: jacrev_of_cell(step, inputs),
    )
    print(benchmark.extra_info)
    assert norms.shape == (LENGTH, 1)
    torch.testing.assert_close(norms, from_inputs(model, inputs), rtol=0, atol=1e-10)
