"""Memory that is kept: never lent twice, and never for good."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gradprobe.models.explicit.rule import tanh_
from gradprobe.models.explicit.workspace import KEPT_FOR, WORTH_KEEPING, Workspace

LIKE = torch.zeros(1)
SHAPE = (2, WORTH_KEEPING // 4)


def address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


@pytest.mark.parametrize(
    "keep",
    [
        lambda tensor: tensor[1, 3:5],
        lambda tensor: tensor.detach(),
        lambda tensor: tensor.view(torch.int32),
        lambda tensor: tensor.numpy(),
        lambda tensor: tensor.untyped_storage(),
        lambda tensor: torch.nn.Parameter(tensor).square(),
    ],
    ids=["view", "detached", "of-another-dtype", "array", "storage", "saved-by-autograd"],
)
def test_memory_is_lent_again_only_after_the_last_that_shares_it(keep: Any) -> None:
    workspace = Workspace()
    tensor = workspace.empty(SHAPE, LIKE)
    place, kept = address(tensor), keep(tensor)
    del tensor
    other = workspace.empty(SHAPE, LIKE)
    assert address(other) != place
    assert workspace.free_bytes == 0
    del kept
    assert workspace.free_bytes == 2 * WORTH_KEEPING
    assert address(workspace.empty(SHAPE, LIKE)) == place


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3)), max_size=20))
def test_what_is_lent_at_the_same_time_never_overlaps(actions: list[tuple[int, int]]) -> None:
    workspace, held = Workspace(), dict[int, Tensor]()
    for slot, size in actions:
        if slot in held and size == 1:
            assert bool((held.pop(slot) == slot).all())
        else:
            held[slot] = workspace.empty((size, WORTH_KEEPING // 4), LIKE).fill_(slot)
    for slot, tensor in held.items():
        assert bool((tensor == slot).all())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_every_dtype_is_lent_aligned_and_contiguous(dtype: torch.dtype) -> None:
    tensor = Workspace().empty((3, WORTH_KEEPING), LIKE.to(dtype))
    assert tensor.dtype == dtype
    assert tensor.shape == (3, WORTH_KEEPING)
    assert tensor.is_contiguous()
    assert tensor.data_ptr() % 64 == 0


def test_small_tensors_are_left_to_the_allocator() -> None:
    workspace = Workspace()
    del (small := {"tensor": workspace.empty((3, 4), LIKE)})["tensor"]
    assert small == {}
    assert workspace.free_bytes == 0


def test_memory_that_nobody_wants_is_let_go() -> None:
    workspace = Workspace()
    workspace.empty(SHAPE, LIKE)
    other = (3, WORTH_KEEPING // 4)
    for _ in range(KEPT_FOR):
        workspace.empty(other, LIKE)
    assert workspace.free_bytes == 5 * WORTH_KEEPING
    workspace.empty(other, LIKE)
    assert workspace.free_bytes == 3 * WORTH_KEEPING


def test_tensors_outlive_the_workspace() -> None:
    tensor = Workspace().empty(SHAPE, LIKE).fill_(7)
    assert bool((tensor == 7).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tanh_is_accurate_to_two_units_in_the_last_place(dtype: torch.dtype) -> None:
    sizes = torch.logspace(-30, 2, 20001, dtype=dtype)
    arguments = torch.cat((-sizes, torch.zeros(1, dtype=dtype), sizes))
    exact = np.tanh(arguments.numpy().astype(np.longdouble))
    error = np.abs(tanh_(arguments.clone()).numpy() - exact)
    last_place = np.spacing(np.abs(exact).astype(arguments.numpy().dtype))
    assert float((error / last_place).max()) <= 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_tanh_of_what_is_not_finite(dtype: torch.dtype) -> None:
    values = torch.tensor([torch.inf, -torch.inf, torch.nan, 0.0], dtype=dtype)
    result = torch.empty_like(values)
    assert tanh_(values, out=result) is result
    assert result[:2].tolist() == [1.0, -1.0]
    assert result.isnan().tolist() == [False, False, True, False]
