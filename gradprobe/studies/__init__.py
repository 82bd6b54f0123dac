"""Studies: the schema of a study file, its grid, the store of results, and the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe._lazy import lazy_names

if TYPE_CHECKING:
    from gradprobe.studies.reading import load_study as load_study
    from gradprobe.studies.reporters import reporter as reporter
    from gradprobe.studies.running import Summary as Summary
    from gradprobe.studies.running import run_study as run_study
    from gradprobe.studies.schema import Study as Study
    from gradprobe.studies.store import StudyResults as StudyResults
    from gradprobe.studies.store import load as load
    from gradprobe.studies.store import read_results as read_results
    from gradprobe.studies.swept_values import parameters as parameters

_PLACES = {
    "Study": "gradprobe.studies.schema",
    "StudyResults": "gradprobe.studies.store",
    "Summary": "gradprobe.studies.running",
    "load": "gradprobe.studies.store",
    "load_study": "gradprobe.studies.reading",
    "parameters": "gradprobe.studies.swept_values",
    "read_results": "gradprobe.studies.store",
    "reporter": "gradprobe.studies.reporters",
    "run_study": "gradprobe.studies.running",
}

__all__ = [
    "Study",
    "StudyResults",
    "Summary",
    "load",
    "load_study",
    "parameters",
    "read_results",
    "reporter",
    "run_study",
]

__getattr__ = lazy_names(__name__, _PLACES)


def __dir__() -> list[str]:
    return sorted(__all__)
