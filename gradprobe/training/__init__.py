"""Training on a task, and measuring meanwhile: our own loop, and a monitor for anybody's.

Importing this package imports neither tensorboard nor lightning.

Examples
--------
>>> from gradprobe import training
>>> training.Monitor.__name__
'Monitor'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe._lazy import lazy_names

if TYPE_CHECKING:
    from gradprobe.training.lightning import MonitorCallback as MonitorCallback
    from gradprobe.training.monitor import Monitor as Monitor
    from gradprobe.training.overhead import Overhead as Overhead
    from gradprobe.training.protocol import TrainingProtocol as TrainingProtocol
    from gradprobe.training.result import Progress as Progress
    from gradprobe.training.result import TrainingInterruptedError as TrainingInterruptedError
    from gradprobe.training.result import TrainingResult as TrainingResult
    from gradprobe.training.tensorboard import TensorBoardWriter as TensorBoardWriter
    from gradprobe.training.training import train as train

__all__ = [
    "Monitor",
    "MonitorCallback",
    "Overhead",
    "Progress",
    "TensorBoardWriter",
    "TrainingInterruptedError",
    "TrainingProtocol",
    "TrainingResult",
    "train",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Monitor": "gradprobe.training.monitor",
        "MonitorCallback": "gradprobe.training.lightning",
        "Overhead": "gradprobe.training.overhead",
        "Progress": "gradprobe.training.result",
        "TensorBoardWriter": "gradprobe.training.tensorboard",
        "TrainingInterruptedError": "gradprobe.training.result",
        "TrainingProtocol": "gradprobe.training.protocol",
        "TrainingResult": "gradprobe.training.result",
        "train": "gradprobe.training.training",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
