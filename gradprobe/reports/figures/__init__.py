"""Figures: each function takes a table and returns a matplotlib Figure; none shows or saves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe._lazy import lazy_names

if TYPE_CHECKING:
    from gradprobe.reports.figures.attribution import decay_areas as decay_areas
    from gradprobe.reports.figures.cost import cost_of_models as cost_of_models
    from gradprobe.reports.figures.distance import distance_from_origin as distance_from_origin
    from gradprobe.reports.figures.eigenvalues import eigenvalue_plane as eigenvalue_plane
    from gradprobe.reports.figures.gradient import gradient_norm as gradient_norm
    from gradprobe.reports.figures.learning import learning_curve as learning_curve
    from gradprobe.reports.figures.lyapunov import lyapunov_spectrum as lyapunov_spectrum
    from gradprobe.reports.figures.moduli import eigenvalue_moduli as eigenvalue_moduli
    from gradprobe.reports.figures.portrait import phase_portraits as phase_portraits
    from gradprobe.reports.figures.real_parts import largest_real_part as largest_real_part
    from gradprobe.reports.figures.spectrum import singular_spectrum as singular_spectrum
    from gradprobe.reports.figures.spectrum_map import (
        singular_spectrum_map as singular_spectrum_map,
    )
    from gradprobe.reports.figures.survival import (
        accuracy_against_gradient as accuracy_against_gradient,
    )

__all__ = [
    "accuracy_against_gradient",
    "cost_of_models",
    "decay_areas",
    "distance_from_origin",
    "eigenvalue_moduli",
    "eigenvalue_plane",
    "gradient_norm",
    "largest_real_part",
    "learning_curve",
    "lyapunov_spectrum",
    "phase_portraits",
    "singular_spectrum",
    "singular_spectrum_map",
]

__getattr__ = lazy_names(
    __name__,
    {
        "singular_spectrum_map": "gradprobe.reports.figures.spectrum_map",
        "lyapunov_spectrum": "gradprobe.reports.figures.lyapunov",
        "decay_areas": "gradprobe.reports.figures.attribution",
        "cost_of_models": "gradprobe.reports.figures.cost",
        "accuracy_against_gradient": "gradprobe.reports.figures.survival",
        "distance_from_origin": "gradprobe.reports.figures.distance",
        "eigenvalue_moduli": "gradprobe.reports.figures.moduli",
        "eigenvalue_plane": "gradprobe.reports.figures.eigenvalues",
        "gradient_norm": "gradprobe.reports.figures.gradient",
        "largest_real_part": "gradprobe.reports.figures.real_parts",
        "learning_curve": "gradprobe.reports.figures.learning",
        "phase_portraits": "gradprobe.reports.figures.portrait",
        "singular_spectrum": "gradprobe.reports.figures.spectrum",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
