"""The models that the tests go through: every kind, with the options that change its formulas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from gradprobe import models

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models import RecurrentModel

CASES: dict[str, dict[str, Any]] = {
    "vanilla": {"name": "vanilla", "recurrent_scale": 1.5},
    "vanilla-relu": {"name": "vanilla", "nonlinearity": "relu", "biases": "two"},
    "vanilla-no-bias": {"name": "vanilla", "biases": "none"},
    "feedback": {"name": "feedback", "step_size": 0.3},
    "lstm": {"name": "lstm"},
    "lstm-forget-5": {"name": "lstm", "forget_bias": 5.0, "biases": "two"},
    "gru": {"name": "gru"},
    "gru-two-biases": {"name": "gru", "biases": "two", "recurrent_scale": 2.0},
    "antisymmetric": {"name": "antisymmetric", "step_size": 0.3, "diffusion": 0.1},
    "gated-antisymmetric": {
        "name": "gated_antisymmetric",
        "step_size": 0.5,
        "recurrent_scale": 4.0,
    },
    "gated-unstructured": {"name": "gated_unstructured", "step_size": 0.5},
    "orthogonal-tanh": {"name": "orthogonal"},
    "orthogonal-modrelu": {"name": "orthogonal", "nonlinearity": "modrelu"},
    "irnn": {"name": "irnn"},
    "chrono-lstm": {"name": "chrono_lstm", "longest_dependency": 20},
    "cfn": {"name": "cfn"},
    "lipschitz": {
        "name": "lipschitz",
        "step_size": 0.3,
        "linear_skew_level": 0.6,
        "nonlinear_diffusion": 0.1,
        "initial_scale": 2.0,
    },
    "minimal-rnn": {"name": "minimal_rnn"},
    "soft-orthogonal": {"name": "soft_orthogonal", "margin": 0.5},
    "kru": {"name": "kru"},
    "exprnn": {"name": "exprnn", "initialisation": "henaff"},
    "scornn": {"name": "scornn", "negative_share": 0.5},
    "urnn": {"name": "urnn"},
    "full-capacity-urnn": {"name": "full_capacity_urnn"},
    "cornn": {"name": "cornn", "time_step": 0.3},
    "lem": {"name": "lem"},
    "minimal-rnn-stacked": {"name": "minimal_rnn", "num_layers": 2},
    # With this seed no unit dies, whose zeros only the product of the whole states would show.
    "urnn-stacked": {"name": "full_capacity_urnn", "num_layers": 2, "seed": 2},
    "lem-stacked": {"name": "lem", "num_layers": 2, "time_step": 0.5},
    "lstm-stacked": {"name": "lstm", "num_layers": 2},
    "gru-stacked": {"name": "gru", "num_layers": 3, "biases": "two"},
    "antisymmetric-stacked": {"name": "antisymmetric", "num_layers": 2, "step_size": 0.3},
}

LENGTH, BATCH, FEATURES, UNITS = 7, 3, 2, 4


def build(case: str, *, seed: int = 0, hidden_size: int = UNITS) -> RecurrentModel:
    """Return the model of a case in float64, all its biases away from zero."""
    options = {"seed": 0, **CASES[case]}
    generator = torch.Generator().manual_seed(seed + options.pop("seed"))
    model: RecurrentModel = models.build(
        **options,
        input_size=FEATURES,
        hidden_size=hidden_size,
        generator=generator,
        dtype=torch.float64,
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bias" in name:
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.add_(noise, alpha=0.3)
    return model


def draw_inputs(seed: int = 1, length: int = LENGTH) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(length, BATCH, FEATURES, generator=generator, dtype=torch.float64)


def draw_state(model: RecurrentModel, seed: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (BATCH, model.state_size)
    return 0.5 * torch.randn(shape, generator=generator, dtype=torch.float64)


def loop(model: RecurrentModel, inputs: Tensor, state: Tensor) -> Tensor:
    """Return the states s_0 … s_T by stepping with plain operations."""
    states = [state]
    for now in inputs:
        states.append(model.step(now, states[-1]))
    return torch.stack(states)
