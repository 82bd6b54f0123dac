"""Initial values of published cells: their distributions, and what they are by construction."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from published_cells import arrays, cell_of
from scipy import stats

from gradprobe.models import Initialiser


@pytest.mark.parametrize(
    ("name", "parameter", "distribution"),
    [
        ("lipschitz", "linear.weight", stats.norm(0, 0.1 / 40)),
        ("lipschitz", "nonlinear.weight", stats.norm(0, 0.1 / 40)),
        ("lipschitz", "input_weight", stats.uniform(-0.5, 1)),
        ("lipschitz", "bias", stats.uniform(-0.5, 1)),
        ("cfn", "recurrent_weight", stats.uniform(-0.07, 0.14)),
        ("cfn", "input_weight", stats.uniform(-0.07, 0.14)),
        ("minimal_rnn", "recurrent_weight", stats.norm(0, 40**-0.5)),
        ("minimal_rnn", "latent_weight", stats.norm(0, 40**-0.5)),
        ("minimal_rnn", "input_weight", stats.norm(0, 0.5)),
        ("irnn", "input_weight", stats.norm(0, 0.001)),
        ("soft_orthogonal", "input_weight", stats.uniform(-0.01, 0.02)),
        ("exprnn", "input_weight", stats.norm(0, 0.5**0.5)),
        ("exprnn", "bias", stats.uniform(-0.01, 0.02)),
        ("scornn", "input_weight", stats.uniform(-0.01, 0.02)),
        ("kru", "input_weight", stats.norm(0, 8**-0.5)),
    ],
)
def test_initial_values_follow_their_distribution(
    name: str, parameter: str, distribution: Any
) -> None:
    """Kolmogorov and Smirnov's test; a standard deviation off by a fifth would fail it."""
    samples = [
        arrays(cell_of(name, 40, features=4, seed=seed))[parameter].ravel() for seed in range(15)
    ]
    assert stats.kstest(np.concatenate(samples), distribution.cdf).pvalue > 0.01


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        ("cfn", "forget_bias", 1.0),
        ("cfn", "input_bias", -1.0),
        ("minimal_rnn", "gate_bias", 0.0),
        ("minimal_rnn", "latent_bias", 0.0),
        ("irnn", "biases.input", 0.0),
        ("soft_orthogonal", "bias", 0.0),
        ("soft_orthogonal", "spectrum", 0.0),
        ("scornn", "bias", 0.0),
        ("kru", "bias", 0.0),
    ],
)
def test_initial_values_that_are_constant(name: str, parameter: str, value: float) -> None:
    assert (arrays(cell_of(name, 5))[parameter] == value).all()


def test_the_identity_scale_of_the_irnn() -> None:
    matrix = cell_of("irnn", 3, identity_scale=0.01).recurrent_matrix()
    assert torch.equal(matrix, 0.01 * torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize("longest", [3, 300])
def test_chrono_gates_forget_at_uniform_times_and_let_in_what_they_forget(longest: int) -> None:
    bias = cell_of("chrono_lstm", 500, longest_dependency=longest).drive_bias()
    assert bias is not None
    input_bias, forget_bias, candidate_bias, output_bias = bias.detach().chunk(4)
    assert torch.equal(input_bias, -forget_bias)
    assert not candidate_bias.any()
    assert not output_bias.any()
    exponentials = stats.uniform(1, longest - 2)
    assert stats.kstest(forget_bias.exp().numpy(), exponentials.cdf).pvalue > 0.01


@pytest.mark.parametrize("name", ["exprnn", "scornn"])
@pytest.mark.parametrize("initialisation", ["cayley", "henaff"])
def test_skew_matrices_start_as_blocks_of_random_rotations(name: str, initialisation: str) -> None:
    cell = cell_of(name, 401, initialisation=initialisation)
    matrix = np.zeros((401, 401))
    matrix[np.triu_indices(401, 1)] = arrays(cell)["skew.upper_entries"]
    entries = matrix.diagonal(1)[::2].copy()
    matrix[range(0, 400, 2), range(1, 401, 2)] = 0
    assert not matrix.any()
    if initialisation == "henaff":
        angles, distribution = entries, stats.uniform(-math.pi, 2 * math.pi)
    else:  # −√((1 − cos u)/(1 + cos u)) = −tan(u/2)
        angles, distribution = -2 * np.arctan(entries), stats.uniform(0, math.pi / 2)
    assert stats.kstest(angles, distribution.cdf).pvalue > 0.01


def test_unitary_matrices_are_uniform() -> None:
    """Of U(2) in Haar measure every |entry|² is uniform between 0 and 1, every phase as well."""
    initialiser = Initialiser(torch.Generator().manual_seed(0), dtype=torch.float64)
    parts = torch.stack([initialiser.unitary(2).detach() for _ in range(800)])
    entries = (parts[:, 0] + 1j * parts[:, 1]).numpy()
    for row in range(2):
        for column in range(2):
            entry = entries[:, row, column]
            assert stats.kstest(np.abs(entry) ** 2, stats.uniform(0, 1).cdf).pvalue > 0.01
            phases = stats.uniform(-math.pi, 2 * math.pi)
            assert stats.kstest(np.angle(entry), phases.cdf).pvalue > 0.01


def test_the_last_signs_of_scornn_are_negative() -> None:
    signs = dict(cell_of("scornn", 10, negative_share=0.3).named_buffers())["signs"]
    assert signs.tolist() == [1.0] * 7 + [-1.0] * 3
