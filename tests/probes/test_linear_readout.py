"""The readout that leaves one out, against as many regressions of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from torch import Tensor

import gradprobe as gp
from gradprobe import models
from gradprobe.errors import ArgumentError

LENGTH, BATCH = 12, 20


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def built() -> models.RecurrentModel:
    return models.build("antisymmetric", input_size=2, hidden_size=5, step_size=0.3)


def states_of(inputs: Tensor) -> NDArray[np.float64]:
    """Return h_1 … h_T, shape (T, B, N)."""
    hidden, _ = built().double()(inputs)
    return np.asarray(hidden.detach().numpy())


def measured(inputs: Tensor, targets: Tensor, **options: Any) -> dict[str, float]:
    table = gp.probe(built(), inputs, {"linear_readout": options}, targets=targets)
    assert table["resolved"].all()
    assert table["error"].max() < 1e-9
    return dict(zip(table["quantity"], table["value"], strict=True))


def explained(states: NDArray[np.float64], answers: NDArray[np.float64], penalty: float) -> float:
    """Fit a regression without each sequence in turn: states (k, B, N), answers (k, B, C)."""
    left = alone = 0.0
    for b in range(states.shape[1]):
        others = np.arange(states.shape[1]) != b
        seen, told = (np.concatenate(list(part[:, others])) for part in (states, answers))
        weight = penalty * states.shape[0] * states.shape[1]
        fitted = Ridge(alpha=weight).fit(seen, told)
        left += float(
            ((fitted.predict(states[:, b]).reshape(answers[:, b].shape) - answers[:, b]) ** 2).sum()
        )
        alone += float(((told.mean(0) - answers[:, b]) ** 2).sum())
    return 1 - left / alone


@pytest.mark.parametrize("penalty", [1e-6, 0.01, 1.0])
def test_classes_are_told_as_by_a_regression_without_each_sequence(penalty: float) -> None:
    inputs, classes = drawn(LENGTH, BATCH, 2), torch.arange(BATCH) % 3 * 5
    table = measured(inputs, classes, penalty=penalty)
    states = states_of(inputs)[-1:]
    answers = np.eye(3)[np.arange(BATCH) % 3][None]
    expected = explained(states, answers, penalty)
    assert table["explained_variance"] == pytest.approx(expected, abs=1e-10)
    scaled = (states - states.mean((0, 1))) / np.sqrt(np.mean((states - states.mean((0, 1))) ** 2))
    expected = explained(scaled, answers, penalty)
    assert table["explained_variance_rescaled"] == pytest.approx(expected, abs=1e-10)


def test_numbers_of_several_states_leave_the_whole_sequence_out() -> None:
    inputs, numbers = drawn(LENGTH, BATCH, 2), drawn(3, BATCH, seed=1)
    table = measured(inputs, numbers)
    expected = explained(states_of(inputs)[-3:], numbers.numpy()[..., None], 0.01)
    assert table["explained_variance"] == pytest.approx(expected, abs=1e-10)


def test_what_the_state_holds_is_told_and_what_it_does_not_hold_is_not() -> None:
    inputs = drawn(LENGTH, 200, 2)
    told = measured(inputs, torch.from_numpy(states_of(inputs)[-1, :, 0]), penalty=1e-9)
    assert told["explained_variance"] > 1 - 1e-6
    unheard = measured(inputs, drawn(200, seed=2))
    assert -0.2 < unheard["explained_variance"] < 0.05


def test_a_network_that_adds_its_inputs_up_does_not_know_their_order() -> None:
    """Of x_1, the sum of two independent inputs tells one half; a rotation keeps them apart."""
    inputs, penalty = 1e-3 * drawn(2, 2000, 1), 1e-12
    explained = {}
    for scale in (0.0, 1.0):
        model = models.build(
            "antisymmetric",
            input_size=1,
            hidden_size=2,
            step_size=0.5,
            recurrent_scale=scale,
            diffusion=0.0,
        )
        options = {"linear_readout": {"penalty": penalty}}
        table = gp.probe(model, inputs, options, targets=inputs[0, :, 0])
        explained[scale] = float(table["value"].iloc[0])
    correlation = np.corrcoef(inputs[0, :, 0], inputs.sum(0)[:, 0])[0, 1]
    assert explained[0.0] == pytest.approx(correlation**2, abs=0.005)
    assert explained[0.0] == pytest.approx(0.5, abs=0.05)
    assert explained[1.0] > 0.99


def test_the_scale_of_the_targets_does_not_matter() -> None:
    inputs, numbers = drawn(LENGTH, BATCH, 2), drawn(BATCH, seed=1)
    one, other = (measured(inputs, targets) for targets in (numbers, 1e6 * numbers + 5))
    assert one == pytest.approx(other, rel=1e-7)


def test_states_that_are_all_alike_tell_nothing() -> None:
    model = models.build("gru", input_size=1, hidden_size=4)
    inputs = torch.zeros(5, BATCH, 1)
    table = gp.probe(model, inputs, ["linear_readout"], targets=drawn(BATCH))
    np.testing.assert_allclose(table["value"], 0, atol=1e-12)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (None, "needs targets"),
        (torch.zeros(4, dtype=torch.int64), "targets must"),
        (torch.ones(BATCH), "all are the same"),
        (torch.full((BATCH,), torch.nan), "finite"),
        (drawn(LENGTH + 1, BATCH), "the shortest length is 12"),
    ],
)
def test_targets_that_do_not_fit_are_refused(targets: Tensor | None, message: str) -> None:
    with pytest.raises((ArgumentError, ArithmeticError), match=message):
        gp.probe(built(), drawn(LENGTH, BATCH, 2), ["linear_readout"], targets=targets)


def test_two_sequences_are_too_few() -> None:
    with pytest.raises(ArgumentError, match="at least 3 sequences, got 2"):
        gp.probe(built(), drawn(LENGTH, 2, 2), ["linear_readout"], targets=torch.arange(2))


def test_every_probe_reads_as_many_sequences_as_it_is_told_to() -> None:
    inputs, numbers = drawn(LENGTH, BATCH, 2), drawn(BATCH, seed=1)
    options = {"singular_values": {"sequences": 2}, "linear_readout": {"sequences": 9}}
    table = gp.probe(built(), inputs, options, targets=numbers)
    few = gp.probe(built(), inputs[:, :2], ["singular_values"])
    singular = table[table["probe"] == "singular_values"]
    assert set(singular["sequence"]) == {0, 1}
    np.testing.assert_allclose(singular["value"], few["value"], rtol=0, atol=1e-12)
    alone = measured(inputs[:, :9], numbers[:9])
    read = table[table["probe"] == "linear_readout"]
    np.testing.assert_allclose(read["value"], list(alone.values()), rtol=0, atol=1e-12)


def test_more_sequences_than_there_are_means_all() -> None:
    inputs = drawn(LENGTH, 2, 2)
    table = gp.probe(built(), inputs, {"gradient_norm": {"sequences": 50}})
    assert set(table["sequence"].dropna()) == {0, 1}
    with pytest.raises(ArgumentError, match="sequences must be a positive integer"):
        gp.probe(built(), inputs, {"gradient_norm": {"sequences": 0}})
