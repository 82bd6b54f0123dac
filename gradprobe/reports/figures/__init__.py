"""Figures: each function takes a table and returns a matplotlib Figure; none shows or saves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe._lazy import lazy_names

if TYPE_CHECKING:
    from gradprobe.reports.figures.eigenvalues import eigenvalue_plane as eigenvalue_plane
    from gradprobe.reports.figures.gradient import gradient_norm as gradient_norm
    from gradprobe.reports.figures.real_parts import largest_real_part as largest_real_part
    from gradprobe.reports.figures.spectrum import singular_spectrum as singular_spectrum

__all__ = ["eigenvalue_plane", "gradient_norm", "largest_real_part", "singular_spectrum"]

__getattr__ = lazy_names(
    __name__,
    {
        "eigenvalue_plane": "gradprobe.reports.figures.eigenvalues",
        "gradient_norm": "gradprobe.reports.figures.gradient",
        "largest_real_part": "gradprobe.reports.figures.real_parts",
        "singular_spectrum": "gradprobe.reports.figures.spectrum",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
