"""Cells that gradprobe knows nothing of: modules of every kind, written as users write them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from gradprobe import models

LENGTH, BATCH, FEATURES, UNITS = 6, 3, 2, 4


class Pair(NamedTuple):
    h: Any
    c: Any


class Base(nn.Module):
    """Weights for the cells below."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.W = nn.Parameter(torch.randn(UNITS, UNITS, generator=generator) / 2)
        self.U = nn.Parameter(torch.randn(UNITS, FEATURES, generator=generator))

    def tanh(self, x: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(linear(x, self.U) + linear(h, self.W))


class Plain(Base):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return self.tanh(x, h)


class WithOutput(Base):
    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        new = self.tanh(x, h)
        return new.sum(-1), new


class NestedState(Base):
    def forward(self, x: Tensor, state: Any) -> Any:
        h, (slow, extra) = state
        new = self.tanh(x, h + extra["a"].sum(-1))
        return new, (0.9 * slow + 0.1 * new, {"a": 0.5 * extra["a"] + slow[..., None]})


class NamedState(Base):
    def forward(self, x: Tensor, state: Pair) -> Pair:
        c = 0.9 * state.c + 0.1 * self.tanh(x, state.h)
        return Pair(torch.sin(c), c)


class MutatesItsState(Base):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        h.mul_(0.5)
        h += self.tanh(x, h)
        return h


class FollowsTheBatch(Base):
    """Control flow that depends on the data of the whole batch."""

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return self.tanh(x, h) if x.sum() > 0 else 0.5 * h + linear(x, self.U)


class HardCodedFloat32(Base):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return self.tanh(x.float(), h.float())


class Embedding(Base):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, FEATURES)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return self.tanh(self.embedding(x), h)


class Cube(torch.autograd.Function):
    """Written for the reverse mode only, and not to be differentiated twice."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3 / 3

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        x: Tensor = ctx.saved_tensors[0]
        return gradient * x**2


class CustomFunction(Base):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        result: Tensor = Cube.apply(self.tanh(x, h))  # type: ignore[no-untyped-call]
        return result


class NumpySine(torch.autograd.Function):
    """Leaves torch on its way forward and back, so that no pass can be vectorised."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.from_numpy(np.sin(x.detach().numpy()))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return torch.from_numpy(gradient.numpy() * np.cos(ctx.saved_tensors[0].numpy()))


class ByNumpy(Base):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        result: Tensor = NumpySine.apply(self.tanh(x, h))  # type: ignore[no-untyped-call]
        return result


class ComplexState(Base):
    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        angles = torch.arange(UNITS, dtype=x.dtype)
        turn = torch.polar(torch.full_like(angles, 0.9), angles)
        return z * turn + torch.complex(linear(x, self.U), self.tanh(x, z.real))


class WeightNormalised(Base):
    """Its weight is the result of a computation, which a deep copy refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.normalised = self.W / self.W.norm()

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(linear(x, self.U) + linear(h, self.normalised))


CELLS: dict[str, tuple[type[Base], Any, str]] = {
    "plain": (Plain, UNITS, "autograd_chunked"),
    "with-output": (WithOutput, UNITS, "autograd_chunked"),
    "nested-state": (
        NestedState,
        (UNITS, (UNITS, {"a": torch.Size((UNITS, 2))})),
        "autograd_chunked",
    ),
    "named-state": (NamedState, Pair(UNITS, UNITS), "autograd_chunked"),
    "mutates-its-state": (MutatesItsState, UNITS, "autograd_chunked"),
    "follows-the-batch": (FollowsTheBatch, UNITS, "autograd_by_step"),
    "custom-function": (CustomFunction, UNITS, "autograd_chunked"),
    "by-numpy": (ByNumpy, UNITS, "autograd_chunked_by_row"),
    "complex-state": (
        ComplexState,
        torch.zeros(1, UNITS, dtype=torch.complex64),
        "autograd_chunked",
    ),
    "weight-normalised": (WeightNormalised, UNITS, "autograd_chunked"),
}


def draw_inputs() -> Tensor:
    return torch.randn(LENGTH, BATCH, FEATURES, generator=torch.Generator().manual_seed(1))


def end_to_end(path: models.Trajectory) -> Tensor:
    """Return ∂s_T/∂s_0 of each sequence, by the step Jacobians."""
    product = torch.eye(path.model.state_size, dtype=path.model.dtype).expand(path.batch, -1, -1)
    for jacobian in path.step_jacobians():
        product = jacobian @ product
    return product
