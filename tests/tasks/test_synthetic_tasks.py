"""The copying and the adding problem: what is drawn, and what no memory can do better than."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from gradprobe import tasks
from gradprobe.errors import ArgumentError


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(0, 2**31))
def test_copying_asks_for_the_first_ten_symbols_after_the_delimiter(delay: int, seed: int) -> None:
    task = tasks.build("copying", delay=delay)
    inputs, targets = task.batch("train", [0, 1, 2], source(seed))
    tokens = inputs.argmax(-1)
    assert inputs.shape == (delay + 20, 3, 10)
    assert torch.equal(inputs.sum(-1), torch.ones(delay + 20, 3, dtype=torch.float64))
    assert torch.equal(targets[-10:], tokens[:10])
    assert bool((targets[:-10] == 8).all())
    assert bool((tokens[:10] < 8).all())
    assert (tokens == 9).nonzero()[:, 0].tolist() == [delay + 9] * 3
    assert bool((tokens[10 : delay + 9] == 8).all() and (tokens[delay + 10 :] == 8).all())


def test_the_baseline_of_copying_is_the_loss_of_blanks_then_guesses() -> None:
    task = tasks.build("copying", delay=15)
    _, targets = task.batch("test", range(50), source())
    logits = torch.full((*targets.shape, 9), -math.inf, dtype=torch.float64)
    logits[:-10, :, 8] = 0.0
    logits[-10:, :, :8] = 0.0
    loss = functional.cross_entropy(logits.flatten(0, -2), targets.flatten())
    assert float(loss) == pytest.approx(task.baseline_loss, rel=1e-12)
    assert task.readout_steps == task.length


@settings(deadline=None)
@given(st.integers(2, 40), st.integers(0, 2**31))
def test_adding_marks_one_number_in_each_half(length: int, seed: int) -> None:
    inputs, targets = tasks.build("adding", length=length).batch("train", [0, 1], source(seed))
    numbers, marks = inputs.unbind(-1)
    half = length // 2
    assert marks[:half].sum(0).tolist() == marks[half:].sum(0).tolist() == [1.0, 1.0]
    assert set(marks.flatten().tolist()) <= {0.0, 1.0}
    assert bool(((numbers >= 0) & (numbers < 1)).all())
    torch.testing.assert_close(targets, (numbers * marks).sum(0), rtol=1e-14, atol=0)


def test_the_baseline_of_adding_is_the_variance_of_two_uniform_numbers() -> None:
    task = tasks.build("adding", length=6)
    _, targets = task.batch("train", range(20_000), source())
    errors = (targets - 1) ** 2
    assert task.baseline_loss == 1 / 6
    assert abs(float(errors.mean()) - 1 / 6) < 4 * float(errors.std()) / 20_000**0.5
    assert task.metric == "mean_squared_error"


@pytest.mark.parametrize("name", ["copying", "adding"])
def test_examples_of_evaluations_do_not_depend_on_batches_or_generators(name: str) -> None:
    task = tasks.build(name, **({"delay": 5} if name == "copying" else {"length": 9}))
    together = task.batch("test", [4, 5, 6], source(0))
    alone = task.batch("test", [5], source(1))
    assert torch.equal(together[0][:, 1:2], alone[0])
    assert not torch.equal(together[0][:, 0], together[0][:, 1])
    assert torch.equal(together[1][..., 1:2], alone[1])
    assert not torch.equal(task.batch("validation", [5], source(1))[0], alone[0])
    drawn = [task.batch("train", [5], source(seed))[0] for seed in (0, 1)]
    assert not torch.equal(*drawn)


def test_impossible_lengths_are_refused() -> None:
    with pytest.raises(ArgumentError, match="delay must be a positive integer, got 0"):
        tasks.build("copying", delay=0)
    with pytest.raises(ArgumentError, match="one step for each number, got 1"):
        tasks.build("adding", length=1)
