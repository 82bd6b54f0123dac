"""What `probe` gives back, what it leaves alone, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest
import torch
from model_cases import build, draw_inputs

import gradprobe as gp
from gradprobe import frame
from gradprobe.errors import (
    ArgumentError,
    GradprobeError,
    NonFiniteError,
    UnknownNameError,
)


def test_the_table_has_the_columns_and_dtypes_of_the_schema() -> None:
    table = gp.probe(build("lstm"), draw_inputs(), lengths=[2, 7])
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == frame.COLUMNS
    assert table.attrs["schema_version"] == frame.SCHEMA_VERSION
    assert set(table["probe"]) == {"singular_values", "gradient_norm", "eigenvalue_real_parts"}
    assert set(table["model"]) == {"lstm"}
    assert set(table["sequence"]) == {0, 1, 2}
    assert (table["iteration"] == 0).all()
    assert table["seed"].isna().all()
    assert not table["value"].isna().any()


def test_the_table_survives_parquet(tmp_path: Any) -> None:
    table = gp.probe(build("gru"), draw_inputs())
    table.to_parquet(tmp_path / "table.parquet")
    again = frame.conform(pd.read_parquet(tmp_path / "table.parquet"))
    pd.testing.assert_frame_equal(again, table)


def test_the_longest_length_is_the_default() -> None:
    table = gp.probe(build("vanilla"), draw_inputs(), ["singular_values"])
    assert set(table["length"]) == {7}


def test_lengths_are_prefixes_of_the_same_inputs() -> None:
    model, inputs = build("gated-antisymmetric"), draw_inputs()
    both = gp.probe(model, inputs, ["singular_values"], [7, 3])
    short = gp.probe(model, inputs[:3], ["singular_values"])
    values = both.loc[both["length"] == 3, "value"].to_numpy()
    assert values == pytest.approx(short["value"].to_numpy(), abs=1e-13)


def test_each_sequence_is_measured_as_if_it_were_alone() -> None:
    model, inputs = build("lstm-stacked"), draw_inputs()
    together = gp.probe(model, inputs)
    for index in range(inputs.shape[1]):
        alone = gp.probe(model, inputs[:, index : index + 1])
        mine = together[together["sequence"] == index]
        tolerance = (mine["error"].to_numpy() + alone["error"].to_numpy()).clip(min=1e-13)
        assert (abs(mine["value"].to_numpy() - alone["value"].to_numpy()) <= tolerance).all()


def test_the_same_call_gives_the_same_table_and_leaves_torchs_generator_alone() -> None:
    model, inputs = build("vanilla"), draw_inputs()
    before = torch.get_rng_state()
    first, second = gp.probe(model, inputs), gp.probe(model, inputs)
    pd.testing.assert_frame_equal(first, second)
    assert torch.equal(before, torch.get_rng_state())


def test_a_module_of_torch_is_adapted_and_left_as_it_was() -> None:
    module = torch.nn.GRU(2, 4, batch_first=True).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    table = gp.probe(module, draw_inputs().transpose(0, 1).float(), ["gradient_norm"])
    assert set(table["model"]) == {"torch.nn.GRU"}
    assert set(table["sequence"]) == {0, 1, 2}
    assert module.training
    assert all(p.requires_grad and p.grad is None for p in module.parameters())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_single_precision_measures_as_the_model_runs_and_says_so() -> None:
    model = build("vanilla").float()
    table = gp.probe(model, draw_inputs().float(), ["gradient_norm"], dtype=None)
    exact = gp.probe(model, draw_inputs().float(), ["gradient_norm"])
    difference = (table["value"] - exact["value"]).abs()
    assert difference.max() > 1e-9
    assert (difference <= table["error"] + exact["error"]).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"probes": ["singular"]}, UnknownNameError, "unknown probe 'singular'; the probes are: "),
        ({"probes": "singular_values"}, ArgumentError, "probes must be a list of names, such as"),
        ({"probes": []}, ArgumentError, "probes must be a list of names"),
        ({"probes": {"gradient_norm": {"blok": 1}}}, ArgumentError, "has no option 'blok'; its op"),
        ({"probes": {"gradient_norm": {"generator": 1}}}, ArgumentError, "no option 'generator'"),
        ({"probes": {"singular_values": {"block": "h"}}}, ArgumentError, "one of 'state', 'hidden"),
        ({"probes": {"singular_values": {"tolerance": 0}}}, ArgumentError, "tolerance must be a p"),
        ({"probes": {"gradient_norm": {"tolerance": "x"}}}, ArgumentError, "tolerance must be a f"),
        (
            {"probes": {"eigenvalue_real_parts": {"tolerance": "x"}}},
            ArgumentError,
            "tolerance must be a finite number, got 'x'",
        ),
        (
            {"probes": {"eigenvalue_real_parts": {"steps": [8]}}},
            ArgumentError,
            "steps must lie between 1 and the 7 steps of the inputs, got 8",
        ),
        ({"lengths": [8]}, ArgumentError, "lengths must lie between 1 and the 7 steps of the inp"),
        ({"lengths": [0]}, ArgumentError, "each of lengths must be a positive integer, got 0"),
        ({"lengths": []}, ArgumentError, "lengths must name at least one length"),
        ({"lengths": 7}, ArgumentError, "lengths must be a sequence of positive integers, got 7"),
        ({"inputs": torch.zeros(7, 3, 5)}, ArgumentError, r"must have shape \(T, B, 2\), got \(7,"),
        ({"inputs": torch.zeros(0, 3, 2)}, ArgumentError, "at least one step and one sequence"),
        ({"inputs": torch.zeros(7, 3, 2).long()}, ArgumentError, "floating-point dtype, got torch"),
        ({"inputs": [[1.0]]}, ArgumentError, r"inputs must be a torch\.Tensor, got list"),
        ({"inputs": torch.full((7, 3, 2), math.inf)}, NonFiniteError, "inputs must be finite, got"),
        (
            {"state": torch.zeros(3, 5)},
            ArgumentError,
            r"state must have shape \(3, 4\), got \(3, 5",
        ),
        ({"state": torch.full((3, 4), math.nan)}, NonFiniteError, "state must be finite, got 12 N"),
        ({"model": torch.nn.Linear(2, 2)}, ArgumentError, "could not be inferred .* say what its"),
    ],
)
def test_probe_refuses(
    arguments: dict[str, Any], error: type[GradprobeError], message: str
) -> None:
    with pytest.raises(error, match=message):
        gp.probe(**{"model": build("vanilla"), "inputs": draw_inputs(), **arguments})
