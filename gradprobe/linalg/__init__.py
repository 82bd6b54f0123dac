"""Graded matrix products: tensors in, tensors out; this package knows no model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe._lazy import lazy_names

if TYPE_CHECKING:
    from gradprobe.linalg.cotangents import Cotangents as Cotangents
    from gradprobe.linalg.cotangents import Size as Size
    from gradprobe.linalg.leading_values import Leading as Leading
    from gradprobe.linalg.leading_values import LinearMap as LinearMap
    from gradprobe.linalg.leading_values import leading_singular_values as leading_singular_values
    from gradprobe.linalg.norm_estimate import Estimate as Estimate
    from gradprobe.linalg.norm_estimate import RandomProbes as RandomProbes
    from gradprobe.linalg.operators import StepOperator as StepOperator
    from gradprobe.linalg.product import GradedProduct as GradedProduct
    from gradprobe.linalg.scaled import Norm as Norm
    from gradprobe.linalg.scaled import ScaledProduct as ScaledProduct
    from gradprobe.linalg.scaled_sum import ScaledSum as ScaledSum
    from gradprobe.linalg.spectrum import Spectrum as Spectrum

__all__ = [
    "Cotangents",
    "Estimate",
    "GradedProduct",
    "Leading",
    "LinearMap",
    "Norm",
    "RandomProbes",
    "ScaledProduct",
    "ScaledSum",
    "Size",
    "Spectrum",
    "StepOperator",
    "leading_singular_values",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Cotangents": "gradprobe.linalg.cotangents",
        "Estimate": "gradprobe.linalg.norm_estimate",
        "GradedProduct": "gradprobe.linalg.product",
        "Leading": "gradprobe.linalg.leading_values",
        "LinearMap": "gradprobe.linalg.leading_values",
        "Norm": "gradprobe.linalg.scaled",
        "RandomProbes": "gradprobe.linalg.norm_estimate",
        "ScaledProduct": "gradprobe.linalg.scaled",
        "ScaledSum": "gradprobe.linalg.scaled_sum",
        "Size": "gradprobe.linalg.cotangents",
        "Spectrum": "gradprobe.linalg.spectrum",
        "StepOperator": "gradprobe.linalg.operators",
        "leading_singular_values": "gradprobe.linalg.leading_values",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
