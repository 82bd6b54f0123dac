"""Trainings that cannot be: protocols in contradiction, models that do not fit; and the warm-up."""

from __future__ import annotations

import math
from typing import Any

import pydantic
import pytest
import torch
from small_tasks import SmallTask, small_network
from torch import nn

from gradprobe import tasks
from gradprobe.errors import ArgumentError
from gradprobe.training import TrainingProtocol, train
from gradprobe.training.schedules import learning_rate


def protocol(batch_size: int = 4) -> TrainingProtocol:
    return TrainingProtocol(iterations=2, batch_size=batch_size, dtype="float64")


def test_the_model_must_be_in_the_protocols_dtype_time_first_and_of_the_tasks_features() -> None:
    task = SmallTask()
    model, readout = small_network(task)
    with pytest.raises(ArgumentError, match=r"dtype float64.*float32; convert with model\.to"):
        train(model, readout, task, protocol(), seed=0)
    with pytest.raises(ArgumentError, match="readout must have"):
        train(model.double(), readout, task, protocol(), seed=0)
    model.batch_first = True
    with pytest.raises(ArgumentError, match="time first"):
        train(model, readout.double(), task, protocol(), seed=0)
    with pytest.raises(ArgumentError, match="at most the 22 training examples, got 23"):
        train(*small_network(task, torch.float64), task, protocol(23), seed=0)
    model, _ = small_network(task, torch.float64)
    with pytest.raises(ArgumentError, match="3 outputs of task 'small', got 1"):
        train(model, nn.Linear(6, 1).double(), task, protocol(), seed=0)
    with pytest.raises(ArgumentError, match="inputs must have shape"):
        train(*small_network(tasks.build("digits_rows"), torch.float64), task, protocol(), seed=0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"optimizer": "adagrad", "momentum": 0.9}, "momentum is an option of sgd and rmsprop"),
        ({"optimizer": "adam", "momentum": 0.9}, "momentum is an option of sgd and rmsprop"),
        ({"schedule": "step"}, "schedule 'step', which needs both"),
        ({"schedule": "step", "schedule_every": 5}, "schedule 'step', which needs both"),
        ({"schedule": "cosine", "schedule_factor": 0.5}, "belong to schedule 'step'"),
        ({"iterations": 10, "probe_at": (11,)}, "at most the 10 iterations, got 11"),
        ({"iterations": 10, "warm_up": 11}, "warm_up must be at most the 10 iterations"),
        ({"learning_rate": math.inf}, "finite"),
        ({"batch_size": 2.5}, "integer"),
        ({"optimiser": "sgd"}, "Extra inputs"),
    ],
)
def test_a_protocol_that_cannot_be_is_refused_in_words(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(pydantic.ValidationError, match=message):
        TrainingProtocol(**fields)


def test_the_rate_grows_linearly_before_it_decays() -> None:
    rising = TrainingProtocol(learning_rate=0.4, warm_up=4, iterations=10, schedule="linear")
    expected = [0.1, 0.2 * 0.9, 0.3 * 0.8, 0.4 * 0.7, 0.4 * 0.6, 0.4 * 0.5]
    assert [learning_rate(rising, i) for i in range(6)] == pytest.approx(expected, abs=1e-15)
