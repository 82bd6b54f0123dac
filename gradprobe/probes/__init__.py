"""Probes: one file per quantity; each takes a trajectory and gives rows of the tidy table.

`PROBES` names them all; a probe is called by its name through `probe`, or directly as
``gradprobe.probes.NAME.NAME``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe._lazy import lazy_names

if TYPE_CHECKING:
    from gradprobe.probes import dense_reference as dense_reference
    from gradprobe.probes.probing import probe as probe
    from gradprobe.probes.registry import PROBES as PROBES

__all__ = ["PROBES", "dense_reference", "probe"]

__getattr__ = lazy_names(
    __name__,
    {
        "PROBES": "gradprobe.probes.registry",
        "dense_reference": "",
        "probe": "gradprobe.probes.probing",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
