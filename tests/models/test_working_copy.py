"""What is measured is a copy, and the caller's surroundings have no part in it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradprobe import models
from gradprobe.errors import ArgumentError
from gradprobe.models import working_copy


def test_a_copy_shares_nothing_and_has_no_hooks() -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    calls: list[str] = []
    module[0].register_forward_hook(lambda *_: calls.append("forward"))
    module[0].register_forward_pre_hook(lambda *_: calls.append("before"))
    twin = working_copy.working_copy(module, torch.float64)
    twin(torch.zeros(4, 2, dtype=torch.float64))
    assert calls == ["before"]
    assert {p.dtype for p in twin.parameters()} == {torch.float64}
    assert twin[1].num_batches_tracked.dtype == torch.int64
    assert module[1].num_batches_tracked == 0
    assert all(p.requires_grad and p.dtype == torch.float32 for p in module.parameters())
    assert len(module[0]._forward_hooks) == 1


def test_a_device_without_the_dtype_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    make_zeros = torch.zeros

    def without_float64(*shape: object, **options: object) -> torch.Tensor:
        if options.get("dtype") == torch.float64:
            raise TypeError("the MPS framework doesn't support float64")
        return make_zeros(*shape, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(torch, "zeros", without_float64)
    with pytest.raises(
        ArgumentError, match=r"device cpu cannot compute in torch.float64 .* pass dtype=torch.float"
    ):
        working_copy.working_copy(nn.Linear(2, 3), torch.float64)


def test_autocast_and_inference_mode_of_the_caller_do_not_reach_a_measurement() -> None:
    model = models.build("gru", input_size=2, hidden_size=3)
    inputs = torch.randn(4, 1, 2, generator=torch.Generator())
    expected = list(models.trace(model, inputs, dtype=torch.float32).states())
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        path = models.trace(model, inputs.clone(), dtype=torch.float32)
        states = list(path.states())
    for ours, theirs in zip(states, expected, strict=True):
        assert torch.equal(ours, theirs)
    assert not states[-1].is_inference()
