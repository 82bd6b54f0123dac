"""Run the benchmarks and write their table: ``python reports/benchmarks/rebuild_benchmarks.py``.

Writes ``benchmarks.csv`` and ``benchmarks.md`` beside this file.  Every ratio is one of processor
times in one thread, of functions timed in turn in the same run (`tests/helpers/interleaving.py`);
of three runs the one whose ratio is the median, pair by pair, as neighbours disturb now one and now
another.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from gradprobe.studies.provenance import provenance

if TYPE_CHECKING:
    from collections.abc import Hashable

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

RUNS = 3

INTRODUCTION = """# Speed

float64 in one thread, N = 128 units and T = 784 steps unless a line says otherwise.  *Ours* and
*other* are medians of processor seconds, measured in turn in the same run, the one of three whose
ratio is the median; *ratio* is ours over other; *bar* is the largest ratio that was aimed at, where
there was one.  `gemms alone` are the T matrix products without anything else: nothing that follows
all columns can be faster.

"""


def main() -> None:
    """Measure, and write the table."""
    table = median_of([rows(measured()) for _ in range(RUNS)])
    about = circumstances()
    table.assign(**about).to_csv(HERE / "benchmarks.csv", index=False)
    (HERE / "benchmarks.md").write_text(page(table, about), encoding="utf-8")


def measured() -> list[dict[str, Any]]:
    """Run the benchmarks in a process of their own; return what pytest-benchmark stored."""
    with tempfile.TemporaryDirectory() as folder:
        stored = Path(folder) / "benchmarks.json"
        options = ["--benchmark-enable", "--benchmark-only", f"--benchmark-json={stored}"]
        command = [sys.executable, "-m", "pytest", "-q", "tests/benchmarks", *options]
        environment = os.environ | ONE_THREAD
        subprocess.run(command, cwd=ROOT, env=environment, check=True)  # noqa: S603 - fixed
        benchmarks: list[dict[str, Any]] = json.loads(stored.read_text("utf-8"))["benchmarks"]
    return benchmarks


def rows(benchmarks: list[dict[str, Any]]) -> pd.DataFrame:
    """Return one row for each pair of ours and another."""
    pairs = []
    for benchmark in benchmarks:
        extra = benchmark["extra_info"]
        ours = extra["seconds"]["subject"]
        for other, seconds in extra["seconds"].items():
            if other != "subject":
                pair = {"task": task(benchmark), "other": words(other), "ours_s": ours}
                pairs.append(pair | {"other_s": seconds, "bar": extra["bars"].get(other)})
    table = pd.DataFrame(pairs)
    table["ratio"] = table["ours_s"] / table["other_s"]
    table["met"] = (table["ratio"] <= table["bar"]).where(table["bar"].notna())
    return table.sort_values(["task", "other"], ignore_index=True)


def median_of(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return for each pair the row with the median ratio.

    Examples
    --------
    >>> run = pd.DataFrame({"task": ["norms"], "other": ["jacrev"], "ratio": [2.0]})
    >>> median_of([run, run.assign(ratio=9.0), run.assign(ratio=1.0)])["ratio"].tolist()
    [2.0]
    """
    every = pd.concat(tables).sort_values("ratio")
    place = every.groupby(["task", "other"]).cumcount()
    return every[place == len(tables) // 2].sort_values(["task", "other"], ignore_index=True)


def task(benchmark: dict[str, Any]) -> str:
    """Return what was measured, with the file that measures it."""
    file = Path(benchmark["fullname"].partition("::")[0]).stem
    return f"{words(file)}: {words(benchmark['name'])}"


def words(name: str) -> str:
    """Return the name of a function as words.

    Examples
    --------
    >>> words("test_a_direction[norms_forwards]")
    'a direction: norms forwards'
    """
    bare = name.removeprefix("test_").removesuffix("]")
    return bare.replace("[", ": ").replace("_", " ")


def circumstances() -> dict[str, str]:
    """Return the machine, the versions and the number of threads."""
    known = provenance()
    machine, commit = known["machine"], known["commit"]
    versions = known["versions"] | {"clvlib": version("clvlib")}
    return {
        "machine": f"{machine['processor']}, {machine['cores']} cores, {machine['platform']}",
        "versions": ", ".join(f"{name} {number}" for name, number in versions.items()),
        "commit": f"{commit['hash']}{' with changes' * commit['modified']}" if commit else "none",
        "threads": "1",
    }


def page(table: pd.DataFrame, about: dict[str, str]) -> str:
    """Return the Markdown."""
    heading = (
        "| task | other | ours (s) | other (s) | ratio | bar | |\n|---|---|--:|--:|--:|--:|---|"
    )
    lines = [line(row) for row in table.to_dict("records")]
    ends = [f"- {name}: {value}" for name, value in about.items()]
    return INTRODUCTION + "\n".join([heading, *lines, "", *ends]) + "\n"


def line(row: dict[Hashable, Any]) -> str:
    """Return a row of the Markdown table."""
    judged = not pd.isna(row["bar"])
    bar = f"{row['bar']:g}" if judged else ""
    verdict = ("met" if row["met"] else "**missed**") if judged else ""
    times = f"{row['ours_s']:.3g} | {row['other_s']:.3g} | {row['ratio']:.2f}"
    return f"| {row['task']} | {row['other']} | {times} | {bar} | {verdict} |"


if __name__ == "__main__":
    main()
