"""At which steps a quantity of single steps is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradprobe import checks

if TYPE_CHECKING:
    from collections.abc import Sequence


def sampled_steps(steps: Sequence[int] | None, samples: int, longest: int) -> list[int]:
    """Return `steps`, or if that is None `samples` steps evenly spaced over 1 … `longest`.

    Raises
    ------
    ArgumentError
        A step lies outside 1 … `longest`, or `samples` is not a positive integer.

    Examples
    --------
    >>> sampled_steps(None, 3, longest=101)
    [1, 51, 101]
    >>> sampled_steps([7, 2], 3, longest=101)
    [2, 7]
    """
    checks.positive_integer("samples", samples)
    if steps is not None:
        return checks.increasing_lengths("steps", steps, longest)
    spread = np.linspace(1, longest, min(samples, longest)).round().astype(int)
    return sorted(set(spread.tolist()))
