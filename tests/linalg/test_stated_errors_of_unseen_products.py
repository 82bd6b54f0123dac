"""Stated errors on products that no constant was chosen by, and where they are known to fail."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from model_cases import build
from product_families import (
    Steps,
    absorbed,
    assert_honest,
    explosive,
    lstm,
    orthogonal,
    reference,
    tanh_network,
)

from gradprobe import models

FAMILIES: dict[str, Callable[[int], Steps]] = {
    "tanh": lambda seed: tanh_network(20, 60, seed),
    "orthogonal": lambda seed: orthogonal(20, 60, seed),
    "explosive": lambda seed: explosive(12, 150, seed),
    "lstm": lambda seed: lstm(10, 60, seed),
}


@pytest.mark.parametrize("seed", range(1000, 1003))
@pytest.mark.parametrize("family", FAMILIES)
def test_no_value_of_an_unseen_product_is_farther_off_than_stated(family: str, seed: int) -> None:
    steps = FAMILIES[family](seed)
    assert_honest(absorbed(steps).log_singular_values(), reference(steps))


@pytest.mark.xfail(strict=True, reason="growth in directions that are zero is left out")
def test_a_value_that_sinks_beside_structural_zeros_is_honest() -> None:
    model = build("scornn", seed=105, hidden_size=12)
    generator = torch.Generator().manual_seed(105)
    inputs = torch.randn(200, 1, model.input_size, generator=generator, dtype=torch.float64)
    jacobians = models.trace(model, inputs).step_jacobians()
    steps = [jacobian.dense()[0].detach().numpy() for jacobian in jacobians]
    assert_honest(absorbed(steps).log_singular_values(), reference(steps))
