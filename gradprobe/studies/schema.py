"""The schema of a study file: what may stand in it, checked without importing torch."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PrivateAttr,
    model_validator,
)

from gradprobe import tasks
from gradprobe.errors import GradprobeError
from gradprobe.models.registry import MODELS
from gradprobe.probes.registry import PROBES
from gradprobe.registry import check_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradprobe.tasks.base import Task

GREATEST_SEED = 2**63 - 1
"""Seeds are stored as 64-bit integers."""

RESERVED_OPTIONS = (
    "input_size",
    "hidden_size",
    "num_layers",
    "generator",
    "dtype",
    "device",
)
"""What a model is given by the study's other keys, not by its options."""


def _finite(options: dict[str, JsonValue]) -> dict[str, JsonValue]:
    try:
        json.dumps(options, allow_nan=False)
    except ValueError:
        raise ValueError("numbers must be finite") from None
    return options


def _registered(kind: str, registry: dict[str, str]) -> Callable[[str], str]:
    def check(name: str) -> str:
        try:
            return check_name(kind, registry, name)
        except GradprobeError as error:
            raise ValueError(str(error)) from None

    return check


def _distinct(values: Sequence[Any]) -> Sequence[Any]:
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise ValueError(f"each must stand once, {repeated[0]} is repeated")
    return values


def _no_reserved(options: dict[str, JsonValue]) -> dict[str, JsonValue]:
    for name in RESERVED_OPTIONS:
        if name in options:
            place = "beside them" if name in {"hidden_size", "num_layers"} else "by the study"
            raise ValueError(f"{name} is set {place}, not among the options")
    return options


Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[int, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, le=GREATEST_SEED)]
Options = Annotated[dict[str, JsonValue], AfterValidator(_finite)]
ProbeName = Annotated[str, AfterValidator(_registered("probe", PROBES))]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class TaskChoice(_Strict):
    """The table ``[task]``: where the inputs come from.

    Examples
    --------
    >>> TaskChoice(name="noise_padded_digits", options={"length": 50}).build().length
    50
    """

    name: Annotated[str, AfterValidator(_registered("task", tasks.TASKS))]
    options: Options = {}

    @model_validator(mode="after")
    def _buildable(self) -> TaskChoice:
        try:
            self.build()
        except GradprobeError as error:
            raise ValueError(str(error)) from None
        return self

    def build(self) -> Task:
        """Return the task itself."""
        return tasks.build(self.name, **self.options)


class Grid(_Strict):
    """The table ``[grid]``: what every model is measured at.

    Examples
    --------
    >>> Grid(seeds=[0, 1], lengths=[100, 50], sequences=4).lengths
    (100, 50)
    """

    seeds: Annotated[tuple[Seed, ...], Field(strict=False, min_length=1), AfterValidator(_distinct)]
    lengths: Annotated[
        tuple[Positive, ...], Field(strict=False, min_length=1), AfterValidator(_distinct)
    ]
    sequences: Positive
    split: Literal["train", "validation", "test"] = "train"
    dtype: Literal["float64", "float32"] = "float64"
    threads_per_cell: Positive = 1


class ModelChoice(_Strict):
    """One table ``[[models]]``: a model and what it is called in the report.

    Examples
    --------
    >>> ModelChoice(label="LSTM", name="lstm", hidden_size=64).num_layers
    1
    """

    label: Text
    name: Annotated[str, AfterValidator(_registered("model", MODELS))]
    hidden_size: Positive
    num_layers: Positive = 1
    options: Annotated[Options, AfterValidator(_no_reserved)] = {}


def _distinct_models(models: Sequence[ModelChoice]) -> Sequence[ModelChoice]:
    _distinct([model.label for model in models])
    first: dict[str, str] = {}
    for model in models:
        same = json.dumps(model.model_dump(exclude={"label"}), sort_keys=True)
        if same in first:
            raise ValueError(
                f"{model.label!r} and {first[same]!r} are the same model with the same options"
            )
        first[same] = model.label
    return models


class Study(_Strict):
    """A whole study: every model, at every seed, measured by every probe on one task.

    Attributes
    ----------
    name
        A file name's worth of letters; the results' folder is called so.
    question
        What is asked, in one sentence.
    description
        What a reader should know besides.
    task, grid, models, probes
        The tables of the file.
    text, file_name
        The file as it was read, and what it was called.

    Examples
    --------
    >>> from gradprobe.studies.reading import parse_study
    >>> study = parse_study('''
    ... name = "two_lengths"
    ... question = "Do gradients survive?"
    ... [task]
    ... name = "digits_pixels"
    ... [grid]
    ... seeds = [0]
    ... lengths = [32, 64]
    ... sequences = 2
    ... [[models]]
    ... label = "GRU"
    ... name = "gru"
    ... hidden_size = 8
    ... [probes.singular_values]
    ... ''', "two_lengths.toml")
    >>> study.models[0].label, study.grid.lengths
    ('GRU', (32, 64))
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
    question: Text
    description: str = ""
    task: TaskChoice
    grid: Grid
    models: Annotated[
        tuple[ModelChoice, ...],
        Field(strict=False, min_length=1),
        AfterValidator(_distinct_models),
    ]
    probes: Annotated[dict[ProbeName, Options], Field(min_length=1)]
    _text: str = PrivateAttr(default="")
    _file_name: str = PrivateAttr(default="study")

    @property
    def text(self) -> str:
        """The study file as it was read."""
        return self._text

    @property
    def file_name(self) -> str:
        """What the study file was called when it was read."""
        return self._file_name
