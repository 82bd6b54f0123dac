"""Products from which norms at every step are read, for a few sequences at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gradprobe.linalg import Norm, ScaledProduct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradprobe.models import Trajectory

ENTRIES_AT_ONCE = 1 << 17
"""Entries of the products that are followed together: few enough to stay in a processor's cache."""


def scaled_products(
    trajectory: Trajectory, *, generator: torch.Generator, tolerance: float
) -> Iterator[tuple[Trajectory, ScaledProduct]]:
    """Yield the sequences a few at a time, with I, of which the columns of h are followed.

    Parameters
    ----------
    trajectory
        B sequences along a model.  Where automatic differentiation gives its Jacobians they stay
        together, since many cost little more than one.
    generator
        Source of the sketch by which rounding errors are followed.
    tolerance
        Largest error, in natural-log units, of a norm that counts as resolved.

    Examples
    --------
    >>> from gradprobe import models
    >>> model = models.build("vanilla", input_size=1, hidden_size=128)
    >>> trajectory = models.trace(model, torch.zeros(6, 19, 1))
    >>> products = scaled_products(trajectory, generator=torch.Generator(), tolerance=1e-6)
    >>> [(part.batch, product.batch_shape) for part, product in products]
    [(8, (8,)), (8, (8,)), (3, (3,))]
    """
    model = trajectory.model
    count = trajectory.batch
    if model.jacobian_method == "pointwise":
        count = max(1, ENTRIES_AT_ONCE // (model.state_size * model.output_size))
    for part in trajectory.parts(count):
        product = ScaledProduct(
            model.state_size,
            model.hidden_slice,
            batch_shape=(part.batch,),
            dtype=model.dtype,
            device=model.device,
            generator=generator,
            tolerance=tolerance,
        )
        yield part, product


def side_by_side(norms: Sequence[Norm]) -> Norm:
    """Return the norms of several sequences, each part of shape (steps, B), as one.

    Examples
    --------
    >>> one = Norm(torch.zeros(5, 3), torch.zeros(5, 3), torch.ones(5, 3, dtype=torch.bool))
    >>> side_by_side([one, one]).log_norm.shape
    torch.Size([5, 6])
    """
    return Norm(*(torch.cat(part, dim=1) for part in zip(*norms, strict=True)))
