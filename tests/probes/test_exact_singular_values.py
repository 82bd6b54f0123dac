"""`exact` settles what float64 leaves open, says what it costs, and touches nothing else."""

from __future__ import annotations

import functools
import math
import sys
from fractions import Fraction

import mpmath
import numpy as np
import pandas as pd
import pytest
import torch

import gradprobe as gp
from gradprobe import models
from gradprobe.errors import ArgumentError


class Linear(torch.nn.Module):
    """h ← J_t h, where x_t says which J_t."""

    def __init__(self, steps: list[np.ndarray]) -> None:
        super().__init__()
        self.steps = torch.nn.Parameter(torch.from_numpy(np.stack(steps)))

    def forward(self, chosen: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        step = torch.einsum("bt,tij->bij", chosen, self.steps)
        return torch.einsum("bij,bj->bi", step, state)


def chain(size: int) -> np.ndarray:
    return np.diag(np.full(size, 0.5)) + np.diag(np.ones(size - 1), 1)


def by_mpmath(steps: list[np.ndarray], part: slice = slice(None)) -> list[float]:
    """Multiply as fractions; singular values by mpmath's own SVD."""
    fractions = [np.vectorize(Fraction, otypes=[object])(step) for step in steps]
    product = functools.reduce(lambda result, step: step @ result, fractions)[part, part]
    with mpmath.workdps(400):
        matrix = mpmath.matrix(
            [[mpmath.mpf(v.numerator) / v.denominator for v in row] for row in product.tolist()]
        )
        values = mpmath.svd_r(matrix, compute_uv=False)
        return [float(mpmath.log(value)) for value in values]


def measure(steps: list[np.ndarray], length: int, **options: object) -> pd.DataFrame:
    """Two sequences: the steps, and the identity each time."""
    size = len(steps[0])
    model = gp.adapt(Linear([*steps, np.eye(size)]), state_size=size)
    inputs = torch.zeros(length, 2, len(steps) + 1, dtype=torch.float64)
    for t in range(length):
        inputs[t, 0, t % len(steps)] = inputs[t, 1, -1] = 1.0
    return gp.probe(model, inputs, {"singular_values": options}, [length // 2, length])


def test_a_defective_chain_is_settled_at_every_length() -> None:
    open_table, table = measure([chain(6)], 400), measure([chain(6)], 400, exact=True)
    first = open_table["sequence"] == 0
    assert not open_table[first]["resolved"].all()
    assert table["resolved"].all()
    for length in (200, 400):
        rows = table[(table["length"] == length) & (table["sequence"] == 0)]
        off = np.abs(rows["value"].to_numpy() - by_mpmath([chain(6)] * length))
        assert (off <= rows["error"]).all()
    assert (rows["error"] < 1e-12).all()
    pd.testing.assert_frame_equal(table[~first], open_table[~first])


def test_the_hidden_block_of_an_lstm_is_settled() -> None:
    generator = torch.Generator().manual_seed(3)
    model = models.build(
        "lstm", input_size=2, hidden_size=4, forget_bias=6.0, generator=generator,
        dtype=torch.float64,
    )  # fmt: skip
    inputs = torch.randn(120, 1, 2, generator=generator, dtype=torch.float64)
    without = gp.probe(model, inputs, {"singular_values": {"block": "hidden"}})
    table = gp.probe(model, inputs, {"singular_values": {"block": "hidden", "exact": True}})
    assert not without["resolved"].all()
    assert table["resolved"].all()
    trajectory = models.trace(model, inputs)
    steps = [jacobian.dense()[0].numpy() for jacobian in trajectory.step_jacobians()]
    off = np.abs(table["value"].to_numpy() - by_mpmath(steps, model.hidden_slice))
    assert (off <= table["error"]).all()
    resolved = without["resolved"].to_numpy(dtype=bool)
    distance = np.abs(table["value"] - without["value"])[resolved]
    assert (distance <= without["error"][resolved]).all()


def test_zeros_without_a_pattern_are_found_to_be_zeros() -> None:
    W = np.random.default_rng(0).normal(size=(4, 4))
    W[3] = W[2]
    table = measure([W], 20, exact=True)
    smallest = table[(table["sequence"] == 0) & (table["rank"] == 4)]
    assert (smallest["value"] == -math.inf).all()
    assert (smallest["error"] == 0).all()
    assert table["resolved"].all()


def test_what_takes_too_long_is_refused_before_anything_is_computed() -> None:
    with pytest.raises(ArgumentError, match=r"400 steps of size 6 exactly, which takes about 0 s"):
        measure([chain(6)], 400, exact=True, exact_seconds=1e-6)
    with pytest.raises(ArgumentError, match="exact_seconds must be a positive number, got 0"):
        measure([chain(6)], 4, exact=True, exact_seconds=0)


def test_values_that_would_take_too_long_stay_unresolved() -> None:
    """Of rank one but for their rounding: the second value needs 4000 bits, far more work."""
    generator = np.random.default_rng(0)
    steps = [np.outer(*generator.normal(size=(2, 2))) for _ in range(40)]
    tables = {
        seconds: measure(steps, 40, exact=True, exact_seconds=seconds) for seconds in (1e-5, 1.0)
    }
    second = {
        seconds: table[(table["sequence"] == 0) & (table["rank"] == 2)].iloc[-1]
        for seconds, table in tables.items()
    }
    assert not second[1e-5]["resolved"]
    assert second[1e-5]["error"] == math.inf
    assert second[1.0]["resolved"]
    assert abs(second[1.0]["value"] - by_fractions_determinant(steps)) < 1e-9


def by_fractions_determinant(steps: list[np.ndarray]) -> float:
    """Return log σ_2 = log|det M| − log σ_1 of 2 × 2 matrices."""
    exact = [[Fraction(entry) for entry in step.ravel()] for step in steps]
    determinants = [abs(a * d - b * c) for a, b, c, d in exact]
    with mpmath.workdps(100):
        logs = [mpmath.log(mpmath.mpf(v.numerator) / v.denominator) for v in determinants]
        return float(mpmath.fsum(logs)) - by_mpmath(steps)[0]


def test_without_python_flint_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "gradprobe.linalg.arbitrary_precision", raising=False)
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(ArgumentError, match=r"needs the package python-flint.*gradprobe\[exact\]"):
        measure([chain(3)], 4, exact=True)
    assert len(measure([chain(3)], 4)) == 12
