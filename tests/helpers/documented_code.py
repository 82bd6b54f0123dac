"""The code of the documentation: its fenced blocks, and how each kind is run or read.

A page is a sequence of fenced blocks, run in order in one folder and one namespace:

- ``python``: executed; with ``title="FILE"`` written to that file instead;
- ``sh``: every line is a ``gradprobe`` or ``pytest`` command, run in this process; ``console``
  shows commands after ``$``, and what each prints;
- ``toml``, ``yaml``, ``ini``, ``diff`` with a title: checked, and written or applied to that file;
- ``text`` below ``<!-- output -->``: what the block above printed; ``…`` stands for anything;
- ``math``: not code.

An HTML comment directly above a block says ``exit code: N``, ``not run: REASON``, or, where another
library warns, ``warns: REASON``; any other warning is an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FENCE = re.compile(
    r"(?:^[ ]*<!--[ ](?P<mark>[^\n]*?)[ ]-->\n)?"
    r"^(?P<indent>[ ]*)```(?P<language>\w*)(?:[ ]title=\"(?P<title>[^\"]+)\")?[ ]*\n"
    r"(?P<text>.*?)^(?P=indent)```[ ]*$",
    flags=re.MULTILINE | re.DOTALL,
)
SNIPPET = re.compile(r'^--8<-- "([^"]+)"$', flags=re.MULTILINE)
MARKS = ("not run", "exit code", "output", "warns")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    title: str
    text: str
    mark: str
    words: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_run(self) -> bool:
        return self.mark != "not run"

    @property
    def exit_code(self) -> int:
        return int(self.words) if self.mark == "exit code" else 0


def pages() -> list[str]:
    """Return all pages, from the root of the repository."""
    written = sorted((ROOT / "docs").rglob("*.md"))
    return ["README.md", "CONTRIBUTING.md", *(str(page.relative_to(ROOT)) for page in written)]


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page; files that it includes are part of it."""
    return list(_blocks(page, (ROOT / page).read_text(encoding="utf-8")))


def _blocks(page: str, text: str) -> Iterator[Block]:
    for match in FENCE.finditer(text):
        mark, _, words = (match["mark"] or "").partition(": ")
        if mark not in MARKS:
            mark, words = "", ""
        content = re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
        yield Block(
            page=page,
            line=text.count("\n", 0, match.start("language")) + 1,
            language=match["language"],
            title=match["title"] or "",
            text=SNIPPET.sub(_included, content),
            mark=mark,
            words=words,
        )


def _included(match: re.Match[str]) -> str:
    return (ROOT / match[1]).read_text(encoding="utf-8").rstrip("\n")


def commands(text: str) -> list[str]:
    """Return the commands of a shell block, without comments, continued lines joined."""
    joined = text.replace("\\\n", " ")
    lines = [re.sub(r"\s+#.*$|^#.*$", "", line).strip() for line in joined.splitlines()]
    return [line for line in lines if line]


def matches(expected: str, printed: str) -> bool:
    """Whether `printed` is what `expected` shows; white space counts little, … is anything."""
    parts = [r"\s+".join(map(re.escape, part.split())) for part in expected.split("…")]
    pattern = r"[\s\S]*?".join(rf"\s*{part}\s*" for part in parts)
    return re.fullmatch(pattern, printed) is not None
