"""A baseline: approved values as a small JSON file, sorted, with a line for each metric."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from gradprobe.errors import BaselineError, NotComparableError
from gradprobe.gate.metric import Metric
from gradprobe.studies.grid import digest

if TYPE_CHECKING:
    from gradprobe.gate.measured import Measured
    from gradprobe.gate.metric import Name

FORMAT: Literal[1] = 1
"""Version of the file, and of how its metrics are made; another one is not comparable."""

GREATEST_SIZE = 64 * 2**20
"""Bytes; what is larger is not a baseline."""


class Baseline(BaseModel):
    """Approved values.

    Attributes
    ----------
    format
        `FORMAT`.
    study, hash
        The study's name, and the SHA-256 of its settings.
    settings, seeds, origin
        As of `gradprobe.gate.measured.Measured`.
    metrics
        Sorted by name.

    Examples
    --------
    >>> from gradprobe import frame
    >>> from gradprobe.gate.measured import Measured
    >>> table = frame.rows(probe="training", quantity="test_loss", value=1.0)
    >>> baseline = Baseline.of(Measured.of_table(table))
    >>> [metric.quantity for metric in baseline.metrics]
    ['diverged_at', 'test_loss']
    >>> parse_baseline(baseline.text(), "approved.json") == baseline
    True
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = FORMAT
    study: str
    hash: str
    settings: dict[str, dict[str, str]]
    seeds: Annotated[tuple[int, ...], Field(min_length=1)]
    origin: dict[str, JsonValue]
    metrics: Annotated[tuple[Metric, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Baseline:
        if self.hash != digest(self.settings):
            raise ValueError("hash is not that of settings; the file was edited by hand")
        names = [metric.name for metric in self.metrics]
        twice = {name for name in names if names.count(name) > 1} if _repeats(names) else set()
        if twice:
            raise ValueError(f"{min(map(str, twice))} stands in it twice")
        stray = {seed for metric in self.metrics for seed in metric.values} - set(self.seeds)
        if stray:
            raise ValueError(f"metrics have values at seed {min(stray)}, which is not in seeds")
        return self

    @classmethod
    def of(cls, measured: Measured) -> Baseline:
        """Approve what was measured.

        Parameters
        ----------
        measured
            Complete results.

        Raises
        ------
        NotComparableError
            Nothing was measured, or not everything; half a result is not approved.
        """
        if measured.gaps:
            raise NotComparableError(
                "the results are not complete, so there is nothing to approve: "
                + "; ".join(measured.gaps)
            )
        if not any(metric.resolved for metric in measured.metrics):
            raise NotComparableError("nothing was measured that could be approved")
        return cls(
            study=measured.study,
            hash=digest(measured.settings),
            settings=measured.settings,
            seeds=measured.seeds,
            origin=measured.origin,
            metrics=tuple(measured.metrics),
        )

    def text(self) -> str:
        """Return the file: JSON with a line for each metric, the same for the same values."""
        content = self.model_dump(mode="python")
        metrics = [_line(_plain(metric)) for metric in content.pop("metrics")]
        head = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        body = ",\n  ".join(metrics)
        return f'{head[:-2]},\n "metrics": [\n  {body}\n ]\n}}\n'


def write_baseline(baseline: Baseline, path: str | Path) -> None:
    """Write `baseline`, all of it or nothing.

    Parameters
    ----------
    baseline
        What is approved.
    path
        The file; an older one is replaced.

    Raises
    ------
    BaselineError
        The file cannot be written.
    """
    write_text(path, baseline.text())


def write_text(path: str | Path, text: str) -> None:
    """Write a file so that nobody ever finds half of it.

    Parameters
    ----------
    path, text
        The file and its content.

    Raises
    ------
    BaselineError
        The file cannot be written.
    """
    place = Path(path)
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8", errors="backslashreplace")
        draft.replace(place)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise BaselineError(f"{path}: cannot be written: {error.strerror}") from error


def read_baseline(path: str | Path) -> Baseline:
    """Read a baseline.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    BaselineError
        It cannot be read, or is not a baseline, or was edited so that it contradicts itself.
    NotComparableError
        It has another format.

    Examples
    --------
    >>> read_baseline("missing.json")
    Traceback (most recent call last):
    ...
    gradprobe.errors.BaselineError: missing.json: cannot be read: No such file or directory
    """
    try:
        if Path(path).stat().st_size > GREATEST_SIZE:
            raise BaselineError(f"{path}: is too large for a baseline")
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise BaselineError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BaselineError(f"{path}: is not a text file in UTF-8") from error
    return parse_baseline(text, str(path))


def parse_baseline(text: str, name: str) -> Baseline:
    """Return the baseline that `text` is.

    Parameters
    ----------
    text
        A file's content.
    name
        What messages call it.

    Raises
    ------
    BaselineError, NotComparableError
        See `read_baseline`.
    """
    try:
        content = json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BaselineError(f"{name}: is not JSON as gradprobe writes it: {error}") from error
    if not isinstance(content, dict) or "metrics" not in content:
        raise BaselineError(f"{name}: is not a baseline of gradprobe: it has no metrics")
    if isinstance(content.get("format"), int) and content["format"] != FORMAT:
        raise NotComparableError(
            f"{name}: has format {content['format']}, this gradprobe compares format {FORMAT}; "
            "approve the baseline again with `gradprobe baseline`"
        )
    try:
        return Baseline.model_validate(content)
    except ValidationError as error:
        raise BaselineError(f"{name}: is not a baseline of gradprobe: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{where}: {first['msg']}{more}" if where else f"{first['msg']}{more}"


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(
            f"the key {next(key for key in keys if keys.count(key) > 1)!r} is repeated"
        )
    return content


def _refuse(constant: str) -> Any:
    raise ValueError(f'{constant} is not a number; infinities are written "-inf" and "inf"')


def _repeats(names: list[Name]) -> bool:
    return len(set(names)) < len(names)


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False)


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    """Return a metric's content with its infinities as strings."""
    values = {str(seed): _written(value) for seed, value in content["values"].items()}
    return {
        **content,
        "worse": str(content["worse"]),
        "median": _written(content["median"]),
        "values": values,
    }


def _written(value: float | None) -> float | str | None:
    return str(value) if value in {float("inf"), float("-inf")} else value
