"""Every probe on every model, against the dense autograd reference in float64."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from model_cases import BATCH, CASES, build, draw_inputs, draw_state
from torch import Tensor

from gradprobe.models import RecurrentModel
from gradprobe.probes import dense_reference, probe

LENGTHS = [3, 7]


def setting(case: str) -> tuple[RecurrentModel, Tensor, Tensor]:
    model = build(case)
    return model, draw_inputs(), draw_state(model)


def column(table: pd.DataFrame, **chosen: object) -> np.ndarray:
    """Return the values of some rows, shape (B, …), sorted by sequence, step and rank."""
    for name, value in chosen.items():
        table = table[table[name] == value]
    ordered = table.sort_values(["sequence", "step", "rank"])
    assert (ordered["error"] < 1e-9).all()
    assert ordered["resolved"].all()
    return ordered["value"].to_numpy().reshape(BATCH, -1)


def hidden_block(model: RecurrentModel, matrix: Tensor) -> Tensor:
    return matrix[:, model.hidden_slice, model.hidden_slice]


def log_singular_values(matrix: Tensor) -> np.ndarray:
    values: np.ndarray = torch.linalg.svdvals(matrix).log().numpy()
    return values


@pytest.mark.parametrize("block", ["state", "hidden"])
@pytest.mark.parametrize("case", CASES)
def test_singular_values(case: str, block: str) -> None:
    model, inputs, state = setting(case)
    table = probe(model, inputs, {"singular_values": {"block": block}}, LENGTHS, state=state)
    assert set(table["block"]) == {block}
    for length in LENGTHS:
        reference = dense_reference.end_to_end_jacobian(model, inputs[:length], state)
        reference = reference if block == "state" else hidden_block(model, reference)
        ours = column(table, length=length, quantity="log_sigma", matrix="end_to_end")
        # The dense reference itself is only right to rounding relative to its largest value.
        expected = log_singular_values(reference)
        lost = np.isneginf(expected[:, 0])
        assert np.isneginf(ours[lost]).all()
        ours, expected = ours[~lost], expected[~lost]
        tolerance = 1e-13 * np.exp(expected[:, :1] - expected)
        judged = tolerance < 1e-3
        assert judged[:, 0].all()
        assert (np.abs(ours[judged] - expected[judged]) <= tolerance[judged]).all()


@pytest.mark.parametrize("case", CASES)
def test_gradient_norm(case: str) -> None:
    model, inputs, state = setting(case)
    table = probe(model, inputs, ["gradient_norm"], LENGTHS, state=state)
    assert set(table["block"]) == {"hidden"}

    forwards = column(table, quantity="log_norm_fro", matrix="end_to_end", length=LENGTHS[-1])
    assert forwards.shape == (BATCH, LENGTHS[-1] + 1)
    np.testing.assert_allclose(forwards[:, 0], np.log(model.output_size) / 2, rtol=0, atol=1e-15)
    for t in range(1, LENGTHS[-1] + 1):
        reference = dense_reference.end_to_end_jacobian(model, inputs[:t], state)
        expected = torch.linalg.matrix_norm(hidden_block(model, reference)).log().numpy()
        np.testing.assert_allclose(forwards[:, t], expected, rtol=0, atol=1e-12)

    for length in LENGTHS:
        backwards = column(table, matrix="tail", length=length)
        assert backwards.shape == (BATCH, length + 1)
        for t in range(length):
            reference = dense_reference.end_to_end_jacobian(model, inputs[:length], state, start=t)
            expected = torch.linalg.matrix_norm(hidden_block(model, reference)).log().numpy()
            np.testing.assert_allclose(backwards[:, t], expected, rtol=0, atol=1e-12)
        reference = dense_reference.end_to_end_jacobian(model, inputs[:length], state)
        spectral = column(table, quantity="log_norm_spectral", length=length)
        expected = log_singular_values(hidden_block(model, reference))[:, :1]
        np.testing.assert_allclose(spectral, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_eigenvalue_real_parts(case: str) -> None:
    model, inputs, state = setting(case)
    options = {"eigenvalue_real_parts": {"steps": [2, 5], "samples": 4}}
    table = probe(model, inputs, options, LENGTHS, state=state)
    euler = model.step_size is not None
    assert set(table["matrix"]) == {"vector_field" if euler else "step"}
    assert set(table.loc[table["rank"].notna(), "step"]) == {2, 5}
    assert set(table.loc[table["rank"].isna(), "step"]) == {1, 3, 5, 7}
    for t in (2, 5):
        matrix = _step_reference(model, inputs, state, t)
        expected = np.linalg.eigvals(matrix.numpy())
        ours = _values(table, t, "real") + 1j * _values(table, t, "imag")
        assert (np.diff(ours.real) <= 0).all()
        # Matched as sets: pairs of equal real part have no order.
        distance = np.abs(ours[:, :, None] - expected[:, None, :])
        assert distance.min(axis=2).max() < 1e-7
        assert distance.min(axis=1).max() < 1e-7
        name = "euler_modulus" if euler else "modulus"
        modulus = np.abs(ours if model.step_size is None else 1 + model.step_size * ours)
        np.testing.assert_allclose(_values(table, t, name), modulus, rtol=0, atol=1e-13)
    real = np.linalg.eigvals(_step_reference(model, inputs, state, 5).numpy()).real
    statistics = {"real_max": real.max(1), "real_mean": real.mean(1), "real_std": real.std(1)}
    for name, statistic in statistics.items():
        np.testing.assert_allclose(_values(table, 5, name)[:, 0], statistic, rtol=0, atol=1e-7)


def _step_reference(model: RecurrentModel, inputs: Tensor, state: Tensor, t: int) -> Tensor:
    """Return F_t of an Euler-type model, J_t of every other, by autograd."""
    jacobian = dense_reference.end_to_end_jacobian(model, inputs[:t], state, start=t - 1)
    if model.step_size is None:
        return jacobian
    return (jacobian - torch.eye(model.state_size, dtype=torch.float64)) / model.step_size


def _values(table: pd.DataFrame, step: int, quantity: str) -> np.ndarray:
    chosen = table[(table["step"] == step) & (table["quantity"] == quantity)]
    values: np.ndarray = chosen["value"].to_numpy().reshape(BATCH, -1)
    return values
