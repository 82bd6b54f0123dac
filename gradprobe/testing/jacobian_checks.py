"""What a step Jacobian must be: the derivative of the step, as an operator and as a matrix.

Each check yields a sentence for each fault that it finds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gradprobe.testing.subject import difference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from gradprobe.testing.subject import Subject


def step_jacobian_is_autograds(subject: Subject) -> Iterator[str]:
    """Hold that J_t is the reverse-mode derivative of `step`, along the whole path."""
    pairs = zip(subject.jacobians, subject.references, strict=True)
    for t, (jacobian, reference) in enumerate(pairs, start=1):
        error = difference(jacobian.dense(), reference)
        if error > subject.rounding:
            yield (
                f"the step Jacobian must be the derivative of step, got a relative difference of "
                f"{error:.1e} at t = {t}; φ may depend on the state through its own unit and R h "
                "only: look for a second product inside pointwise(), for detach(), and at "
                "local_derivatives() if the cell has its own"
            )
            return


def step_jacobian_is_a_finite_difference(subject: Subject) -> Iterator[str]:
    """Hold that J_1 v is (Φ(s + δv) − Φ(s − δv)) / 2δ, for random directions v.

    With δ = ε^(1/3), where ε is the rounding unit, the truncation of a central difference is of the
    order of ε^(2/3), and its rounding of ε^(2/3) |s|.  Allowed are 10³ of the one, relative to
    |J v|, 10 of the other, and by how much the difference with 2δ differs.
    """
    state = subject.states[0]
    columns = subject.draw(*state.shape, 3)
    unit = torch.finfo(state.dtype).eps
    narrow, wide = (_central_difference(subject, columns, k * unit ** (1 / 3)) for k in (1, 2))
    products = subject.jacobians[0] @ columns
    error = difference(products, narrow)
    rounding = float(subject.states[1].abs().max()) / max(float(narrow.abs().max()), 1e-300)
    if error > unit ** (2 / 3) * (1e3 + 10 * rounding) + difference(wide, narrow):
        yield (
            "the step Jacobian must agree with finite differences of step, got a relative "
            f"difference of {error:.1e}; look at the backward pass of a custom autograd function, "
            "at detach(), and at rounding or float32 inside the step"
        )


@torch.no_grad()
def _central_difference(subject: Subject, columns: Tensor, step: float) -> Tensor:
    inputs, state = subject.steps[0], subject.states[0]
    differences = [
        subject.working.step(inputs, state + step * column)
        - subject.working.step(inputs, state - step * column)
        for column in columns.unbind(-1)
    ]
    return torch.stack(differences, dim=-1) / (2 * step)


def product_is_that_of_the_matrix(subject: Subject) -> Iterator[str]:
    """Hold that J @ Q and J.T @ Q are the products of the matrix, with leading axes too."""
    batch, size, _ = subject.jacobians[0].shape
    columns = subject.draw(2, batch, size, 3)
    for jacobian, reference in zip(subject.jacobians, subject.references, strict=True):
        for name, got, matrix in (
            ("J @ Q", jacobian @ columns, reference),
            ("J.T @ Q", jacobian.T @ columns, reference.mT),
        ):
            error = difference(got, matrix @ columns)
            if error > subject.rounding:
                yield (
                    f"{name} must be the product with the matrix of derivatives, got a relative "
                    f"difference of {error:.1e}; for a cell, look at the order of the blocks of R"
                )
                return


def transpose_is_the_adjoint(subject: Subject) -> Iterator[str]:
    """Hold that ⟨J v, w⟩ = ⟨v, Jᵀ w⟩."""
    batch, size, _ = subject.jacobians[0].shape
    v, w = subject.draw(2, batch, size, 1)
    for jacobian in subject.jacobians:
        forward, backward = jacobian @ v, jacobian.T @ w
        bound = float((forward.norm() * w.norm()).clamp(min=1e-300))
        error = float(((forward * w).sum() - (v * backward).sum()).abs()) / bound
        if error > subject.rounding:
            yield (
                f"⟨J v, w⟩ must be ⟨v, Jᵀ w⟩, got a relative difference of {error:.1e}; J.T is not "
                "the adjoint of J"
            )
            return


def minus_identity_takes_off_the_identity(subject: Subject) -> Iterator[str]:
    """Hold that J.minus_identity() is J − I."""
    for jacobian, reference in zip(subject.jacobians, subject.references, strict=True):
        identity = torch.eye(reference.shape[-1], dtype=reference.dtype, device=reference.device)
        error = float((jacobian.minus_identity() - (reference - identity)).abs().max())
        allowed = subject.rounding * max(1.0, float(reference.abs().max()))
        if not error <= allowed:
            yield (
                f"minus_identity() must be J − I, got an entry that differs by {error:.1e}; for an "
                "Euler-type cell, look at what pointwise() adds to the state"
            )
            return


def chunks_are_single_steps(subject: Subject) -> Iterator[str]:
    """Hold that steps linearised together have the Jacobians of each alone."""
    for t, together in enumerate(subject.jacobians):
        alone = subject.working.linearise(subject.steps[t : t + 1], subject.states[t : t + 2], t)[0]
        error = difference(together.dense(), alone.dense())
        if error > subject.rounding:
            yield (
                f"steps linearised together must have the Jacobians of each alone, got a relative "
                f"difference of {error:.1e} at t = {t + 1}; pointwise() must take any leading axes "
                "and treat them alike"
            )
            return
