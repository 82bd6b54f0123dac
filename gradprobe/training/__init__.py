"""Measuring while a network is trained: a monitor for anybody's loop, and thin layers on it.

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
    from gradprobe.training.tensorboard import TensorBoardWriter as TensorBoardWriter

__all__ = ["Monitor", "MonitorCallback", "Overhead", "TensorBoardWriter"]

__getattr__ = lazy_names(
    __name__,
    {
        "Monitor": "gradprobe.training.monitor",
        "MonitorCallback": "gradprobe.training.lightning",
        "Overhead": "gradprobe.training.overhead",
        "TensorBoardWriter": "gradprobe.training.tensorboard",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
