"""What a folder of results holds for a gate: metrics, settings, seeds, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gradprobe.gate.metric import Metric, place
from gradprobe.gate.reduction import metrics, not_numbers
from gradprobe.studies.grid import digest
from gradprobe.studies.store import read_results

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from gradprobe.studies.store import CellRecord, MissingCell, StudyResults

Settings = dict[str, dict[str, str]]
OF_THE_SEED = ("seed", "streams")
OF_THE_MACHINE = ("threads",)


@dataclass(frozen=True)
class Measured:
    """Results, as a gate sees them.

    Attributes
    ----------
    study
        The study's name.
    settings
        The SHA-256 of what determines the table of a model on a task at every seed, by model and
        task: versions of probes and tables and the dtype belong to it, seeds and threads do not.
    seeds
        The study's, sorted.
    metrics
        With a value for every finished seed.
    gaps
        Why the results are not complete, a sentence each; empty if they are.
    origin
        Versions, commits and machines that computed them.

    Examples
    --------
    >>> from gradprobe import frame
    >>> Measured.of_table(frame.rows(probe="training", quantity="test_loss", value=1.0)).seeds
    (0,)
    """

    study: str
    settings: Settings
    seeds: tuple[int, ...]
    metrics: list[Metric]
    gaps: tuple[str, ...] = ()
    origin: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_results(cls, results: StudyResults) -> Measured:
        """Return what stored results hold for a gate.

        Parameters
        ----------
        results
            From `gradprobe.studies.read_results`.
        """
        finished = [cell for cell in results.cells if cell.status == "finished"]
        everything: list[CellRecord | MissingCell] = [*finished, *results.missing]
        return cls(
            study=results.study.name,
            settings=_settings(everything),
            seeds=tuple(sorted({cell.seed for cell in everything})),
            metrics=metrics(results.table) if finished else [],
            gaps=(*_unfinished(results.missing), *not_numbers(results.table)),
            origin=_origin(finished),
        )

    @classmethod
    def of_table(cls, table: pd.DataFrame, settings: Settings | None = None) -> Measured:
        """Return what a table of `gradprobe.probe` holds for a gate.

        Parameters
        ----------
        table
            With the columns of `gradprobe.frame`.
        settings
            See the class.
        """
        found = metrics(table)
        return cls(
            study="",
            settings=settings or {},
            seeds=tuple(sorted({seed for metric in found for seed in metric.values})),
            metrics=found,
            gaps=tuple(not_numbers(table)),
        )


def read_measured(folder: str | Path) -> Measured:
    """Read a folder of results as a gate sees it.

    Parameters
    ----------
    folder
        The results' folder.

    Raises
    ------
    StoreError
        There is no store of this format, or it is damaged.

    Examples
    --------
    >>> read_measured("missing")
    Traceback (most recent call last):
    ...
    gradprobe.errors.StoreError: missing: holds no results (results.sqlite is not there)
    """
    return Measured.of_results(read_results(folder))


def setting_hash(cell: CellRecord | MissingCell) -> str:
    """Return the SHA-256 of what determines the cell's table at every seed, on every machine.

    Parameters
    ----------
    cell
        Of a study's results.

    Examples
    --------
    >>> from gradprobe.studies.store import MissingCell
    >>> one, other = (
    ...     MissingCell("", "GRU", "digits", seed, {"seed": seed, "dtype": "float64"}, {})
    ...     for seed in (0, 1)
    ... )
    >>> setting_hash(one) == setting_hash(other)
    True
    """
    left_out = {*OF_THE_SEED, *OF_THE_MACHINE}
    kept = {key: part for key, part in cell.specification.items() if key not in left_out}
    if "source" in kept.get("model", {}):
        # What a change of the code does is what a check is for, gradprobe's code or a user's own.
        kept["model"] = {key: kept["model"][key] for key in kept["model"] if key != "source"}
    return digest(kept)


def _settings(cells: list[CellRecord | MissingCell]) -> Settings:
    settings: Settings = {}
    for cell in cells:
        settings.setdefault(cell.label, {})[cell.task] = setting_hash(cell)
    return {model: dict(sorted(of.items())) for model, of in sorted(settings.items())}


def _unfinished(missing: list[MissingCell]) -> list[str]:
    by_setting: dict[str, list[int]] = {}
    for cell in missing:
        by_setting.setdefault(place(cell.label, cell.task), []).append(cell.seed)
    return [
        f"{setting}: not finished at {_seeds(seeds)}; run the study again"
        for setting, seeds in by_setting.items()
    ]


def _seeds(seeds: list[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, sorted(seeds)))}"


def _origin(cells: list[CellRecord]) -> dict[str, Any]:
    """Return versions, commits and machines of the cells, each once."""
    told = [cell.provenance for cell in cells]
    dtypes = {str(cell.specification.get("dtype")) for cell in cells}
    return {
        "versions": _distinct(one.get("versions") for one in told),
        "commits": _distinct(one.get("commit") for one in told),
        "machines": _distinct(one.get("machine") for one in told),
        "dtypes": sorted(dtypes),
    }


def _distinct(parts: Any) -> list[Any]:
    kept: list[Any] = []
    for part in parts:
        if part is not None and part not in kept:
            kept.append(part)
    return kept
