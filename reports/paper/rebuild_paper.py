"""Export stored results for a paper: ``python reports/paper/rebuild_paper.py [RESULTS]``.

Reads the folders of the studies below in RESULTS, ``results`` by default, and writes beside this
file, for each of those that are there: the report ``STUDY.html``; and for those that train
``STUDY.csv``, a row for each model on each task, ``STUDY_trainings.csv``, one for each training,
``STUDY_curves.csv``, what the trainings recorded, and ``STUDY.md``.  ``README.md`` joins them.
Nothing is computed again, and nothing is written of a study that is not there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gradprobe.errors import StoreError
from gradprobe.reports import exporting, write_report
from gradprobe.reports.trainings import trainings
from gradprobe.studies import read_results

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from gradprobe.reports.contract import Results

HERE = Path(os.path.relpath(Path(__file__).parent))  # as the pages print it: of no one machine
STUDIES = ("table_1", "table_2", "digits_accuracy", "jacobian_eigenvalues", "dynamics")

INTRODUCTION = """# The paper's tables and figures

“AntisymmetricRNN: A Dynamical System View on Recurrent Neural Networks” (Chang, Chen, Haber, Chi,
ICLR 2019), its tables and figures, computed with this project.  Every number below comes from a
stored result; `python reports/paper/rebuild_paper.py` writes this folder from them, and
`gradprobe run studies/STUDY.toml` computes them.  *Difference* is ours less the published value, in
percentage points; *iterations* are those that were done of those that were published.  A row below
the full budget says so, and nothing is extrapolated.
"""


def main() -> None:
    """Read what there is, and write the folder."""
    source = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
    found = {}
    for name in STUDIES:
        try:
            found[name] = read_results(source / name)
            write_report(source / name, HERE / f"{name}.html")
        except StoreError as error:
            found.pop(name, None)
            print(f"left out: {error}", file=sys.stderr)
    write_exports(found, HERE)


def write_exports(found: Mapping[str, Results], folder: Path) -> None:
    """Write the tables of each study, and the page that joins them."""
    for name, results in found.items():
        runs = trainings(results.table, results.cells)
        if len(runs):
            _csv(exporting.accuracy_numbers(results), folder / f"{name}.csv")
            _csv(runs, folder / f"{name}_trainings.csv")
            _csv(exporting.training_curves(results), folder / f"{name}_curves.csv")
            (folder / f"{name}.md").write_text(exporting.accuracy_markdown(results), "utf-8")
    (folder / "README.md").write_text(page(found, folder), "utf-8")


def page(found: Mapping[str, Results], folder: Path) -> str:
    """Return the README."""
    parts = [INTRODUCTION]
    for name in STUDIES:
        parts.append(_section(name, found[name], folder) if name in found else _absent(name))
    return "\n".join(parts)


def _section(name: str, results: Results, folder: Path) -> str:
    files = [name + end for end in (".html", ".csv", "_trainings.csv", "_curves.csv")]
    there = [f"[{file}]({file})" for file in files if (folder / file).exists()]
    trained = (results.table["probe"] == "training").any()
    parts = [
        f"## {name}: {exporting.escaped(results.study.question)}",
        exporting.accuracy_markdown(results).rstrip() if trained else "",
        exporting.missing_in_words(results),
        f"Files: {', '.join(there)}" if there else "",
        exporting.facts_in_words(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _absent(name: str) -> str:
    return f"## {name}\n\nNot computed yet: `gradprobe run studies/{name}.toml`.\n"


def _csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False, float_format="%.7g", lineterminator="\n")


if __name__ == "__main__":
    main()
