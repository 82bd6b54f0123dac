"""Files of a user's own cells: what is read is what is run, or refused with the reason."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from own_cells import one_model

from gradprobe.errors import ArgumentError, StudyFileError
from gradprobe.models.cell_files import read_cell_files, sources_of
from gradprobe.models.importing import importable, imported

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_imported_is_what_was_read_and_it_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "mycells.py"
    path.write_text("count = 0\ndef Cell(): pass\n")
    files = read_cell_files([path])
    path.write_text("raise SystemExit")
    mine = type(sys)("mycells")
    sys.modules["mycells"] = mine
    try:
        source = sources_of("mycells", files)
        with importable(files):
            first = imported("mycells:Cell", source)
            assert sys.modules["mycells"].__file__ == "mycells.py"
        with importable(files):
            assert imported("mycells:Cell", source) is not first
        assert sys.modules["mycells"] is mine
    finally:
        del sys.modules["mycells"]
    with pytest.raises(ArgumentError, match="is not given here"):
        imported("mycells:Cell", source)
    with importable(files), pytest.raises(ArgumentError, match="is not given here"):
        imported("mycells:Cell", {"mycells.py": "0" * 64})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("missing.py", None, "missing.py: cannot be read: No such file or directory"),
        ("mycells.txt", "", "is Python and ends in .py"),
        ("my-cells.py", "", "cannot be imported under this name"),
        ("random.py", "", "is called like the installed module 'random'"),
        ("numpy.py", "", "is called like the installed module 'numpy'"),
        ("mycells.py", "x = 1\ndef f(:\n", "mycells.py: line 2: is not valid Python"),
        ("mycells.py", "x = '\0'", "mycells.py: .*not valid Python"),
        ("mycells.py", "import parts", r"imports parts, .* give that one too"),
        ("mycells.py", "import package.inner", "imports package, which is a folder beside it"),
    ],
)
def test_a_file_that_cannot_be_cells_is_refused_before_anything_runs(
    tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    (tmp_path / "parts.py").write_text("")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ArgumentError, match=message):
        read_cell_files([tmp_path / name])


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for folder in "ab":
        (tmp_path / folder / "mycells.py").write_text("")
    with pytest.raises(ArgumentError, match="are both imported as mycells"):
        read_cell_files([tmp_path / "a" / "mycells.py", tmp_path / "b" / "mycells.py"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mycells.py:Plain", "did you mean 'mycells:Plain'?"),
        ("mycells:", "a cell of your own is named MODULE:CELL"),
        (":Plain", "a cell of your own is named MODULE:CELL"),
        ("os.path:join", "a cell of your own is named MODULE:CELL"),
    ],
)
def test_a_malformed_name_is_a_mistake_of_the_study_file(name: str, message: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        one_model(name)
    assert message in str(caught.value)
    assert "models[0].name (Mine)" in str(caught.value)
