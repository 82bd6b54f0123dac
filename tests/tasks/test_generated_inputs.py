"""Inputs that are made: none at all, and noise."""

from __future__ import annotations

import pytest
import torch

from gradprobe import tasks
from gradprobe.errors import ArgumentError

NAMES = ["no_input", "gaussian_inputs"]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", NAMES)
def test_shapes_dtypes_and_description(name: str) -> None:
    task = tasks.build(name, length=7, features=3)
    assert (task.name, task.length, task.input_size) == (name, 7, 3)
    inputs, targets = task.draw(4, seeded(0), "test")
    assert (inputs.shape, targets.shape) == ((7, 4, 3), (4,))
    assert (inputs.dtype, targets.dtype) == (torch.float64, torch.int64)
    assert not targets.any()
    assert "7 steps of 3" in task.provenance


def test_no_input_draws_nothing_but_the_choice_of_examples() -> None:
    generator = seeded(0)
    inputs, _ = tasks.build("no_input", length=9).batch("train", [3, 999], generator)
    assert not inputs.any()
    assert torch.equal(generator.get_state(), seeded(0).get_state())


def test_gaussian_inputs_are_standard_and_independent() -> None:
    task = tasks.build("gaussian_inputs", length=2000, features=2)
    inputs, _ = task.batch("train", range(20), seeded(1))
    flat = inputs.reshape(-1)
    assert float(flat.mean()) == pytest.approx(0, abs=4 / len(flat) ** 0.5)
    assert float(flat.var()) == pytest.approx(1, abs=4 * (2 / len(flat)) ** 0.5)
    for shifted in (inputs[1:] * inputs[:-1], inputs[..., :1] * inputs[..., 1:]):
        assert float(shifted.mean()) == pytest.approx(0, abs=4 / shifted.numel() ** 0.5)
    again, _ = task.batch("train", range(20), seeded(1))
    assert torch.equal(inputs, again)
    assert not torch.equal(inputs, task.batch("train", range(20), seeded(2))[0])


@pytest.mark.parametrize("name", NAMES)
def test_what_does_not_fit_is_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match="length"):
        tasks.build(name, length=0)
    with pytest.raises(ArgumentError, match="features"):
        tasks.build(name, features=1.5)
    with pytest.raises(ArgumentError, match="split"):
        tasks.build(name).size("all")
    with pytest.raises(ArgumentError, match="between 0 and 999"):
        tasks.build(name).batch("train", [1000], seeded(0))
