"""The command line, called in this process: its exit code, and what it printed."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

from gradprobe.cli import app


class Printed(NamedTuple):
    """What a call of the command line came to."""

    exit_code: object
    stdout: str
    stderr: str


def gradprobe(*arguments: str) -> Printed:
    output, errors = io.StringIO(), io.StringIO()
    code: object = None
    with redirect_stdout(output), redirect_stderr(errors):
        try:
            app(list(arguments), prog_name="gradprobe")
        except SystemExit as ended:
            code = ended.code
    return Printed(code, output.getvalue(), errors.getvalue())
