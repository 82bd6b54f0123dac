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


class Cell(Protocol):
    """One cell of a study's grid."""

    @property
    def label(self) -> str:
        """Label of the model."""

    @property
    def task(self) -> str:
        """Name of the task."""

    @property
    def seed(self) -> int:
        """Seed of the cell."""

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
    def missing(self) -> Sequence[object]:
        """The cells that were never tried, or not finished."""
