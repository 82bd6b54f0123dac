"""The parts of a study file: its tasks, its models, what is published of them, their training."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    create_model,
    model_validator,
)

from gradprobe import tasks
from gradprobe.errors import GradprobeError
from gradprobe.models.registry import MODELS
from gradprobe.registry import check_name
from gradprobe.training.protocol import TrainingProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradprobe.tasks.base import Task

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


def registered(kind: str, registry: dict[str, str]) -> Callable[[str], str]:
    """Return a validator of names in `registry`, whose error lists the valid ones.

    Examples
    --------
    >>> registered("fruit", {"apple": "", "pear": ""})("pear")
    'pear'
    """

    def check(name: str) -> str:
        try:
            return check_name(kind, registry, name)
        except GradprobeError as error:
            raise ValueError(str(error)) from None

    return check


def distinct(values: Sequence[Any]) -> Sequence[Any]:
    """Return `values`, none of which may stand twice.

    Examples
    --------
    >>> distinct([1, 2])
    [1, 2]
    """
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise ValueError(f"each must stand once, {repeated[0]} is repeated")
    return values


def distinct_labels(choices: Sequence[Any]) -> Sequence[Any]:
    """Return `choices`, no two of which may have the same label.

    Examples
    --------
    >>> distinct_labels([TaskChoice(name="digits_rows")])[0].label
    'digits_rows'
    """
    distinct([choice.label for choice in choices])
    return choices


def _no_reserved(options: dict[str, JsonValue]) -> dict[str, JsonValue]:
    for name in RESERVED_OPTIONS:
        if name in options:
            place = "beside them" if name in {"hidden_size", "num_layers"} else "by the study"
            raise ValueError(f"{name} is set {place}, not among the options")
    return options


Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[int, Field(gt=0)]
Options = Annotated[dict[str, JsonValue], AfterValidator(_finite)]
ModelOptions = Annotated[Options, AfterValidator(_no_reserved)]
Lengths = Annotated[
    tuple[Positive, ...], Field(strict=False, min_length=1), AfterValidator(distinct)
]
Labels = Annotated[tuple[Text, ...], Field(strict=False, min_length=1), AfterValidator(distinct)]


class Strict(BaseModel):
    """A table that takes no other keys, no other types, and never changes.

    Examples
    --------
    >>> Strict().model_dump()
    {}
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


if TYPE_CHECKING:
    TrainingTable = BaseModel
else:
    # The same keys, each checked alone: only all tables together make a whole protocol.
    TrainingTable = create_model(
        "TrainingTable",
        __base__=Strict,
        **{
            name: (field.annotation, field) for name, field in TrainingProtocol.model_fields.items()
        },
    )


def stated(table: BaseModel | None) -> dict[str, Any]:
    """Return the keys that a table of the file states, without those left at their defaults.

    Examples
    --------
    >>> stated(Published(test_accuracy=98.0, source="Table 1"))
    {'test_accuracy': 98.0, 'source': 'Table 1'}
    """
    return {} if table is None else table.model_dump(mode="json", exclude_unset=True)


class Published(Strict):
    """What a paper prints of a model on a task; shown beside what was measured.

    Attributes
    ----------
    test_accuracy
        In percent.
    test_mean_squared_error
        Of tasks whose targets are numbers.
    parameters, units
        Number of parameters, and of hidden units.
    iterations
        The full budget of training.
    source
        Where it is printed.

    Examples
    --------
    >>> Published(test_accuracy=98.0, parameters=10_000, source="Table 1").source
    'Table 1'
    """

    test_accuracy: Annotated[float, Field(ge=0, le=100)] | None = None
    test_mean_squared_error: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    parameters: Positive | None = None
    units: Positive | None = None
    iterations: Positive | None = None
    source: Text | None = None


class TaskChoice(Strict):
    """One table ``[[tasks]]``: where the inputs come from.

    Attributes
    ----------
    label
        What the task is called in tables and reports; its name if not given.
    name, options
        As for `gradprobe.tasks.build`.
    lengths
        The T at which probes measure on this task, if not those of the grid.
    training
        What differs from the table ``[training]`` on this task.
    published
        What a paper prints of all models on this task.

    Examples
    --------
    >>> task = TaskChoice(name="noise_padded_digits", options={"length": 50})
    >>> task.label, task.build().length
    ('noise_padded_digits', 50)
    """

    label: Text
    name: Annotated[str, AfterValidator(registered("task", tasks.TASKS))]
    options: Options = {}
    lengths: Lengths | None = None
    training: TrainingTable | None = None
    published: Published = Published()

    @model_validator(mode="before")
    @classmethod
    def _labelled(cls, table: Any) -> Any:
        if isinstance(table, dict) and "label" not in table:
            return {"label": table.get("name"), **table} if "name" in table else table
        return table

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


class TaskException(Strict):
    """One table ``[models.on.TASK]``: what differs for a model on the task of that label.

    Examples
    --------
    >>> TaskException(hidden_size=196).hidden_size
    196
    """

    hidden_size: Positive | None = None
    options: ModelOptions = {}
    training: TrainingTable | None = None
    published: Published = Published()


class ModelChoice(Strict):
    """One table ``[[models]]``: a model and what it is called in the report.

    Attributes
    ----------
    label
        What the model is called.
    name, hidden_size, num_layers, options
        As for `gradprobe.models.build`.
    only, skip
        Labels of the tasks that it runs on, or does not; all tasks if neither is given.
    training
        What differs from the table ``[training]`` for this model.
    published
        What a paper prints of it.
    on
        Exceptions, by the task's label; their tables are merged key by key over the model's.

    Examples
    --------
    >>> ModelChoice(label="LSTM", name="lstm", hidden_size=64).num_layers
    1
    """

    label: Text
    name: Annotated[str, AfterValidator(registered("model", MODELS))]
    hidden_size: Positive
    num_layers: Positive = 1
    options: ModelOptions = {}
    only: Labels | None = None
    skip: Labels = ()
    training: TrainingTable | None = None
    published: Published = Published()
    on: dict[str, TaskException] = {}

    def runs_on(self, task: str) -> bool:
        """Return whether the model runs on the task called `task`.

        Parameters
        ----------
        task
            A task's label.
        """
        return task not in self.skip and (self.only is None or task in self.only)
