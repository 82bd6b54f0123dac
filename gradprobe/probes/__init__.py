"""Probes: one file per quantity; each takes a trajectory and gives rows of the tidy table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe._lazy import lazy_names

if TYPE_CHECKING:
    from gradprobe.probes import dense_reference as dense_reference
    from gradprobe.probes.condition import condition as condition
    from gradprobe.probes.decay_attribution import decay_attribution as decay_attribution
    from gradprobe.probes.eigenvalue_real_parts import (
        eigenvalue_real_parts as eigenvalue_real_parts,
    )
    from gradprobe.probes.gradient_norm import gradient_norm as gradient_norm
    from gradprobe.probes.input_sensitivity import input_sensitivity as input_sensitivity
    from gradprobe.probes.logarithmic_norm import logarithmic_norm as logarithmic_norm
    from gradprobe.probes.loss_gradient import loss_gradient as loss_gradient
    from gradprobe.probes.lyapunov_exponents import lyapunov_exponents as lyapunov_exponents
    from gradprobe.probes.non_normality import non_normality as non_normality
    from gradprobe.probes.parameter_sensitivity import (
        parameter_sensitivity as parameter_sensitivity,
    )
    from gradprobe.probes.probing import probe as probe
    from gradprobe.probes.registry import PROBES as PROBES
    from gradprobe.probes.singular_values import singular_values as singular_values
    from gradprobe.probes.state_statistics import state_statistics as state_statistics

_PLACES = {
    "PROBES": "gradprobe.probes.registry",
    "condition": "gradprobe.probes.condition",
    "decay_attribution": "gradprobe.probes.decay_attribution",
    "dense_reference": "",
    "eigenvalue_real_parts": "gradprobe.probes.eigenvalue_real_parts",
    "gradient_norm": "gradprobe.probes.gradient_norm",
    "input_sensitivity": "gradprobe.probes.input_sensitivity",
    "logarithmic_norm": "gradprobe.probes.logarithmic_norm",
    "loss_gradient": "gradprobe.probes.loss_gradient",
    "lyapunov_exponents": "gradprobe.probes.lyapunov_exponents",
    "non_normality": "gradprobe.probes.non_normality",
    "parameter_sensitivity": "gradprobe.probes.parameter_sensitivity",
    "probe": "gradprobe.probes.probing",
    "singular_values": "gradprobe.probes.singular_values",
    "state_statistics": "gradprobe.probes.state_statistics",
}

__all__ = [
    "PROBES",
    "condition",
    "decay_attribution",
    "dense_reference",
    "eigenvalue_real_parts",
    "gradient_norm",
    "input_sensitivity",
    "logarithmic_norm",
    "loss_gradient",
    "lyapunov_exponents",
    "non_normality",
    "parameter_sensitivity",
    "probe",
    "singular_values",
    "state_statistics",
]

__getattr__ = lazy_names(__name__, _PLACES)


def __dir__() -> list[str]:
    return sorted(__all__)
