"""The reports and the studies, as they lie in the repository, for the site."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FOLDERS = {
    "reports": {".md", ".html", ".svg", ".png", ".csv", ".json"},
    "studies": {".toml", ".json"},
    "examples": {".yml", ".ini", ".py"},
}
"""Which files of these folders the site has, by how their names end."""


def mirrored_paths() -> list[str]:
    """Return the paths of all that is copied, from the root of the repository.

    Examples
    --------
    >>> "studies/gradient_decay.toml" in mirrored_paths()
    True
    """
    return sorted(
        path.relative_to(ROOT).as_posix()
        for folder, suffixes in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix in suffixes and "__pycache__" not in path.parts
    )


def mirrored() -> Iterator[tuple[str, str | bytes]]:
    """Yield the path in the site and the content of each file; pages link only to what is there."""
    paths = mirrored_paths()
    for path in paths:
        file = ROOT / path
        if file.suffix == ".md":
            yield path, with_links_to(set(paths), path, file.read_text(encoding="utf-8"))
        else:
            yield path, file.read_bytes()


def with_links_to(paths: set[str], place: str, text: str) -> str:
    """Return Markdown whose links to files outside `paths` have become the names of these files.

    Parameters
    ----------
    paths
        What the site has.
    place
        Where the text stands.
    text
        The Markdown.

    Examples
    --------
    >>> with_links_to({"reports/a.csv"}, "reports/README.md", "[a](a.csv), [b](../b.py)")
    '[a](a.csv), b'
    """

    def link(match: re.Match[str]) -> str:
        label, target = match.groups()
        here = posixpath.normpath(posixpath.join(posixpath.dirname(place), target.split("#")[0]))
        outside = re.match(r"[a-z]+:|#", target)
        return match.group() if outside or here in paths else label

    return re.sub(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)", link, text)
