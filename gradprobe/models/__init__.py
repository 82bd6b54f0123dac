"""Recurrent models: the cell contract, one file per family, stacking, adapters, the unrolled pass.

Examples
--------
>>> from gradprobe import models
>>> model = models.build("gru", input_size=3, hidden_size=5)
>>> model.state_size
5
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe._lazy import lazy_names

if TYPE_CHECKING:
    from gradprobe.models.adapters import adapt as adapt
    from gradprobe.models.building import build as build
    from gradprobe.models.cell import Cell as Cell
    from gradprobe.models.dynamics import Dynamics as Dynamics
    from gradprobe.models.dynamics import LinearStep as LinearStep
    from gradprobe.models.initialiser import Initialiser as Initialiser
    from gradprobe.models.opaque.opaque_model import OpaqueModel as OpaqueModel
    from gradprobe.models.readout import Readout as Readout
    from gradprobe.models.recurrent_model import RecurrentModel as RecurrentModel
    from gradprobe.models.registry import MODELS as MODELS
    from gradprobe.models.trajectory import Trajectory as Trajectory
    from gradprobe.models.trajectory import trace as trace

__all__ = [
    "MODELS",
    "Cell",
    "Dynamics",
    "Initialiser",
    "LinearStep",
    "OpaqueModel",
    "Readout",
    "RecurrentModel",
    "Trajectory",
    "adapt",
    "build",
    "trace",
]

__getattr__ = lazy_names(
    __name__,
    {
        "MODELS": "gradprobe.models.registry",
        "Cell": "gradprobe.models.cell",
        "Dynamics": "gradprobe.models.dynamics",
        "Initialiser": "gradprobe.models.initialiser",
        "LinearStep": "gradprobe.models.dynamics",
        "OpaqueModel": "gradprobe.models.opaque.opaque_model",
        "Readout": "gradprobe.models.readout",
        "RecurrentModel": "gradprobe.models.recurrent_model",
        "Trajectory": "gradprobe.models.trajectory",
        "adapt": "gradprobe.models.adapters",
        "build": "gradprobe.models.building",
        "trace": "gradprobe.models.trajectory",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
