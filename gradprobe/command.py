"""What all commands share: exit codes, and errors told in one line."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import typer

from gradprobe.errors import GradprobeError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

WRONG_CALL = 2
MISSING_RESULTS = 3
INTERRUPTED = 130


def failure(message: str, code: int) -> typer.Exit:
    """Print `message` on standard error, and return what ends the command when it is raised.

    Parameters
    ----------
    message
        What went wrong, and what to do.
    code
        The exit code.
    """
    print(f"gradprobe: {message}", file=sys.stderr)
    return typer.Exit(code)


def reported(command: Callable[P, R]) -> Callable[P, R]:
    """Turn what gradprobe refuses into one message and an exit code; a bug keeps its traceback.

    Parameters
    ----------
    command
        A command's function.
    """

    @functools.wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            return command(*arguments, **options)
        except GradprobeError as error:
            raise failure(f"error: {error}", WRONG_CALL) from error
        except KeyboardInterrupt:
            raise failure("interrupted", INTERRUPTED) from None

    return run
