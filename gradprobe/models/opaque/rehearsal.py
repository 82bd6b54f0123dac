"""One step of a caller's cell before it is probed, to see whether it can be differentiated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from gradprobe.errors import UnsupportedModelError

if TYPE_CHECKING:
    from torch import Tensor


class Rehearsed(Protocol):
    """What is rehearsed."""

    name: str

    def step(self, inputs: Tensor, state: Tensor) -> Tensor:
        """Return s_t, shape (B, S)."""
        ...


def rehearse(model: Rehearsed, inputs: Tensor, state: Tensor) -> None:
    """Take the first step, and see that it has Jacobians.

    Parameters
    ----------
    model
        The model, in the dtype of `state`.
    inputs, state
        x_1 and s_0.

    Raises
    ------
    UnsupportedModelError
        The step fails, returns another dtype, draws random numbers, keeps a state of its own,
        cannot be differentiated, or lets the sequences of a batch act on one another.

    Examples
    --------
    >>> from gradprobe import models
    >>> rehearse(models.adapt(lambda x, h: h.detach(), state_size=2), torch.zeros(1, 2),
    ...          torch.zeros(1, 2))
    Traceback (most recent call last):
    ...
    gradprobe.errors.UnsupportedModelError: the new state of '<lambda>' does not depend on the old
    one by differentiable operations: look for detach(), no_grad(), numpy, rounding or argmax in its
    step, and that it uses the state that it is given
    """
    with torch.enable_grad():
        state = state.detach().requires_grad_()
        try:
            new, again = model.step(inputs, state), model.step(inputs, state)
        except UnsupportedModelError:
            raise
        except Exception as error:
            raise UnsupportedModelError(
                f"a step of {model.name!r} in {state.dtype} failed with {type(error).__name__}: "
                f"{error}"
            ) from error
        if new.dtype != state.dtype:
            raise UnsupportedModelError(
                f"{model.name!r} must return a state in the dtype that it is given, "
                f"{state.dtype}, got {new.dtype}"
            )
        _check_repeatable(model, new, again)
        _check_derivatives(model, new, state)


def _check_repeatable(model: Rehearsed, new: Tensor, again: Tensor) -> None:
    if not torch.allclose(new, again, rtol=0, atol=0, equal_nan=True):
        raise UnsupportedModelError(
            f"{model.name!r} returns different states for the same input and state, so there is no "
            "step to differentiate: it draws random numbers (dropout in training mode: call "
            "eval() first) or keeps a state of its own besides the one that it is given"
        )


def _check_derivatives(model: Rehearsed, new: Tensor, state: Tensor) -> None:
    if not new.requires_grad:
        raise UnsupportedModelError(
            f"the new state of {model.name!r} does not depend on the old one by differentiable "
            "operations: look for detach(), no_grad(), numpy, rounding or argmax in its step, and "
            "that it uses the state that it is given"
        )
    (gradient,) = torch.autograd.grad(new[0].sum(), state, materialize_grads=True)
    if bool((gradient[1:] != 0).any()):
        raise UnsupportedModelError(
            f"the sequences of a batch act on one another in {model.name!r} (normalisation over "
            "the batch, perhaps: call eval() first), so that no sequence has a Jacobian of its "
            "own; probe with one sequence"
        )
