"""How many eigenvalues zeros leave, against the rank of powers of matrices with such zeros."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradprobe.errors import ArgumentError
from gradprobe.linalg.cycles import most_nonzero_eigenvalues, pattern_of_product


@given(st.integers(1, 6), st.floats(0, 1), st.integers(0, 2**31))
@settings(max_examples=80, deadline=None)
def test_random_entries_have_as_many_eigenvalues_as_their_zeros_allow(
    size: int, density: float, seed: int
) -> None:
    """The rank of A^size, whose small integers are exact, is their number without chance zeros."""
    generator = np.random.default_rng(seed)
    pattern = generator.random((size, size)) < density
    entries = generator.integers(1, 1000, (size, size))
    modulus = 2**31 - 1
    power = matrix = np.where(pattern, entries, 0).astype(object)
    for _ in range(size - 1):
        power = power @ matrix % modulus
    assert most_nonzero_eigenvalues(pattern) == rank_modulo(power, modulus)


def rank_modulo(matrix: np.ndarray, prime: int) -> int:
    """Return the rank over the field of integers modulo a prime, by elimination."""
    rows, rank = matrix.copy(), 0
    for column in range(len(rows)):
        pivots = [row for row in range(rank, len(rows)) if rows[row, column] % prime]
        if not pivots:
            continue
        rows[[rank, pivots[0]]] = rows[[pivots[0], rank]]
        rows[rank] = rows[rank] * pow(int(rows[rank, column]), -1, prime) % prime
        for row in range(rank + 1, len(rows)):
            rows[row] = (rows[row] - rows[row, column] * rows[rank]) % prime
        rank += 1
    return rank


def test_the_pattern_of_a_product_is_that_of_positive_matrices() -> None:
    generator = np.random.default_rng(0)
    steps = [(generator.random((2, 5, 5)) < 0.3) * generator.random((2, 5, 5)) for _ in range(4)]
    dense = steps[3] @ steps[2] @ steps[1] @ steps[0]
    pattern = pattern_of_product(torch.from_numpy(step) for step in steps)
    assert (pattern.numpy() == (dense > 0)).all()
    assert 0 < pattern.sum() < pattern.numel()


def test_a_product_of_nothing_is_refused() -> None:
    with pytest.raises(ArgumentError, match="at least one step, got none"):
        pattern_of_product([])
