"""Groups that never meet, their ranks, and what strays into the directions that are zero."""

from __future__ import annotations

import math

import pytest
import torch
from product_families import absorbed

from gradprobe.linalg import graded
from gradprobe.linalg.strays import Move, Strays
from gradprobe.linalg.structure import Structure

PAIRS = torch.tensor([0, 1, 0, 2, 1, 2])  # which entries a step couples


def paired(generator: torch.Generator) -> torch.Tensor:
    """Draw a step that couples entries of the same pair only."""
    step = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    return step * (PAIRS.unsqueeze(0) == PAIRS.unsqueeze(1))


def test_groups_are_the_connected_parts_and_only_grow() -> None:
    structure = Structure((), 6, torch.device("cpu"), grouped=True)
    structure.join(paired(torch.Generator().manual_seed(0)))
    assert structure.groups().rows.tolist() == [0, 1, 0, 3, 1, 3]
    assert structure.ranks.tolist() == [2, 2, 0, 2, 0, 0]
    bridge = torch.eye(6)
    bridge[5, 0] = 1.0
    structure.join(bridge)
    assert structure.groups().rows.tolist() == [0, 1, 0, 0, 1, 0]
    assert structure.ranks.tolist() == [4, 2, 0, 0, 0, 0]
    structure.join(torch.ones(6, 6))
    assert not structure.grouped


def test_a_chain_is_one_group() -> None:
    structure = Structure((2,), 9, torch.device("cpu"), grouped=True)
    chain = torch.diag(torch.ones(8), 1)
    structure.join(torch.stack([chain, chain.flip(0, 1)]))
    assert not structure.grouped


def test_each_group_loses_its_own_rank() -> None:
    """Two pairs lose a direction each, at different steps: a bound on all rows sees one only."""
    generator = torch.Generator().manual_seed(0)
    steps = [paired(generator) for _ in range(20)]
    steps[3][0] = 0.0
    steps[9][1] = 0.0
    spectrum = absorbed([step.numpy() for step in steps]).log_singular_values()
    assert (spectrum.log_singular_values == -torch.inf).tolist() == [False] * 4 + [True] * 2
    assert spectrum.resolved.all()


def test_factors_keep_the_zeros_between_groups_and_make_the_matrix() -> None:
    structure = Structure((), 6, torch.device("cpu"), grouped=True)
    Y = paired(torch.Generator().manual_seed(1))
    structure.join(Y)
    Y[0] *= 1e-9
    order = torch.tensor([[4, 2, 5, 0, 1, 3]])
    groups = structure.groups()
    factors = graded.factor(Y.unsqueeze(0), order, graded.sizes_of(Y.unsqueeze(0)), groups)
    Q, R, of_columns = factors.Q[0], factors.R[0], groups.columns[order[0]]
    assert (Q[groups.rows.unsqueeze(1) != of_columns] == 0).all()
    assert (R[of_columns.unsqueeze(1) != of_columns] == 0).all()
    assert (R.triu() == R).all()
    torch.testing.assert_close(Q @ R, Y[:, order[0]], rtol=0, atol=1e-15)
    torch.testing.assert_close(Q.mT @ Q, torch.eye(6, dtype=Q.dtype), rtol=0, atol=1e-14)
    torch.testing.assert_close((Q @ R)[0], Y[0, order[0]], rtol=1e-14, atol=0)


@pytest.mark.parametrize(("alive", "dead"), [(0.1, 1.0), (1.0, 3.0), (2.0, 0.5)])
def test_what_strays_grows_by_the_ratio_of_the_growths(alive: float, dead: float) -> None:
    strays = Strays(torch.zeros(2, dtype=torch.float64), 1e16)
    J = torch.diag(torch.tensor([alive, dead], dtype=torch.float64)).unsqueeze(0)
    d, distances = torch.tensor([0.0, -math.inf], dtype=torch.float64), []
    factors = graded.factor(J, None, graded.sizes_of(J))
    own = factors._replace(R=factors.R[0], log_diagonal=factors.log_diagonal[0])
    for step in range(9):
        no_rounding = torch.full((2,), -math.inf if step else 0.0, dtype=torch.float64)
        loss = strays.step(Move(own, d, no_rounding, torch.ones(2, 2, dtype=torch.bool)))
        assert (loss == 0).all()  # nothing couples the two
        distances.append(strays.farthest[0].item())
    growth = max(1.0, dead / alive) ** 8
    assert distances[-1] / distances[0] == pytest.approx(growth, rel=1e-12)
    assert strays.farthest[1] == 0


def test_a_direction_that_has_strayed_for_good_stays_at_the_limit() -> None:
    strays = Strays(torch.zeros(2, dtype=torch.float64), 1e16)
    J = torch.tensor([[[1e-9, 1.0], [0.0, 1.0]]], dtype=torch.float64)
    factors = graded.factor(J, None, graded.sizes_of(J))
    own = factors._replace(R=factors.R[0], log_diagonal=factors.log_diagonal[0])
    d = torch.tensor([0.0, -math.inf], dtype=torch.float64)
    losses = []
    for _ in range(4):
        move = Move(own, d, torch.zeros(2, dtype=torch.float64), torch.ones(2, 2, dtype=torch.bool))
        losses.append(strays.step(move)[0].item())
    assert strays.farthest.tolist() == [1e16, 0.0]
    assert losses[0] == 0
    assert losses[-1] > 1e30


def test_a_turn_of_the_basis_keeps_how_far_a_batch_has_strayed() -> None:
    strays = Strays(torch.zeros(4, 3, dtype=torch.float64), 1e16)
    J = torch.eye(3, dtype=torch.float64).expand(1, 4, 3, 3)
    d = torch.tensor([0.0, -1.0, -math.inf], dtype=torch.float64).expand(1, 4, 3)
    factors = graded.factor(J, None, graded.sizes_of(J))
    reach = torch.ones(4, 3, 3, dtype=torch.bool)
    strays.step(Move(factors, d, torch.full_like(d, 10.0), reach).without_copies())
    before = strays.farthest
    no_loss = torch.full_like(d, -math.inf)
    strays.turn(None, Move(factors, d, no_loss, reach).without_copies())
    assert before.shape == (4, 3)
    assert (before[:, :2] > 0).all()
    torch.testing.assert_close(strays.farthest, before, rtol=1e-14, atol=0)
