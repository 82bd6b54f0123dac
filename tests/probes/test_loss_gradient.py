"""∂L/∂h_t for every t: against autograd's own, and where a closed form is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from linear_cell import scalar_network
from model_cases import BATCH, CASES, LENGTH, UNITS, build, draw_inputs, draw_state
from torch import Tensor
from torch.nn import functional

import gradprobe as gp
from gradprobe import models
from gradprobe.errors import ArgumentError, GradprobeError, NonFiniteError
from gradprobe.models import RecurrentModel, Trajectory
from gradprobe.probes.loss_gradient import loss_gradient

Loss = Callable[[Tensor], Tensor]


def new_generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def measured(trajectory: Trajectory, length: int, **options: Any) -> pd.DataFrame:
    table = loss_gradient(trajectory, [length], generator=new_generator(), **options)
    assert set(table["matrix"]) == {"loss"}
    assert table["step"].tolist() == sorted([*range(length + 1)] * trajectory.batch)
    return table


def autograds(model: RecurrentModel, inputs: Tensor, state: Tensor, loss: Loss) -> np.ndarray:
    """Return log‖∂L/∂h_t‖ by retaining the gradient of every state, shape (T + 1, B)."""
    states = [state.clone().requires_grad_()]
    for now in inputs:
        states.append(model.step(now, states[-1]))
        states[-1].retain_grad()
    hidden = torch.stack([each[:, model.hidden_slice] for each in states[1:]])
    loss(hidden).sum().backward()
    gradients = [each.grad[:, model.hidden_slice] for each in states if each.grad is not None]
    assert len(gradients) == len(states)
    norms: np.ndarray = torch.stack(gradients).norm(dim=-1).log().numpy()
    return norms


def of_every_step(hidden: Tensor) -> Tensor:
    """Return one loss for each sequence, in which every step counts, and differently."""
    steps = torch.arange(1, len(hidden) + 1, dtype=hidden.dtype)[:, None, None]
    return ((hidden * steps).sin() + hidden.square()).sum((0, 2))


LOSSES: dict[str, Loss] = {
    "each": of_every_step,
    "mean": lambda hidden: of_every_step(hidden).mean(),
    "last": lambda hidden: hidden[-1].square().sum(-1),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("case", CASES)
def test_it_is_autograds(case: str, loss: str) -> None:
    model = build(case)
    inputs, state = draw_inputs(), draw_state(model)
    table = measured(models.trace(model, inputs, state), LENGTH, loss=LOSSES[loss])
    expected = autograds(model, inputs, state, LOSSES[loss])
    off = np.abs(table["value"].to_numpy().reshape(LENGTH + 1, BATCH) - expected)
    assert off.max() < 1e-12
    # Autograd, along states that are rounded in another order, errs by as much as we do.
    assert (off <= 2 * table["error"].to_numpy().reshape(off.shape)).all()
    assert table["error"].max() < 1e-11
    assert table["resolved"].all()


def test_a_shorter_length_has_the_loss_of_its_own_last_step() -> None:
    model, inputs = build("lstm-stacked"), draw_inputs()
    trajectory = models.trace(model, inputs)
    both = loss_gradient(trajectory, [3, LENGTH], generator=new_generator(), loss=LOSSES["last"])
    state = torch.zeros(BATCH, model.state_size, dtype=torch.float64)
    expected = autograds(model, inputs[:3], state, LOSSES["last"])
    values = both.loc[both["length"] == 3, "value"].to_numpy().reshape(4, BATCH)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("inference", [False, True])
def test_cross_entropy_by_name(inference: bool) -> None:
    model, inputs = build("gru"), draw_inputs()
    torch.manual_seed(0)
    readout = torch.nn.Linear(UNITS, 10)
    with torch.inference_mode(inference):
        targets = torch.tensor([3, 1, 4])
        options = {"readout": readout, "targets": targets}
        table = gp.probe(model, inputs, {"loss_gradient": options})
    targets = targets.clone()
    double = torch.nn.Linear(UNITS, 10, dtype=torch.float64)
    double.load_state_dict(readout.state_dict())
    expected = autograds(
        model,
        inputs,
        torch.zeros(BATCH, UNITS, dtype=torch.float64),
        lambda hidden: functional.cross_entropy(double(hidden[-1]), targets, reduction="sum"),
    )
    values = table["value"].to_numpy().reshape(LENGTH + 1, BATCH)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)
    assert readout.weight.dtype == torch.float32
    assert readout.weight.grad is None


@pytest.mark.parametrize("factor", [0.5, 0.999, 2.0])
def test_a_scalar_network_at_any_length(factor: float) -> None:
    """L = 3 h_T: ∂L/∂h_t = 3 λ^{T−t}, to e^-763 and e^+763."""
    length = 1100
    trajectory = models.trace(scalar_network(factor), torch.zeros(length, 1, 1).double())
    table = measured(trajectory, length, loss=lambda hidden: 3 * hidden[-1].sum(-1))
    expected = math.log(3) + (length - np.arange(length + 1)) * math.log(factor)
    np.testing.assert_allclose(table["value"], expected, rtol=1e-14, atol=1e-12)
    assert table["resolved"].all()


@pytest.mark.parametrize(("factor", "small"), [(0.5, 1e-200), (0.5, 1e-310), (2.0, 1e-200)])
def test_losses_at_several_steps_enter_at_scales_far_apart(factor: float, small: float) -> None:
    """L = h_T + small · h_100: whichever is larger decides the gradients before step 100."""
    length = 1200
    trajectory = models.trace(scalar_network(factor), torch.zeros(length, 1, 1).double())
    table = measured(trajectory, length, loss=lambda h: (h[-1] + small * h[99]).sum(-1))
    steps = np.arange(length + 1)
    late = (length - steps) * math.log(factor)
    early = np.where(steps <= 100, math.log(small) + (100 - steps) * math.log(factor), -np.inf)
    np.testing.assert_allclose(table["value"], np.logaddexp(late, early), rtol=1e-14, atol=1e-12)
    assert table["resolved"].all()


def test_what_comes_after_the_loss_has_no_gradient_at_all() -> None:
    """L = h_2: exactly zero for t > 2, and at once again there for t ≤ 2."""
    trajectory = models.trace(scalar_network(0.5), torch.zeros(300, 1, 1).double())
    table = measured(trajectory, 300, loss=lambda hidden: hidden[1].sum(-1))
    assert np.isneginf(table["value"][3:]).all()
    assert (table["error"][3:] == 0).all()
    expected = [2 * math.log(0.5), math.log(0.5), 0.0]
    np.testing.assert_allclose(table["value"][:3], expected, rtol=0, atol=1e-14)
    assert table["resolved"].all()


def test_the_stated_error_covers_single_precision() -> None:
    model, inputs = build("lstm").float(), draw_inputs(length=100).float()
    single = measured(models.trace(model, inputs, dtype=None), 100, loss=LOSSES["last"])
    double = measured(models.trace(model, inputs), 100, loss=LOSSES["last"])
    off = (single["value"] - double["value"]).abs()
    assert off.max() > 1e-9
    assert (off <= single["error"] + double["error"]).all()
    assert single["error"].median() < 1e-2


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ArgumentError, "loss 'cross_entropy' needs readout, a module from hidden states"),
        ({"loss": "mse"}, ArgumentError, "loss must be one of 'cross_entropy', got 'mse'"),
        ({"loss": 3}, ArgumentError, "loss must be a function of the hidden states .* got 3"),
        ({"loss": lambda h: h}, ArgumentError, r"it returned \(7, 3, 4\)"),
        ({"loss": lambda h: 1.0}, ArgumentError, "it returned float"),
        ({"loss": lambda h: h.detach().sum()}, ArgumentError, "must depend on the hidden states"),
        (
            {"loss": lambda h: h.sum() * math.inf},
            NonFiniteError,
            r"gradient of loss \(t, sequence, unit\) must be finite, got 0 NaN and 84 infinite",
        ),
        (
            {"loss": lambda h: h.sum(), "targets": torch.zeros(3).long()},
            ArgumentError,
            "readout and targets belong to a named loss",
        ),
        (
            {"readout": torch.nn.Linear(4, 2), "targets": torch.zeros(5).long()},
            ArgumentError,
            r"targets must have shape \(3\), got \(5\)",
        ),
        ({"loss": lambda h: h.sum(), "tolerance": 0}, ArgumentError, "tolerance must be a posi"),
    ],
)
def test_it_refuses(options: dict[str, Any], error: type[GradprobeError], message: str) -> None:
    trajectory = models.trace(build("vanilla"), draw_inputs())
    with pytest.raises(error, match=message):
        measured(trajectory, LENGTH, **options)
