"""Gates are combined into a matrix only where many columns pay for it; the result is the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gradprobe import models
from gradprobe.models import LinearStep

UNITS, BATCH, STEPS = 48, 3, 5
CASES = [("lstm", 1), ("lstm", 3), ("gru", 1), ("gru", 2), ("vanilla", 1)]


class LargestResult(TorchDispatchMode):
    """How many entries the largest tensor has that an operation computes, views left out."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.entries = 0

    def __torch_dispatch__(self, function: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        storages = {leaf.data_ptr() for leaf in tree_leaves((args, kwargs)) if is_tensor(leaf)}
        for leaf in tree_leaves(result):
            if is_tensor(leaf) and leaf.data_ptr() not in storages:
                self.entries = max(self.entries, leaf.numel())
        return result


def is_tensor(leaf: object) -> bool:
    return isinstance(leaf, Tensor)


def jacobians(name: str, layers: int) -> list[LinearStep]:
    model = models.build(name, input_size=1, hidden_size=UNITS, num_layers=layers)
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(STEPS, BATCH, 1, generator=generator)
    return list(models.trace(model, inputs).step_jacobians())


def transposed(jacobian: LinearStep) -> LinearStep:
    return jacobian.T


def itself(jacobian: LinearStep) -> LinearStep:
    return jacobian


@pytest.mark.parametrize("direction", [itself, transposed])
@pytest.mark.parametrize(("name", "layers"), CASES)
def test_few_columns_are_those_of_the_dense_matrix(
    name: str, layers: int, direction: Callable[[LinearStep], LinearStep]
) -> None:
    for jacobian in map(direction, jacobians(name, layers)):
        dense = jacobian.dense()
        generator = torch.Generator().manual_seed(2)
        shape = (2, BATCH, dense.shape[-1], 3)
        few = torch.randn(shape, generator=generator, dtype=torch.float64)
        torch.testing.assert_close(jacobian @ few, dense @ few, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("direction", [itself, transposed])
@pytest.mark.parametrize(("name", "layers"), CASES)
def test_few_columns_need_memory_for_few_columns(
    name: str, layers: int, direction: Callable[[LinearStep], LinearStep]
) -> None:
    columns = 4
    for jacobian in map(direction, jacobians(name, layers)):
        size = jacobian.shape[1]
        few = torch.ones(BATCH, size, columns, dtype=torch.float64)
        with LargestResult() as largest:
            jacobian @ few
        assert 0 < largest.entries <= BATCH * max(4 * UNITS, size) * columns


def test_many_columns_meet_the_combined_gates() -> None:
    """A product with the gates themselves would have 4 N rows."""
    jacobian = jacobians("lstm", 1)[0]
    many = torch.ones(BATCH, 2 * UNITS, UNITS, dtype=torch.float64)
    with LargestResult() as largest:
        jacobian @ many
    assert largest.entries == math.prod((BATCH, 2 * UNITS, UNITS))
