"""How a check writes numbers."""

from __future__ import annotations

import math


def number(value: float | None) -> str:
    """Write a value for people, with six significant digits.

    Examples
    --------
    >>> number(-1.23456789), number(float("-inf")), number(None), number(0.0)
    ('−1.23457', '−∞', 'unresolved', '0')
    """
    if value is None:
        return "unresolved"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.6g}".replace("-", "−")


def signed(value: float) -> str:
    """Write a difference, its sign always there.

    Examples
    --------
    >>> signed(0.25), signed(-1e-4)
    ('+0.25', '−0.0001')
    """
    return f"{value:+.3g}".replace("-", "−")
