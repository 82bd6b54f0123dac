"""Seconds that computing takes, with their bounds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Price:
    """Seconds that something takes, and between which bounds.

    Attributes
    ----------
    seconds, least, most
        The estimate and its bounds.

    Examples
    --------
    >>> Price(1.0, 0.5, 2.0) * 10 + Price(1.0, 1.0, 1.0)
    Price(seconds=11.0, least=6.0, most=21.0)
    """

    seconds: float
    least: float
    most: float

    def __add__(self, other: Price) -> Price:
        return Price(self.seconds + other.seconds, self.least + other.least, self.most + other.most)

    def __mul__(self, factor: float) -> Price:
        return Price(self.seconds * factor, self.least * factor, self.most * factor)
