"""Runs gradprobe's commands one after the other, in a folder that holds a copy of the package.

What the package imports from elsewhere is imported once; each command then runs in a fork, where
the copy is imported anew, with the changes that were made to it in between.

    python command_server.py FOLDER

reads a JSON list of arguments from each line, and answers with a line: exit code and output.
"""

from __future__ import annotations

import io
import json
import os
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module

ELSEWHERE = ("jinja2", "matplotlib.pyplot", "numpy", "pandas", "pyarrow", "pydantic", "rich.table",
             "seaborn", "typer")  # fmt: skip


def answer(arguments: list[str]) -> dict[str, object]:
    """Run a command as `python -m gradprobe` would."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one worker: each imports torch
    sys.argv = ["gradprobe", *arguments]
    code: object = 0
    with redirect_stdout(io.StringIO()) as printed, redirect_stderr(io.StringIO()) as errors:
        try:
            import_module("gradprobe.cli").main()
        except SystemExit as done:
            code = done.code
        except BaseException:  # told to the test
            traceback.print_exc()
    return {"code": code or 0, "printed": printed.getvalue(), "errors": errors.getvalue()}


def serve(folder: str) -> None:
    """Answer every line of standard input."""
    sys.path[0] = folder
    os.chdir(folder)
    for name in ELSEWHERE:
        import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            print(json.dumps(answer(json.loads(line))), flush=True)
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    serve(sys.argv[1])
