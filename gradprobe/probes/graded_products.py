"""The end-to-end Jacobian at every requested length, kept graded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe.linalg import GradedProduct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    from gradprobe.models import Trajectory


def graded_products(
    trajectory: Trajectory,
    lengths: Sequence[int],
    *,
    generator: torch.Generator,
    tolerance: float,
    repetitions: int = 0,
) -> Iterator[tuple[int, GradedProduct]]:
    """Yield (T, M_T) for each T of `lengths`; the same product grows from one to the next.

    Parameters
    ----------
    trajectory
        B sequences along a model.
    lengths
        The T, increasing.
    generator
        Source of the perturbations from which errors are estimated.
    tolerance
        Largest error of a value that counts as resolved.
    repetitions
        How many perturbed copies run beside the product.

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> model = models.build("vanilla", input_size=1, hidden_size=4)
    >>> trajectory = models.trace(model, torch.zeros(6, 2, 1))
    >>> products = graded_products(
    ...     trajectory, [3, 6], generator=torch.Generator(), tolerance=1e-6
    ... )
    >>> [(length, product.steps) for length, product in products]
    [(3, 3), (6, 6)]
    """
    model = trajectory.model
    product = GradedProduct(
        model.state_size,
        batch_shape=(trajectory.batch,),
        dtype=model.dtype,
        device=model.device,
        generator=generator,
        tolerance=tolerance,
        repetitions=repetitions,
    )
    for t, jacobian in enumerate(trajectory.step_jacobians(lengths[-1]), start=1):
        product.absorb(jacobian)
        if t in lengths:
            yield t, product
