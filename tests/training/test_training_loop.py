"""The training loop, held against plain loops of torch's own modules, optimisers and schedules."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from small_tasks import SIZES, SmallCopies, SmallNumbers, SmallTask, small_network
from torch import nn
from torch.nn import functional

from gradprobe import models, probes
from gradprobe.training import Progress, TrainingProtocol, train
from gradprobe.training.objective import answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from gradprobe.models import RecurrentModel

ITERATIONS = 20


def protocol(**fields: Any) -> TrainingProtocol:
    usual: dict[str, Any] = {
        "iterations": ITERATIONS,
        "batch_size": 4,
        "validate_every": 10,
        "record_every": 5,
        "probe_at": (),
        "dtype": "float64",
    }
    return TrainingProtocol(**{**usual, **fields})


def series(table: pd.DataFrame, quantity: str) -> dict[int, float]:
    rows = table[(table["probe"] == "training") & (table["quantity"] == quantity)]
    return dict(zip(rows["iteration"], rows["value"], strict=True))


class Reference(nn.Module):
    """The same network of torch's own modules."""

    def __init__(self, model: RecurrentModel, readout: models.Readout) -> None:
        super().__init__()
        cell: Any = model.cells[0]
        self.rnn: Any = nn.RNN(cell.input_size, cell.hidden_size).double()
        self.linear = nn.Linear(*readout.weight.shape[::-1]).double()
        own = {
            "weight_hh_l0": cell.recurrent_weight,
            "weight_ih_l0": cell.input_weight,
            "bias_ih_l0": cell.biases.input,
            "bias_hh_l0": torch.zeros(cell.hidden_size),
        }
        self.rnn.load_state_dict(own)
        self.linear.load_state_dict(readout.state_dict())
        self.rnn.bias_hh_l0.requires_grad_(False)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden, _ = self.rnn(inputs)
        outputs: Tensor = self.linear(hidden[-1])
        return outputs

    def values(self) -> list[Tensor]:
        own: list[Tensor] = [self.rnn.weight_hh_l0, self.rnn.weight_ih_l0, self.rnn.bias_ih_l0]
        return [*own, *self.linear.parameters()]


def values_of(model: RecurrentModel, readout: models.Readout) -> list[Tensor]:
    cell: Any = model.cells[0]
    return [cell.recurrent_weight, cell.input_weight, cell.biases.input, *readout.parameters()]


SCHEDULERS: dict[str, Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler]] = {
    "constant": lambda optimiser: torch.optim.lr_scheduler.ConstantLR(optimiser, 1.0, 1),
    "cosine": lambda optimiser: torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, ITERATIONS),
    "linear": lambda optimiser: torch.optim.lr_scheduler.LinearLR(optimiser, 1, 0, ITERATIONS),
    "step": lambda optimiser: torch.optim.lr_scheduler.StepLR(optimiser, 7, 0.3),
}


@pytest.mark.parametrize(
    ("fields", "theirs"),
    [
        (
            {"optimizer": "sgd", "momentum": 0.9, "schedule": "cosine", "gradient_clipping": 0.1},
            lambda own: torch.optim.SGD(own, lr=0.05, momentum=0.9),
        ),
        (
            {"optimizer": "adagrad", "schedule": "linear", "weight_decay": 0.02},
            lambda own: torch.optim.Adagrad(own, lr=0.05, weight_decay=0.02),
        ),
        (
            {
                "optimizer": "adam",
                "schedule": "step",
                "schedule_every": 7,
                "schedule_factor": 0.3,
                "weight_decay": 0.01,
            },
            lambda own: torch.optim.Adam(own, lr=0.05, weight_decay=0.01),
        ),
        (
            {"optimizer": "rmsprop", "learning_rate": 0.01, "momentum": 0.5, "weight_decay": 0.01},
            lambda own: torch.optim.RMSprop(own, lr=0.01, momentum=0.5, weight_decay=0.01),
        ),
    ],
    ids=["sgd", "adagrad", "adam", "rmsprop"],
)
def test_a_training_is_that_of_a_plain_loop_of_torch(
    fields: dict[str, Any], theirs: Callable[[Any], torch.optim.Optimizer]
) -> None:
    task = SmallTask()
    model, readout = small_network(task, torch.float64)
    reference = Reference(model, readout)
    settings = protocol(**{"learning_rate": 0.05, **fields})
    found = train(model, readout, task, settings, seed=3).table

    optimiser = theirs(parameter for parameter in reference.parameters() if parameter.requires_grad)
    scheduler = SCHEDULERS[settings.schedule](optimiser)
    losses, validated = [], {}
    batches = task.of("train")
    assert len(batches) == ITERATIONS
    validations = iter(task.of("validation"))
    for number, (_, _, inputs, targets) in enumerate(batches, start=1):
        optimiser.zero_grad()
        loss = functional.cross_entropy(reference(inputs), targets)
        loss.backward()
        if settings.gradient_clipping:
            nn.utils.clip_grad_norm_(reference.parameters(), settings.gradient_clipping)
        optimiser.step()
        scheduler.step()
        losses.append(loss.item())
        if number % 10 == 0:
            validated[number] = evaluated(reference, list(itertools.islice(validations, 2)))

    for ours, other in zip(values_of(model, readout), reference.values(), strict=True):
        torch.testing.assert_close(ours, other, rtol=0, atol=1e-12)
    assert series(found, "train_loss") == pytest.approx(
        {end: np.mean(losses[end - 5 : end]) for end in (5, 10, 15, 20)}, abs=1e-12
    )
    tested = {ITERATIONS: evaluated(reference, list(task.of("test")))}
    for split, expected in (("validation", validated), ("test", tested)):
        for place, quantity in enumerate(("loss", "accuracy")):
            wanted = {at: results[place] for at, results in expected.items()}
            assert series(found, f"{split}_{quantity}") == pytest.approx(wanted, abs=1e-12)


def evaluated(reference: Reference, batches: list[Any]) -> tuple[float, float]:
    """Return loss and accuracy on all examples of the batches at once, counted with numpy."""
    with torch.no_grad():
        outputs = torch.cat([reference(inputs) for _, _, inputs, _ in batches]).numpy()
    targets = torch.cat([targets for *_, targets in batches]).numpy()
    logarithms = np.log(np.exp(outputs).sum(1)) - outputs[np.arange(len(targets)), targets]
    right = sum(row.argmax() == target for row, target in zip(outputs, targets, strict=True))
    return logarithms.mean(), right / len(targets)


def test_every_epoch_has_an_order_of_its_own_and_the_rest_of_it_waits() -> None:
    task = SmallTask()
    train(*small_network(task, torch.float64), task, protocol(), seed=0)
    batches = [indices for _, indices, *_ in task.of("train")]
    assert {len(indices) for indices in batches} == {4}
    # 22 examples are 5 batches of 4, and 2 that are left over
    epochs = [list(itertools.chain(*batches[start : start + 5])) for start in range(0, 20, 5)]
    assert all(len(set(epoch)) == 20 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert len({frozenset(epoch) for epoch in epochs}) > 1

    other = SmallTask()
    train(*small_network(other, torch.float64), other, protocol(), seed=1)
    assert batches != [indices for _, indices, *_ in other.of("train")]


def test_the_test_split_is_evaluated_once_and_last_and_validation_meets_the_same_noise() -> None:
    task = SmallTask()
    train(*small_network(task, torch.float64), task, protocol(), seed=0)
    splits = [split for split, _ in itertools.groupby(task.asked, key=lambda batch: batch[0])]
    assert splits == ["train", "validation", "train", "validation", "test"]
    assert [index for _, indices, *_ in task.of("test") for index in indices] == list(
        range(SIZES["test"])
    )
    seen = [inputs for _, _, inputs, _ in task.of("validation")]
    assert len(seen) == 4  # 7 examples are two batches, twice
    assert torch.equal(seen[0], seen[2])
    assert torch.equal(seen[1], seen[3])

    other = SmallTask()
    train(*small_network(other, torch.float64), other, protocol(), seed=1)
    for split in ("validation", "test"):
        ours, theirs = task.of(split), other.of(split)
        assert all(torch.equal(a[2], b[2]) for a, b in zip(ours, theirs, strict=True))

    clean = task.examples("train")[0]
    noises = [inputs - clean[:, indices] for _, indices, inputs, _ in task.of("train")]
    assert len({noise.sum().item() for noise in noises}) == ITERATIONS


def test_numbers_are_learned_by_their_mean_squared_error() -> None:
    task = SmallNumbers()
    model, readout = small_network(task, torch.float64)
    reference = Reference(model, readout)
    found = train(model, readout, task, protocol(iterations=1, record_every=1), seed=0).table
    ((_, _, inputs, targets),) = task.of("train")
    errors = (reference(inputs)[:, 0] - targets).square()
    assert series(found, "train_loss")[1] == pytest.approx(errors.mean().item(), abs=1e-12)
    with torch.no_grad():
        squares = [
            (readout(model(inputs)[0][-1])[:, 0] - targets).square()
            for _, _, inputs, targets in task.of("test")
        ]
    expected = pytest.approx({1: torch.cat(squares).mean().item()}, abs=1e-12)
    assert series(found, "test_mean_squared_error") == expected
    assert series(found, "test_loss") == expected
    assert series(found, "test_accuracy") == {}


def test_several_hidden_states_are_read_where_the_task_says_so() -> None:
    task = SmallCopies()
    model, readout = small_network(task, torch.float64)
    reference = Reference(model, readout)
    found = train(model, readout, task, protocol(iterations=1, record_every=1), seed=0).table
    ((_, _, inputs, targets),) = task.of("train")
    hidden, _ = reference.rnn(inputs)
    outputs = [reference.linear(hidden[step]) for step in (-2, -1)]
    parts = [functional.cross_entropy(outputs[step], targets[step]) for step in (0, 1)]
    expected = (parts[0] + parts[1]).item() / 2
    assert series(found, "train_loss")[1] == pytest.approx(expected, abs=1e-12)
    right = 0
    with torch.no_grad():
        for _, _, inputs, targets in task.of("test"):
            chosen = readout(model(inputs)[0][-2:]).argmax(-1)
            right += int((chosen == targets).sum())
    assert series(found, "test_accuracy") == pytest.approx({1: right / (2 * SIZES["test"])})


def test_a_task_of_the_last_state_leaves_the_others_alone() -> None:
    """So that no gradient of the size of all hidden states is made."""
    model, readout = small_network(SmallTask())

    class Untouchable(nn.Module):
        hidden_slice = slice(1, 7)

        def forward(self, inputs: Tensor) -> tuple[None, Tensor]:
            return None, torch.arange(16.0).reshape(2, 8)

    outputs = answers(Untouchable(), readout, SmallTask(), torch.zeros(5, 2, 2))  # type: ignore[arg-type]
    torch.testing.assert_close(outputs, readout(torch.arange(16.0).reshape(2, 8)[:, 1:7]))
    assert model.output_size == 6


def test_the_soft_constraint_is_minimised_but_not_recorded_as_loss() -> None:
    tables, penalties = [], []
    for weight in (0.0, 5.0):
        task = SmallTask()
        model, readout = small_network(task, torch.float64, name="kru")
        settings = protocol(penalty_weight=weight, learning_rate=0.02)
        tables.append(train(model, readout, task, settings, seed=0).table)
        penalties.append(model.penalty().item())
    assert 0 < penalties[1] < 0.1 * penalties[0]
    assert all(loss < 3 for loss in series(tables[1], "train_loss").values())


class Recorder:
    """Probes that do to the training whatever they can without changing its parameters."""

    def __init__(self) -> None:
        self.seen: list[list[Tensor]] = []

    def __call__(self, model: RecurrentModel) -> pd.DataFrame:
        self.seen.append([parameter.detach().clone() for parameter in model.parameters()])
        torch.manual_seed(len(self.seen))
        model.zero_grad()
        model(torch.randn(5, 2, 2))[0].sum().backward()
        return probes.probe(model, torch.ones(5, 2, 2), probes=["singular_values"], dtype=None)


def test_probes_land_in_the_table_and_leave_the_training_as_it_is() -> None:
    settings = protocol(probe_at=("end", 0, 7), dtype="float32")
    plain, probed, recorder = small_network(SmallTask()), small_network(SmallTask()), Recorder()
    alone = train(*plain, SmallTask(), settings, seed=0).table
    both = train(*probed, SmallTask(), settings, seed=0, probes=recorder).table
    for ours, other in zip(values_of(*plain), values_of(*probed), strict=True):
        assert torch.equal(ours, other)
    own = both[both["probe"] == "training"].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, alone, check_exact=True)
    rows = both[both["probe"] == "singular_values"]
    assert rows["iteration"].unique().tolist() == [0, 7, 20]
    fresh, _ = small_network(SmallTask())
    assert all(map(torch.equal, recorder.seen[0], fresh.parameters()))
    assert all(map(torch.equal, recorder.seen[2], probed[0].parameters()))


def test_progress_tells_how_far_the_training_is() -> None:
    heard: list[Progress] = []
    task = SmallNumbers()
    found = train(
        *small_network(task, torch.float64), task, protocol(), seed=0, progress=heard.append
    )
    updates = [progress for progress in heard if progress.activity == "training"]
    assert [progress.iteration for progress in updates] == list(range(1, ITERATIONS + 1))
    between = [(p.iteration, p.activity) for p in heard if p.activity != "training"]
    assert between == [(10, "validating"), (20, "validating"), (20, "testing")]
    assert {(p.iterations, p.metric) for p in heard} == {(20, "validation_mean_squared_error")}
    errors = series(found.table, "validation_mean_squared_error")
    assert [p.validation for p in updates] == [None] * 9 + [errors[10]] * 10 + [errors[20]]


# ---- divergence


def test_a_loss_that_is_not_finite_ends_the_training_with_its_update() -> None:
    task = SmallNumbers()
    settings = protocol(
        optimizer="sgd", learning_rate=1e30, dtype="float32", validate_every=20, record_every=20,
        probe_at=(0, 1),
    )  # fmt: skip
    model, readout = small_network(task)
    recorder = Recorder()
    result = train(model, readout, task, settings, seed=0, probes=recorder)
    # The first update makes numbers of 1e30, whose squares no float32 holds: the second cannot be.
    assert result.diverged_at == 2
    assert series(result.table, "diverged_at") == {2: 2.0}
    assert list(series(result.table, "train_loss")) == [1]
    assert len(recorder.seen) == 1  # not again, after the update that ended it
    assert task.of("test", "validation") == []
    with pytest.raises(LookupError, match="test_loss"):
        result.value("test_loss")


def test_a_gradient_that_is_not_finite_is_not_applied() -> None:
    task = SmallTask()
    model, readout = small_network(task, torch.float64)
    calls = itertools.count(1)
    readout.bias.register_hook(lambda grad: grad * math.inf if next(calls) == 13 else grad)
    result = train(model, readout, task, protocol(gradient_clipping=1.0), seed=0)
    assert result.diverged_at == 13
    assert list(series(result.table, "train_loss")) == [5, 10, 12]
    assert list(series(result.table, "validation_accuracy")) == [10]
    assert all(bool(parameter.isfinite().all()) for parameter in readout.parameters())


def test_a_validation_that_is_not_finite_is_a_divergence() -> None:
    task = SmallNumbers()
    settings = protocol(
        optimizer="sgd", learning_rate=1e30, dtype="float32", iterations=1, validate_every=1
    )
    result = train(*small_network(task), task, settings, seed=0)
    assert result.diverged_at == 1
    assert task.of("test") == []
    assert series(result.table, "validation_loss") == {}
