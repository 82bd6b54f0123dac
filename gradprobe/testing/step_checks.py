"""What a step must be: a function of its arguments, sequence by sequence, that keeps the state.

Each check yields a sentence for each fault that it finds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gradprobe.testing.subject import difference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from gradprobe.testing.subject import Subject


@torch.no_grad()
def step_keeps_the_state(subject: Subject) -> Iterator[str]:
    """Hold that the new state has the shape and the dtype of the old one, and is finite."""
    new, old = subject.working.step(subject.steps[0], subject.states[0]), subject.states[0]
    if new.shape != old.shape:
        yield (
            f"a step must return a state of shape {tuple(old.shape)}, as the one it is given, got "
            f"{tuple(new.shape)}; look at components and at the shape that pointwise returns"
        )
    elif new.dtype != old.dtype:
        yield (
            f"a step must return a state in the dtype that it is given, {old.dtype}, got "
            f"{new.dtype}; make its constants and buffers like its parameters"
        )
    elif not bool(new.isfinite().all()):
        yield (
            "a step from a finite state must give a finite one, got NaN or an infinity; if the "
            "cell does not take every state, give one that it takes as state="
        )


@torch.no_grad()
def step_is_deterministic(subject: Subject) -> Iterator[str]:
    """Hold that the same input and state give the same state again."""
    arguments = subject.steps[0], subject.states[0]
    first, second = subject.working.step(*arguments), subject.working.step(*arguments)
    error = difference(second, first)
    if error > subject.rounding:
        yield (
            "the same input and state must give the same new state, got a relative difference of "
            f"{error:.1e}; call eval() if it has dropout, and keep counters and running means out "
            "of what a step returns"
        )


def step_is_differentiable(subject: Subject) -> Iterator[str]:
    """Hold that the new state depends on the old one by operations that torch can follow."""
    with torch.enable_grad():
        new = subject.working.step(subject.steps[0], subject.states[0].clone().requires_grad_())
    if not new.requires_grad:
        yield (
            "the new state must depend on the old one by differentiable operations, got one that "
            "does not; look for detach(), no_grad(), numpy, rounding or argmax in the step, and "
            "that it uses the state that it is given"
        )


@torch.no_grad()
def sequences_are_independent(subject: Subject) -> Iterator[str]:
    """Hold that a sequence does the same whatever the others of the batch are."""
    inputs, state = subject.steps[0], subject.states[0]
    expected = subject.working.step(inputs, state)
    for sequence in range(len(state)):
        others, other_state = inputs.roll(1, 0), state.roll(1, 0)
        others[sequence], other_state[sequence] = inputs[sequence], state[sequence]
        error = difference(subject.working.step(others, other_state)[sequence], expected[sequence])
        if error > subject.rounding:
            yield (
                "a sequence must not depend on the others of its batch, got a relative difference "
                f"of {error:.1e} in sequence {sequence} when the others were exchanged; normalise "
                "over features rather than over the batch, or call eval(); the batch is the first "
                "axis of what a step takes"
            )
            return


@torch.no_grad()
def unrolled_pass_is_the_loop_of_steps(subject: Subject) -> Iterator[str]:
    """Hold that the unrolled pass gives the states of a loop over `step`."""
    unrolled = subject.working.unroll(subject.steps, subject.states[0])
    error = difference(unrolled, subject.states[1:])
    if error > subject.rounding:
        yield (
            f"the states of the unrolled pass must be those of a loop over step, got a relative "
            f"difference of {error:.1e}; step() and pointwise() must not be overridden apart, and "
            "pointwise() must not write to its arguments"
        )


def unrolled_gradient_is_autograds(subject: Subject) -> Iterator[str]:
    """Hold that the gradient of the unrolled pass is that of a loop over `step`."""
    model = subject.model.working_copy(subject.working.dtype).requires_grad_()
    parameters = dict(model.named_parameters())
    weights = subject.draw(*subject.states[1:].shape)

    def gradient(path: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            initial = subject.states[0].clone().requires_grad_()
            total = (path(initial) * weights).sum()
            return torch.autograd.grad(
                total, (initial, *parameters.values()), materialize_grads=True
            )

    def loop(state: Tensor) -> Tensor:
        states = []
        for now in subject.steps:
            state = model.step(now, state)
            states.append(state)
        return torch.stack(states)

    gradients = gradient(lambda state: model.unroll(subject.steps, state)), gradient(loop)
    for name, got, expected in zip(("the initial state", *parameters), *gradients, strict=True):
        error = difference(got, expected)
        if error > subject.rounding:
            yield (
                f"the unrolled pass must have the gradient of a loop over step, got a relative "
                f"difference of {error:.1e} in that by {name}; compare local_derivatives() with "
                "those of pointwise(), if the cell has its own"
            )
