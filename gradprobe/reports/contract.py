"""What a report needs to know of stored results; any object with these attributes will do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd


class Study(Protocol):
    """The study that was run."""

    @property
    def name(self) -> str:
        """Name of the study."""

    @property
    def question(self) -> str:
        """The question that it asks, in words."""

    @property
    def text(self) -> str:
        """The study file as it was written."""


class PlannedCell(Protocol):
    """One cell of a study's grid, computed or not."""

    @property
    def label(self) -> str:
        """Label of the model."""

    @property
    def task(self) -> str:
        """Label of the task."""

    @property
    def seed(self) -> int:
        """Seed of the cell."""


class Cell(PlannedCell, Protocol):
    """One cell of a study's grid that was computed."""

    @property
    def status(self) -> str:
        """How the cell ended."""

    @property
    def seconds(self) -> float | None:
        """Time that the cell took."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Versions, commit, machine."""

    @property
    def error(self) -> str | None:
        """Why the cell failed, if it did."""

    @property
    def specification(self) -> Mapping[str, Any]:
        """What determines the table: ``model`` with its options, ``training``, and more."""

    @property
    def published(self) -> Mapping[str, Any]:
        """What a paper prints: ``test_accuracy`` in percent, ``parameters``, ``iterations``, …."""


class Results(Protocol):
    """A study with its table (columns of `gradprobe.frame`) and its cells."""

    @property
    def study(self) -> Study:
        """The study."""

    @property
    def table(self) -> pd.DataFrame:
        """Every value that was measured."""

    @property
    def cells(self) -> Sequence[Cell]:
        """The cells that were tried."""

    @property
    def missing(self) -> Sequence[PlannedCell]:
        """The cells that were never tried, or not finished."""
