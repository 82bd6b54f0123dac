"""Degrees of freedom of published cells: the papers' counts, and the sets of their matrices."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from published_cells import cell_of, disturb
from torch import Tensor, nn

from gradprobe import models
from gradprobe.models import Cell


@pytest.mark.parametrize(
    ("name", "units", "published"),
    [
        ("soft_orthogonal", 128, 17_930),
        ("lipschitz", 64, 8_970),  # 9k
        ("lipschitz", 128, 34_314),  # 34k
        ("exprnn", 170, 16_415),  # 16k
        ("exprnn", 360, 68_950),  # 69k
        ("exprnn", 512, 136_970),  # 137k
        ("scornn", 170, 16_415),  # 16k
        ("scornn", 360, 68_950),  # 69k
        ("kru", 512, 11_346 + 512),  # 11k, and modReLU's bias
        ("chrono_lstm", 128, 67_850),
        ("irnn", 100, 100**2 + 2 * 100 + 1_010),
        ("cfn", 128, 2 * 128**2 + 5 * 128 + 1_290),
        ("minimal_rnn", 128, 2 * 128**2 + 3 * 128 + 1_290),
    ],
)
def test_the_degrees_of_freedom_are_the_published_counts(
    name: str, units: int, published: int
) -> None:
    model = models.build(name, input_size=1, hidden_size=units)
    assert model.degrees_of_freedom + 10 * (model.output_size + 1) == published


class _Matrix(nn.Module):
    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self) -> Tensor:
        return self.cell.recurrent_matrix()


def rank_of_the_recurrent_matrix(cell: Cell) -> int:
    """Return the dimension of the set of matrices R near the present one."""
    own = {"input_weight", "bias", "biases.input"}
    parameters = {
        name: value.detach() for name, value in cell.named_parameters() if name not in own
    }
    jacobians = torch.func.jacrev(
        lambda values: torch.func.functional_call(_Matrix(cell), values, ())
    )({f"cell.{name}": value for name, value in parameters.items()})
    columns = [jacobian.flatten(2).flatten(0, 1) for jacobian in jacobians.values()]
    return int(torch.linalg.matrix_rank(torch.cat(columns, dim=1), rtol=1e-9))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("exprnn", {}),
        ("scornn", {}),
        ("soft_orthogonal", {}),
        ("lipschitz", {}),
        ("lipschitz", {"linear_skew_level": 0, "nonlinear_skew_level": 1}),
    ],
)
def test_the_degrees_of_freedom_are_the_dimension_of_the_set_of_matrices(
    name: str, options: dict[str, Any]
) -> None:
    cell = cell_of(name, 5, features=2, **options)
    disturb(cell)
    others = cell.input_matrix().numel() + 5
    assert cell.degrees_of_freedom == rank_of_the_recurrent_matrix(cell) + others
