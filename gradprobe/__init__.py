"""gradprobe: measure how gradients travel through time in recurrent networks.

The public names are loaded when they are first used, so that importing the package, and the parts
that only read stored results, do not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe._lazy import lazy_names
from gradprobe._version import __version__

if TYPE_CHECKING:
    from gradprobe import frame as frame
    from gradprobe import gate as gate
    from gradprobe import linalg as linalg
    from gradprobe import models as models
    from gradprobe import probes as probes
    from gradprobe import reports as reports
    from gradprobe import studies as studies
    from gradprobe import tasks as tasks
    from gradprobe import testing as testing
    from gradprobe import training as training
    from gradprobe import tuning as tuning
    from gradprobe.models import adapt as adapt
    from gradprobe.probes import probe as probe
    from gradprobe.studies import load as load
    from gradprobe.training import Monitor as Monitor

__all__ = [
    "Monitor",
    "__version__",
    "adapt",
    "frame",
    "gate",
    "linalg",
    "load",
    "models",
    "probe",
    "probes",
    "reports",
    "studies",
    "tasks",
    "testing",
    "training",
    "tuning",
]

__getattr__ = lazy_names(
    __name__,
    {
        "frame": "",
        "gate": "",
        "linalg": "",
        "models": "",
        "probes": "",
        "reports": "",
        "studies": "",
        "tasks": "",
        "testing": "",
        "training": "",
        "tuning": "",
        "Monitor": "gradprobe.training",
        "adapt": "gradprobe.models",
        "load": "gradprobe.studies",
        "probe": "gradprobe.probes",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
