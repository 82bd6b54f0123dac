"""The types that the keys of a study file have, and the checks that they share."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from gradprobe.errors import GradprobeError
from gradprobe.registry import check_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MISSING = "missing; this key is required"
RESERVED_OPTIONS = (
    "input_size",
    "hidden_size",
    "num_layers",
    "generator",
    "dtype",
    "device",
)
"""What a model is given by the study's other keys, not by its options."""


def finite_options(options: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return `options`, whose numbers must be finite.

    Examples
    --------
    >>> finite_options({"forget_bias": 1.0})
    {'forget_bias': 1.0}
    """
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
    >>> from types import SimpleNamespace
    >>> distinct_labels([SimpleNamespace(label="digits_rows")])[0].label
    'digits_rows'
    """
    distinct([choice.label for choice in choices])
    return choices


def no_reserved(options: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a model's `options`, none of which may be what the study's other keys give it.

    Examples
    --------
    >>> no_reserved({"forget_bias": 1.0})
    {'forget_bias': 1.0}
    """
    for name in RESERVED_OPTIONS:
        if name in options:
            place = "beside them" if name in {"hidden_size", "num_layers"} else "by the study"
            raise ValueError(f"{name} is set {place}, not among the options")
    return options


Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[int, Field(gt=0)]
Options = Annotated[dict[str, JsonValue], AfterValidator(finite_options)]
ModelOptions = Annotated[Options, AfterValidator(no_reserved)]
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
