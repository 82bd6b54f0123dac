"""Graded matrix products: tensors in, tensors out; this package knows no model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe._lazy import lazy_names

if TYPE_CHECKING:
    from gradprobe.linalg.cotangents import Cotangents as Cotangents
    from gradprobe.linalg.cotangents import Size as Size
    from gradprobe.linalg.operators import StepOperator as StepOperator
    from gradprobe.linalg.product import GradedProduct as GradedProduct
    from gradprobe.linalg.scaled import Norm as Norm
    from gradprobe.linalg.scaled import ScaledProduct as ScaledProduct
    from gradprobe.linalg.scaled_sum import ScaledSum as ScaledSum
    from gradprobe.linalg.spectrum import Spectrum as Spectrum

__all__ = [
    "Cotangents",
    "GradedProduct",
    "Norm",
    "ScaledProduct",
    "ScaledSum",
    "Size",
    "Spectrum",
    "StepOperator",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Cotangents": "gradprobe.linalg.cotangents",
        "GradedProduct": "gradprobe.linalg.product",
        "Norm": "gradprobe.linalg.scaled",
        "ScaledProduct": "gradprobe.linalg.scaled",
        "ScaledSum": "gradprobe.linalg.scaled_sum",
        "Size": "gradprobe.linalg.cotangents",
        "Spectrum": "gradprobe.linalg.spectrum",
        "StepOperator": "gradprobe.linalg.operators",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
