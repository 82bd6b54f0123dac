"""Tasks: where inputs come from, one file per task."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from gradprobe.errors import ArgumentError
from gradprobe.registry import look_up
from gradprobe.tasks.registry import TASKS

if TYPE_CHECKING:
    from gradprobe.tasks.base import Task

__all__ = ["TASKS", "build"]


def build(name: str, **options: Any) -> Task:
    """Return the task called `name`.

    Parameters
    ----------
    name
        A name in `TASKS`.
    **options
        Options of that task, such as ``length``.

    Raises
    ------
    UnknownNameError
        There is no such task.
    ArgumentError
        The task has no such option, or an option has an impossible value.

    Examples
    --------
    >>> task = build("noise_padded_digits", length=100)
    >>> task.length, task.input_size, task.number_of_classes
    (100, 8, 10)
    """
    kind: type[Task] = look_up("task", TASKS, name)
    known = list(inspect.signature(kind).parameters)
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ArgumentError(
            f"task {name!r} has the options {', '.join(known) or '(none)'}; "
            f"got {', '.join(unknown)}"
        )
    return kind(**options)
