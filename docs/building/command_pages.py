"""The page of the command line: the help of every command, as the command itself prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from gradprobe import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH = 92

BEGINNING = """\
# The command line

What each command prints for `--help`.

## Exit codes

| code | meaning |
|---|---|
| 0 | all is well |
| 1 | `gradprobe check`: a metric is worse than approved |
| 2 | the call or a file is wrong |
| 3 | results are missing, were not measured, or cannot be compared: never a pass |
| 130, 143 | interrupted by Ctrl-C, or asked to end by SIGTERM: the same command goes on |

Errors are one message on standard error.  A traceback is a fault of gradprobe.
"""


def commands() -> Iterator[tuple[str, str]]:
    """Yield every command, as one types it, and its help."""
    root: Any = typer.main.get_command(cli.app)
    yield from _below(root, "gradprobe", None)


def _below(command: Any, path: str, parent: Any) -> Iterator[tuple[str, str]]:
    context = command.make_context(
        path.rpartition(" ")[2],
        [],
        parent=parent,
        resilient_parsing=True,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
    )
    yield path, command.get_help(context)
    for name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            yield from _below(child, f"{path} {name}", context)


def page() -> str:
    """Return the page."""
    parts = [f"## {path}\n\n```text\n{text}\n```\n" for path, text in commands()]
    return "\n".join([BEGINNING, *parts])
