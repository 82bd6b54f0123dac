"""Condition, ranks and eigenvalues of M_T: closed forms, autograd, and what cannot be told."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from model_cases import BATCH, CASES, build, draw_inputs, draw_state
from torch import Tensor

import gradprobe as gp
from gradprobe.errors import ArgumentError
from gradprobe.probes import dense_reference

LENGTHS = [3, 7]


def values(table: pd.DataFrame, quantity: str, **chosen: object) -> np.ndarray:
    table = table[table["quantity"] == quantity]
    for name, value in chosen.items():
        table = table[table[name] == value]
    result: np.ndarray = table["value"].to_numpy()
    return result


def linear(matrix: Tensor) -> Any:
    return gp.adapt(lambda inputs, state: state @ matrix.T, state_size=matrix.shape[0])


def orthogonal(size: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(size, size, generator=generator, dtype=torch.float64)
    Q: Tensor = torch.linalg.qr(normal).Q
    return Q


def test_powers_of_a_matrix_have_the_powers_of_its_eigenvalues_far_below_underflow() -> None:
    """λ_i(A^T) = λ_i^T for any A: here to e^-1800, with phases, and far from normal."""
    basis = orthogonal(5)
    upper = torch.triu(orthogonal(5, 1), diagonal=1)
    upper[torch.arange(5), torch.arange(5)] = torch.tensor([0.99, 0.7, 0.5, 0.3, 0.1]).double()
    upper[1, 2], upper[2, 1], upper[2, 2] = 0.2, -0.3, 0.7
    matrix = basis @ upper @ basis.T
    table = gp.probe(linear(matrix), torch.zeros(800, 1, 1), ["end_to_end_eigenvalues"], [800])
    exact = np.linalg.eigvals(upper.numpy())
    exact = exact[np.lexsort((-exact.imag, -np.abs(exact)))]
    logs = 800 * np.log(np.abs(exact))
    np.testing.assert_allclose(values(table, "log_modulus"), logs, rtol=0, atol=1e-8)
    phases = np.sort(np.abs((800 * np.angle(exact) + np.pi) % (2 * np.pi) - np.pi))
    ours = np.sort(np.abs(values(table, "phase")))
    np.testing.assert_allclose(ours, phases, rtol=0, atol=1e-8)
    moduli = np.exp(logs - logs[0])
    for quantity, value in (
        ("log_mean_modulus", moduli.mean()),
        ("log_std_modulus", moduli.std()),
    ):
        expected = logs[0] + math.log(value)
        np.testing.assert_allclose(values(table, quantity), expected, rtol=0, atol=1e-9)
    assert table["resolved"].all()


@pytest.mark.parametrize("diffusion", [0.0, 0.1])
def test_the_figure_of_the_antisymmetric_network(diffusion: float) -> None:
    """λ(M_T) = (1 − εγ ± iεω)^T for linear dynamics: mean modulus near one at γ = 0."""
    step, length, size = 0.05, 400, 10
    upper = torch.triu(orthogonal(size), diagonal=1)
    matrix = torch.eye(size).double() * (1 - step * diffusion) + step * (upper - upper.T)
    table = gp.probe(linear(matrix), torch.zeros(length, 1, 1), ["end_to_end_eigenvalues"])
    frequencies = np.linalg.eigvals((upper - upper.T).numpy()).imag
    logs = length / 2 * np.log((1 - step * diffusion) ** 2 + (step * frequencies) ** 2)
    np.testing.assert_allclose(
        values(table, "log_modulus"), np.sort(logs)[::-1], rtol=0, atol=1e-11
    )
    moduli = np.exp(logs)
    mean, deviation = values(table, "log_mean_modulus"), values(table, "log_std_modulus")
    np.testing.assert_allclose(np.exp(mean), moduli.mean(), rtol=1e-11)
    np.testing.assert_allclose(np.exp(deviation), moduli.std(), rtol=1e-9)


def test_a_defective_matrix_gives_no_noise() -> None:
    chain = 0.9 * torch.eye(16).double() + torch.diag(torch.ones(15).double(), 1)
    table = gp.probe(linear(chain), torch.zeros(200, 1, 1), ["end_to_end_eigenvalues"])
    assert table["value"].isna().all()
    assert np.isinf(table["error"]).all()
    assert not table["resolved"].any()


def test_zeros_are_true_zeros_and_have_no_phase() -> None:
    matrix = orthogonal(4)
    matrix[1] = 0
    table = gp.probe(linear(matrix), torch.zeros(20, 1, 1), ["end_to_end_eigenvalues", "condition"])
    logs = values(table, "log_modulus")
    assert logs[3] == -math.inf
    assert np.isfinite(logs[:3]).all()
    assert table.loc[table["quantity"] == "phase", "rank"].tolist() == [1, 2, 3]
    assert values(table, "log_condition").item() == math.inf
    assert table["resolved"].all()


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_delay_line_is_nilpotent_long_before_it_has_forgotten(length: int) -> None:
    """The shift of six units has singular values of one until T = 6, but no eigenvalue."""
    shift = torch.diag(torch.ones(5, dtype=torch.float64), -1)
    mixed = torch.block_diag(shift, 0.5 * orthogonal(3))
    table = gp.probe(linear(shift), torch.zeros(length, 2, 1), ["end_to_end_eigenvalues"])
    assert np.isneginf(table["value"]).all()
    assert (table["error"] == 0).all()
    assert len(table) == 2 * (6 + 2)
    table = gp.probe(linear(mixed), torch.zeros(length, 1, 1), ["end_to_end_eigenvalues"])
    logs = values(table, "log_modulus")
    np.testing.assert_allclose(logs[:3], length * math.log(0.5), rtol=0, atol=1e-12)
    assert np.isneginf(logs[3:]).all()
    assert table["rank"].max() == 9
    assert table.loc[table["quantity"] == "log_modulus", "resolved"].all()


@pytest.mark.parametrize("block", ["state", "hidden"])
@pytest.mark.parametrize("case", CASES)
def test_every_model_against_plain_autograd(case: str, block: str) -> None:
    model, inputs = build(case), draw_inputs()
    state = draw_state(model)
    probes = {name: {"block": block} for name in ("end_to_end_eigenvalues", "condition")}
    table = gp.probe(model, inputs, probes, LENGTHS, state=state)
    assert set(table["block"]) == {block}
    assert set(table["matrix"]) == {"end_to_end"}
    rows = slice(None) if block == "state" else model.hidden_slice
    for length in LENGTHS:
        at_length = table[table["length"] == length]
        dense = dense_reference.end_to_end_jacobian(model, inputs[:length], state)[:, rows, rows]
        sigma = np.linalg.svd(dense.numpy(), compute_uv=False)
        moduli = np.sort(np.abs(np.linalg.eigvals(dense.numpy())))[:, ::-1]
        ours = values(at_length, "log_modulus").reshape(BATCH, -1)
        assert ours.shape == moduli.shape
        for index in np.flatnonzero(sigma[:, 0] > 0):
            # The dense eigenvalues are only right to rounding relative to the largest entries.
            judged = moduli[index] > 1e-6 * sigma[index, 0]
            np.testing.assert_allclose(
                ours[index][judged], np.log(moduli[index][judged]), rtol=0, atol=1e-6
            )
            p = sigma[index] / sigma[index].sum()
            p = p[p > 0]
            expected = {
                "log_mean_modulus": math.log(moduli[index].mean()),
                "effective_rank": math.exp(-(p * np.log(p)).sum()),
                "stable_rank": np.square(sigma[index] / sigma[index, 0]).sum(),
            }
            if sigma[index, -1] > 1e-9 * sigma[index, 0]:
                expected["log_condition"] = math.log(sigma[index, 0] / sigma[index, -1])
            for quantity, value in expected.items():
                ours_now = values(at_length, quantity, sequence=index).item()
                assert ours_now == pytest.approx(value, abs=1e-6), quantity


def test_orthogonal_products_are_perfectly_conditioned_and_contracting_ones_are_not() -> None:
    table = gp.probe(linear(orthogonal(8)), torch.zeros(500, 1, 1), ["condition"])
    assert abs(values(table, "log_condition").item()) < 1e-12
    assert values(table, "effective_rank").item() == pytest.approx(8, abs=1e-11)
    assert values(table, "stable_rank").item() == pytest.approx(8, abs=1e-11)
    diagonal = torch.diag(torch.tensor([1.0, 0.5, 0.125], dtype=torch.float64))
    table = gp.probe(linear(diagonal), torch.zeros(1000, 1, 1), ["condition"])
    assert values(table, "log_condition").item() == pytest.approx(3000 * math.log(2), rel=1e-12)
    assert values(table, "effective_rank").item() == pytest.approx(1, abs=1e-12)
    assert table["resolved"].all()


@pytest.mark.parametrize("probe", ["end_to_end_eigenvalues", "condition"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block": "h"}, "block must be one of 'state', 'hidden', got 'h'"),
        ({"tolerance": 0}, "tolerance must be a positive number"),
    ],
)
def test_options_are_checked(probe: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        gp.probe(build("vanilla"), draw_inputs(), {probe: options})
