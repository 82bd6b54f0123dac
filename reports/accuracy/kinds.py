"""The products of the table: 13 kinds, each one wide and one long."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import product_families as families

if TYPE_CHECKING:
    from collections.abc import Callable

    from product_families import Steps

WIDE, LONG = (64, 100), (16, 1000)  # size of the state, number of steps


@dataclass(frozen=True)
class Product:
    """A product of `length` steps of a kind, or its leading `block`."""

    kind: str
    size: int
    length: int
    make: Callable[[], Steps]
    block: int | None = None

    @property
    def name(self) -> str:
        """Kind and sizes."""
        return f"{self.kind}, N={self.size}, T={self.length}"

    def digest(self, steps: Steps) -> str:
        """Identify the steps to the last bit, and the block."""
        content = hashlib.sha256(f"{self.block}".encode())
        for step in steps:
            content.update(step.tobytes())
        return content.hexdigest()[:16]


def products(seed: int = 0) -> list[Product]:
    """Return the products of the table: long ones, wide ones, and a few that are both."""
    return [*_sized(*LONG, seed), *_sized(*WIDE, seed), *_largest(seed)]


def _sized(size: int, length: int, seed: int) -> list[Product]:
    half = size // 2

    def lstm(forget_bias: float) -> Callable[[], Steps]:
        return lambda: families.lstm(half, length, seed, forget_bias=forget_bias)

    # A nilpotent product keeps non-zero values for fewer steps than it has rows.
    short = size // 2 if length < 1000 else length
    makers: dict[str, Callable[[], Steps]] = {
        "tanh": lambda: families.tanh_network(size, length, seed),
        "orthogonal": lambda: families.orthogonal(size, length, seed),
        "clustered": lambda: families.clusters(size, length, seed),
        "LSTM state, forget bias 1": lstm(1.0),
        "LSTM state, forget bias 5": lstm(5.0),
        "LSTM hidden block, forget bias 1": lstm(1.0),
        "LSTM hidden block, forget bias 5": lstm(5.0),
        "chaotic": lambda: families.chaotic(size, length, seed),
        "nilpotent": lambda: families.nilpotent(size, short, seed),
        "singular steps": lambda: families.rectified(size, length, seed),
        "explosive": lambda: families.explosive(size, length, seed),
        "defective": lambda: families.jordan_chain(size, length),
        "there and back": lambda: families.there_and_back(size, length // 2, seed),
    }
    return [
        Product(
            kind,
            size,
            short if kind == "nilpotent" else length,
            make,
            half if "hidden block" in kind else None,
        )
        for kind, make in makers.items()
    ]


def _largest(seed: int) -> list[Product]:
    size, length = WIDE[0], LONG[1]
    return [
        Product("orthogonal", size, length, lambda: families.orthogonal(size, length, seed)),
        Product("tanh", size, 300, lambda: families.tanh_network(size, 300, seed)),
    ]
