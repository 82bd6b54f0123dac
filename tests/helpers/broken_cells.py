"""Cells with one fault each, of gradprobe's own contract and of anybody's own."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from gradprobe.models import Cell

FEATURES, UNITS = 2, 3

# ---- cells of gradprobe's own contract, each with one fault


class Right(Cell):
    """h_t = (1 − α) h_{t-1} + α tanh(W h_{t-1} + V x_t)."""

    def __init__(self) -> None:
        super().__init__(FEATURES, UNITS)
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(UNITS, UNITS, generator=generator))
        self.input_weight = nn.Parameter(torch.randn(UNITS, FEATURES, generator=generator))

    def recurrent_matrix(self) -> Tensor:
        return self.weight

    def input_matrix(self) -> Tensor:
        return self.input_weight

    def pointwise(self, state: Tensor, recurrent: Tensor, drive: Tensor, *_: Tensor) -> Tensor:
        return 0.5 * state + 0.5 * torch.tanh(recurrent + drive)


class MixesUnits(Right):
    def pointwise(self, state: Tensor, recurrent: Tensor, drive: Tensor, *_: Tensor) -> Tensor:
        return torch.softmax(state + recurrent + drive, dim=-1)


class SumsOverTheLeadingAxes(Right):
    def pointwise(self, state: Tensor, recurrent: Tensor, drive: Tensor, *_: Tensor) -> Tensor:
        new = torch.tanh(recurrent + drive)
        return 0.5 * state + 0.5 * new / (1 + new.flatten(0, -3).square().mean(0))


class CutsTheGradient(Right):
    def pointwise(self, state: Tensor, recurrent: Tensor, drive: Tensor, *_: Tensor) -> Tensor:
        return 0.5 * state + 0.5 * torch.tanh(recurrent.detach() + drive)


class WrongDerivatives(Right):
    def local_derivatives(self, *arguments: Tensor) -> Any:
        local = super().local_derivatives(*arguments)
        return local._replace(by_recurrent=2 * local.by_recurrent)


class WrongDerivativeByTheDrive(Right):
    def local_derivatives(self, *arguments: Tensor) -> Any:
        local = super().local_derivatives(*arguments)
        return local._replace(by_drive=2 * local.by_drive)


class StepOfItsOwn(Right):
    def step(self, inputs: Tensor, state: Tensor) -> Tensor:
        return 0.9 * super().step(inputs, state)


class BreaksItsConstraint(Right):
    def constraint_error(self) -> float:
        return float((self.weight @ self.weight.T - torch.eye(UNITS)).abs().max())


class TooManyRows(Right):
    def recurrent_matrix(self) -> Tensor:
        return torch.cat((self.weight, self.weight))


class KeepsAMatrix(Right):
    """Computes R once: after a load, it goes on with the old one."""

    def recurrent_matrix(self) -> Tensor:
        if not hasattr(self, "kept"):
            self.kept = torch.linalg.matrix_exp(self.weight.detach() - self.weight.detach().T)
        kept: Tensor = self.kept
        return kept.to(self.weight.dtype)

    def input_matrix(self) -> Tensor:
        return torch.eye(UNITS, FEATURES, dtype=self.weight.dtype)


class NoGates(Right):
    def gates(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> dict[str, Tensor]:
        return {"input": recurrent.squeeze(-2), "output": torch.sigmoid(recurrent)}


# ---- modules and functions, each with one fault


class Module(nn.Module):
    input_size, hidden_size = FEATURES, UNITS

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.W = nn.Parameter(torch.randn(UNITS, UNITS, generator=generator))
        self.U = nn.Parameter(torch.randn(UNITS, FEATURES, generator=generator))

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(linear(x, self.U) + linear(h, self.W))


class WrongBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.sin(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 0.5 * gradient


class WrongDerivative(Module):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        result: Tensor = WrongBackward.apply(super().forward(x, h))  # type: ignore[no-untyped-call]
        return result


class DrawsNumbers(Module):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return super().forward(x, h) + torch.rand_like(h)


class NormalisesTheBatch(Module):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        new = super().forward(x, h)
        return new - new.mean(0)


class CannotBeCopied(Module):
    """Its copies are itself, so that what is written into a copy is written into the original."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Tensor
        self.register_buffer("calls", torch.zeros(()))

    def __deepcopy__(self, memo: dict[int, Any]) -> CannotBeCopied:
        return self

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        self.calls.add_(1)
        return super().forward(x, h)


class WritesToItsWeights(Module):
    def __init__(self) -> None:
        super().__init__()
        self.shared = [self.W]

    def __deepcopy__(self, memo: dict[int, Any]) -> WritesToItsWeights:
        twin = copy.copy(self)
        twin._parameters = {
            name: nn.Parameter(p.detach().clone())
            for name, p in self._parameters.items()
            if p is not None
        }
        return twin

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        with torch.no_grad():
            self.shared[0].mul_(0.999)
        return super().forward(x, h)


class UnstableInItsOwnDtype(Module):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return super().forward(x, (1e6 + h) - 1e6)


class KeepsAnObject(Module):
    def get_extra_state(self) -> object:
        return torch.Generator

    def set_extra_state(self, state: object) -> None:
        pass


class WrongShape(Module):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return super().forward(x, h)[:, :2]


def detached(x: Tensor, h: Tensor) -> Tensor:
    return (0.5 * h).detach()
