"""Wide models: what is measured without matrices agrees with what is measured with them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import gradprobe as gp
from gradprobe.errors import ArgumentError
from gradprobe.probes import matrix_free

LENGTH, BATCH, UNITS = 25, 2, 24


def draw_inputs() -> torch.Tensor:
    return torch.randn(LENGTH, BATCH, 3, generator=torch.Generator().manual_seed(1))


def both_ways(name: str, probe: str, **options: object) -> tuple[pd.DataFrame, pd.DataFrame]:
    model = gp.models.build(name, input_size=3, hidden_size=UNITS, num_layers=2)
    tables = [
        gp.probe(model, draw_inputs(), {probe: {"method": method, **options}}, [12, LENGTH])
        for method in ("dense", "matrix_free")
    ]
    return tables[0], tables[1]


@pytest.mark.parametrize("block", ["state", "hidden"])
@pytest.mark.parametrize("name", ["lstm", "orthogonal", "antisymmetric"])
def test_the_leading_values_are_those_of_the_dense_path(name: str, block: str) -> None:
    dense, free = both_ways(name, "singular_values", block=block, count=4)
    assert dense[["length", "sequence", "rank"]].equals(free[["length", "sequence", "rank"]])
    off = (dense["value"] - free["value"]).abs()
    assert (off <= dense["error"] + free["error"]).all()
    if name != "antisymmetric":  # whose values are too close to settle in a few sweeps
        assert free["resolved"].all()


@pytest.mark.parametrize("name", ["lstm", "antisymmetric"])
def test_the_norms_are_estimated_within_their_standard_errors(name: str) -> None:
    dense, free = both_ways(name, "gradient_norm")
    keys = ["matrix", "length", "step", "sequence"]
    exact = dense.query("quantity == 'log_norm_fro'").set_index(keys)["value"]
    estimated = free.query("quantity == 'log_norm_fro_estimate'").set_index(keys)
    deviation = (estimated["value"] - exact.reindex(estimated.index)) / estimated["error"]
    assert len(deviation) == BATCH * (LENGTH + 12 + LENGTH)
    assert np.sqrt((deviation**2).mean()) < 2.0
    assert deviation.abs().max() < 5.0
    ends = estimated.query("matrix == 'end_to_end' and step in (12, @LENGTH)")
    assert ends["error"].max() < estimated["error"].median()
    spectral = [table.query("quantity == 'log_norm_spectral'") for table in (dense, free)]
    off = spectral[0]["value"].to_numpy() - spectral[1]["value"].to_numpy()
    assert (np.abs(off) <= spectral[1]["error"] + 1e-9).all()


def test_the_method_is_chosen_by_the_size_of_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_free, "WIDEST_DENSE", 50)
    narrow, wide = (
        gp.probe(
            gp.models.build("vanilla", input_size=3, hidden_size=size),
            draw_inputs(),
            ["singular_values", "gradient_norm"],
        )
        for size in (50, 51)
    )
    assert narrow["rank"].max() == 50
    assert wide["rank"].max() == 8
    assert "log_norm_fro" in set(narrow["quantity"])
    assert "log_norm_fro_estimate" in set(wide["quantity"])


def test_an_opaque_cell_too_wide_for_its_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    from gradprobe.models.opaque import opaque_model

    cell = torch.nn.GRUCell(3, UNITS)
    monkeypatch.setattr(opaque_model, "LARGEST_MATRIX", 10)
    opaque = gp.adapt(cell.forward, state_size=UNITS)
    options = {"singular_values": {"method": "matrix_free", "count": 3}}
    free = gp.probe(opaque, draw_inputs(), options, [4], dtype=torch.float32)
    dense = gp.probe(cell, draw_inputs(), {"singular_values": {"count": 3}}, [4])
    assert (free["value"] - dense["value"]).abs().max() < 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 2 * UNITS + 1}, "count must be at most 48, all there are, got 49"),
        ({"count": UNITS + 1, "block": "hidden"}, "count must be at most 24, all there are"),
        ({"count": 0}, "count must be a positive integer, got 0"),
        (
            {"method": "sparse"},
            "method must be one of 'auto', 'dense', 'matrix_free', got 'sparse'",
        ),
        ({"method": "matrix_free", "exact": True}, "exact needs every singular value"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, object], message: str) -> None:
    model = gp.models.build("vanilla", input_size=3, hidden_size=UNITS, num_layers=2)
    with pytest.raises(ArgumentError, match=message):
        gp.probe(model, draw_inputs(), {"singular_values": options})
