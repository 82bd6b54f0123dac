"""Studies: the schema of a study file, its grid, the store of results, and the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe._lazy import lazy_names

if TYPE_CHECKING:
    from gradprobe.studies.reading import load_study as load_study
    from gradprobe.studies.schema import Study as Study
    from gradprobe.studies.store import load as load
    from gradprobe.studies.store import read_results as read_results

__all__ = ["Study", "load", "load_study", "read_results"]

__getattr__ = lazy_names(
    __name__,
    {
        "Study": "gradprobe.studies.schema",
        "load_study": "gradprobe.studies.reading",
        "load": "gradprobe.studies.store",
        "read_results": "gradprobe.studies.store",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
