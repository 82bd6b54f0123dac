"""Passages and the history that is made of them, against dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gradprobe.linalg import graded
from gradprobe.linalg.history import MOST, History
from gradprobe.linalg.passage import Passage, arrive, composed, onwards, standstill

SIZE = 6


def draw(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, SIZE, SIZE, generator=generator, dtype=torch.float64)


def factored(Y: torch.Tensor) -> graded.UpperFactor:
    sizes = graded.sizes_of(Y)
    return graded.factor(Y, graded.descending(sizes.columns), sizes)


def walk(steps: int, reach: float = torch.inf) -> tuple[Passage, torch.Tensor, torch.Tensor]:
    """Return a passage of some steps, the basis at its end, and the product of the steps."""
    U, product = (torch.eye(SIZE, dtype=torch.float64)[None],) * 2
    passage = standstill(U)
    for seed in range(steps):
        factors = factored(draw(seed) @ U)
        passage = onwards(passage, factors, torch.zeros(1, SIZE), reach)
        U, product = factors.Q, draw(seed) @ product
    return passage, U, product


def dense(passage: Passage) -> torch.Tensor:
    return passage.growth.exp().unsqueeze(-1) * passage.A


@pytest.mark.parametrize("reach", [50.0, torch.inf])
def test_a_passage_is_what_the_steps_do_between_two_bases(reach: float) -> None:
    passage, U, product = walk(5, reach)
    torch.testing.assert_close(U @ dense(passage), product, rtol=0, atol=1e-11)
    assert passage.A.abs().max() < 1e3
    torch.testing.assert_close(passage.loss, torch.full((1, SIZE), 5.0, dtype=torch.float64))


def test_two_passages_compose() -> None:
    first, U, _ = walk(2)
    whole, _, _ = walk(5)
    second = standstill(U)
    for seed in range(2, 5):
        factors = factored(draw(seed) @ U)
        second, U = onwards(second, factors, torch.zeros(1, SIZE)), factors.Q
    both = composed(first, second)
    torch.testing.assert_close(dense(both), dense(whole), rtol=1e-11, atol=1e-11)
    assert torch.equal(both.order, whole.order)
    torch.testing.assert_close(both.loss, whole.loss)


def test_v_arrives_where_the_product_is() -> None:
    passage, U, product = walk(4)
    zeros, identity = torch.zeros(1, SIZE, dtype=torch.float64), torch.eye(SIZE)[None].double()
    d, V = arrive(zeros, identity, passage, zeros != 0)
    torch.testing.assert_close(U @ (d.exp().unsqueeze(-1) * V), product, rtol=0, atol=1e-11)


def test_a_growth_beyond_the_range_of_floating_point_does_no_harm() -> None:
    passage, _, _ = walk(3)
    far = passage._replace(growth=passage.growth + 2000.0)
    factors = factored(draw(9))
    near = onwards(passage, factors, torch.zeros(1, SIZE), 50.0)
    moved = onwards(far, factors, torch.zeros(1, SIZE))
    torch.testing.assert_close(moved.A, near.A, rtol=0, atol=1e-11)


def test_the_sensitivity_of_a_diagonal_product_is_the_sum_of_its_losses() -> None:
    """Nothing is enlarged on the way of steps that mix no directions."""
    history, d = History(), torch.zeros(SIZE, dtype=torch.float64)
    identity = torch.eye(SIZE, dtype=torch.float64)
    for _ in range(3 * MOST):
        d = d - torch.arange(SIZE)
        still = standstill(identity)
        loss = torch.arange(1.0, SIZE + 1, dtype=torch.float64)
        growth = -torch.arange(SIZE, dtype=torch.float64)
        history.append(still._replace(growth=growth, loss=loss), d)
    found = history.sensitivity(identity, None, torch.tensor(SIZE))
    expected = (3 * MOST * torch.arange(1.0, SIZE + 1, dtype=torch.float64)).sqrt()
    torch.testing.assert_close(found.of_steps, expected)
    torch.testing.assert_close(found.of_product, torch.ones_like(expected))


def test_a_reversal_is_by_how_much_a_spread_has_shrunk_again() -> None:
    history = History()
    for low in (0.0, -10.0, -30.0, -12.0, -20.0):
        history.note(torch.tensor([0.0, low], dtype=torch.float64))
    still = torch.eye(2, dtype=torch.float64)
    found = history.sensitivity(still, None, torch.tensor(2))
    assert found.reversal.tolist() == [18.0, 18.0]
    history.note(torch.tensor([0.0, -1.0], dtype=torch.float64), anew=True)
    again = history.sensitivity(still, None, torch.tensor(2))
    assert again.reversal.tolist() == [18.0, 18.0]


def test_noting_one_by_one_or_all_at_once_is_the_same() -> None:
    drawn = np.random.default_rng(0).normal(size=(20, SIZE)).cumsum(0)
    together, apart = History(), History()
    still = torch.eye(SIZE, dtype=torch.float64)
    for d in torch.from_numpy(drawn):
        together.note(d)
        apart.note(d)
        apart.sensitivity(still, None, torch.tensor(SIZE))
    expected = apart.sensitivity(still, None, torch.tensor(SIZE)).reversal
    got = together.sensitivity(still, None, torch.tensor(SIZE)).reversal
    assert torch.equal(got, expected)
    assert float(got.max()) > 0
