"""The readout, as the paper draws it and as torch's own linear map computes it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradprobe.errors import ArgumentError
from gradprobe.models import Initialiser, Readout


def readout(hidden_size: int, output_size: int) -> Readout:
    source = torch.Generator().manual_seed(0)
    return Readout(hidden_size, output_size, Initialiser(source, dtype=torch.float64))


def test_weights_have_the_variance_of_one_over_the_hidden_states_entries_and_biases_are_zero() -> (
    None
):
    found = readout(300, 200)
    assert found.weight.shape == (200, 300)
    # The variance of 60,000 normal numbers is known to 1 part in √30,000: here, five of these.
    assert found.weight.var().item() * 300 == pytest.approx(1, abs=5 / 30_000**0.5)
    assert abs(found.weight.mean().item()) < 5 / (300 * 60_000) ** 0.5
    assert torch.equal(found.bias, torch.zeros(200, dtype=torch.float64))


def test_it_computes_what_a_linear_map_of_torch_computes() -> None:
    found, theirs = readout(7, 3), nn.Linear(7, 3).double()
    theirs.load_state_dict(found.state_dict())
    hidden = torch.randn(2, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(found(hidden), theirs(hidden), rtol=0, atol=1e-15)


def test_sizes_must_be_positive_integers() -> None:
    with pytest.raises(ArgumentError, match="hidden_size must be a positive integer, got 0"):
        readout(0, 3)
    with pytest.raises(ArgumentError, match=r"output_size must be a positive integer, got 2\.5"):
        readout(3, 2.5)  # type: ignore[arg-type]
