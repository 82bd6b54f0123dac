"""Every block of code in the documentation is run, or says why it is not."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import torch
from documented_code import ROOT, Block, blocks, matches, pages
from documented_page import PageRunner

import gradprobe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IN_A_COPY = ("docs/tutorial.md",)
"""Pages that change gradprobe's own files."""

NOT_RUN = {
    "README.md": 3,
    "CONTRIBUTING.md": 1,
    "docs/index.md": 1,
    "docs/tutorial.md": 1,
    "docs/design.md": 1,
    "docs/evidence.md": 2,
    "docs/studies.md": 2,
    "docs/recipes/ray.md": 1,
}
"""How many blocks of each page are not run; each says why, where it stands."""


@pytest.fixture
def folder(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Yield an empty current folder, from which modules are imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    forget_modules_below(tmp_path_factory.getbasetemp())  # another test may have used the name
    yield tmp_path
    forget_modules_below(tmp_path)


def forget_modules_below(folder: Path) -> None:
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


@pytest.mark.parametrize("page", pages())
def test_the_code_of_a_page_runs(page: str, folder: Path) -> None:
    in_copy = page in IN_A_COPY
    if in_copy:
        package = next(iter(gradprobe.__path__))
        shutil.copytree(package, folder / "gradprobe")
    torch.manual_seed(0)
    with closing(PageRunner(folder, in_copy)) as runner:
        for block in blocks(page):
            runner.run(block)


def test_all_fences_are_seen_and_all_that_is_not_run_is_counted() -> None:
    everything = [block for page in pages() for block in blocks(page)]
    fences = sum(
        line.lstrip().startswith("```")
        for page in pages()
        for line in (ROOT / page).read_text(encoding="utf-8").splitlines()
    )
    assert fences == 2 * len(everything)
    left_out = [block for block in everything if not block.is_run]
    assert all(block.words for block in left_out)
    assert Counter(block.page for block in left_out) == NOT_RUN


def test_a_block_that_fails_is_told_by_its_place(folder: Path) -> None:
    runner = PageRunner(folder, in_copy=False)

    def block(language: str, text: str, mark: str = "", words: str = "") -> Block:
        return Block("page.md", 7, language, "", text, mark, words)

    runner.run(block("sh", "gradprobe check nothing --baseline none", "exit code", "2"))
    for wrong in (
        block("sh", "gradprobe check nothing --baseline none"),
        block("text", "something else", "output"),
        block("console", "$ gradprobe --version\ngradprobe 9.9"),
        block("console", "$ gradprobe --version\n…\n$ echo $?\n1\n"),
        block("cobol", "STOP RUN."),
    ):
        with pytest.raises(AssertionError, match=r"page\.md:7"):
            runner.run(wrong)
    with pytest.raises(AssertionError, match="only gradprobe"):
        runner.run(block("sh", "rm -r /"))


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("a  1\nb …", "a 1\nb 2.5\n", True),
        ("…\nend", "many\nlines\nend", True),
        ("a 1", "a 12", False),
        ("a …", "b 1", False),
    ],
)
def test_shown_output_is_compared_with_what_is_printed(
    expected: str, printed: str, same: bool
) -> None:
    assert matches(expected, printed) is same
