"""Measure what running a study costs besides its cells, and write the table of README.md.

    python reports/robustness/figures.py                  # measure all, write the table
    python reports/robustness/figures.py cells workers    # measure these, write the table
    python reports/robustness/figures.py --table          # write the table of what is measured

``cells``: 10,000 cells that compute nothing; ``workers``: a study of small trainings by one worker
and by two, which needs two idle cores; ``ray``: 200 cells of 0.05 s by the local engine and by Ray.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kill_study import RECORD, recorded, summary

from gradprobe.studies.engines.base import EngineOptions
from gradprobe.studies.engines.local import usable_cores
from gradprobe.studies.monitor import Monitor
from gradprobe.studies.reading import load_study, parse_study
from gradprobe.studies.running import run_study

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradprobe.studies.grid import Cell
    from gradprobe.studies.outcome import Outcome

HERE = Path(__file__).parent
FIGURES = HERE / "figures.json"
README = HERE / "README.md"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"
MANY = 10_000

STUDY = """\
name = "trivial"
question = "What does running a study cost besides its cells?"
[[tasks]]
name = "digits_rows"
[grid]
seeds = {seeds}
lengths = [8]
sequences = 1
[[models]]
label = "GRU"
name = "gru"
hidden_size = 2
[probes.gradient_norm]
"""
CELLS = '''\
"""Cells that compute nothing, or sleep."""
import time
from gradprobe import frame
from gradprobe.studies.outcome import Computed, Rehearsal

def nothing(specification, workplace):
    return Computed(frame.rows(step=[0, 1, 2], value=[float(specification["seed"]), 0.5, 1.0]))

def short(specification, workplace):
    time.sleep(0.05)
    return nothing(specification, workplace)

def rehearse(specification, with_probes):
    return Rehearsal({}, 1.0)
'''
LOOKS = {
    "status": "from gradprobe.studies.status import study_status as look",
    "load": "from gradprobe import load as look",
}


class Memory(Monitor):
    """Notes how much memory this process has when cells end."""

    def __init__(self) -> None:
        self.ended_cells = 0
        self.mebibytes: dict[int, float] = {}

    def ended(self, cell: Cell, outcome: Outcome) -> None:
        """Note the memory at every thousandth cell."""
        self.ended_cells += 1
        if self.ended_cells % 1000 == 0:
            self.mebibytes[self.ended_cells] = resident_mebibytes()


def resident_mebibytes() -> float:
    """Return how much memory this process has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure_cells(folder: Path) -> dict[str, Any]:
    """Return seconds and memory of a run of 10,000 cells that compute nothing.

    Parameters
    ----------
    folder
        For the results.
    """
    study = parse_study(STUDY.format(seeds=list(range(MANY))), "trivial.toml")
    memory, clock, work = Memory(), time.perf_counter(), os.times()
    run_study(
        study,
        folder / "trivial",
        workers=2,
        monitor=memory,
        compute="trivial_cells:nothing",
        rehearse="trivial_cells:rehearse",
    )
    seconds, after = time.perf_counter() - clock, os.times()
    found: dict[str, Any] = {
        "seconds": seconds,
        "milliseconds per cell": 1e3 * seconds / MANY,
        "milliseconds of the driver's processor per cell": 1e3 * (after.user - work.user) / MANY,
        "MiB at 1,000 cells": memory.mebibytes[1000],
        "MiB at 10,000 cells": memory.mebibytes[MANY],
    }
    for name, statement in LOOKS.items():
        found[f"seconds of {name}"] = _seconds_of(statement, folder / "trivial")
    return found


def _seconds_of(statement: str, folder: Path) -> dict[str, float]:
    """Return seconds of a call in a fresh process, and of the whole process."""
    code = (
        f"import time, sys\n{statement}\nclock = time.perf_counter()\nlook(sys.argv[1])\n"
        "print(time.perf_counter() - clock)"
    )
    clock = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    return {"call": float(done.stdout), "process": time.perf_counter() - clock}


def measure_workers(folder: Path) -> dict[str, Any]:
    """Return how much faster two workers are than one on a study of small trainings.

    Parameters
    ----------
    folder
        For the results.
    """
    study = load_study(HERE / "small_trainings.toml")
    seconds = {}
    for workers in (1, 2):
        clock = time.perf_counter()
        run_study(study, folder / f"workers-{workers}", workers=workers)
        seconds[workers] = time.perf_counter() - clock
    return {
        "seconds with one": seconds[1],
        "seconds with two": seconds[2],
        "times faster": seconds[1] / seconds[2],
    }


def measure_ray(folder: Path) -> dict[str, Any]:
    """Return what Ray adds to 200 cells of 0.05 s, with and without the start of the cluster.

    Parameters
    ----------
    folder
        For the results.
    """
    seconds = {}
    for name in ("local", "ray"):
        first, last = _First(), 0.0
        study = parse_study(STUDY.format(seeds=list(range(200))), "trivial.toml")
        clock = time.perf_counter()
        run_study(
            study,
            folder / name,
            workers=2,
            monitor=first,
            engine=EngineOptions(name),
            compute="trivial_cells:short",
            rehearse="trivial_cells:rehearse",
        )
        last = time.perf_counter()
        seconds[name] = {"whole": last - clock, "cells": first.last - first.begun_at}
    extra = seconds["ray"]["cells"] - seconds["local"]["cells"]
    return {
        "local": seconds["local"],
        "ray": seconds["ray"],
        "milliseconds added per cell": 1e3 * extra / 200,
    }


class _First(Monitor):
    """Remembers when the first cell ended, and the last one."""

    begun_at = last = 0.0

    def ended(self, cell: Cell, outcome: Outcome) -> None:
        self.last = time.perf_counter()
        self.begun_at = self.begun_at or self.last


MEASURES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "cells": measure_cells,
    "workers": measure_workers,
    "ray": measure_ray,
}


def measure(name: str) -> dict[str, Any]:
    """Return one group of figures, and how busy the machine was.

    Parameters
    ----------
    name
        Of `MEASURES`.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "trivial_cells.py").write_text(CELLS, encoding="utf-8")
        sys.path.insert(0, temporary)
        os.environ["PYTHONPATH"] = os.pathsep.join([temporary, os.environ.get("PYTHONPATH", "")])
        load_before = os.getloadavg()[0]
        found = MEASURES[name](folder)
        sys.path.remove(temporary)
    return {
        **found,
        "machine": f"{usable_cores()} cores, Python {platform.python_version()}",
        "load average before and after": [round(load_before, 1), round(os.getloadavg()[0], 1)],
    }


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return what is wanted, what was measured, and how busy the machine was then.

    Parameters
    ----------
    figures
        Of `FIGURES`.
    """
    table: list[tuple[str, str, str, str]] = []
    if RECORD.exists():
        table += [(*row, "") for row in _kills(recorded(RECORD))]
    for name, wanted in (("cells", _cells), ("workers", _workers), ("ray", _ray)):
        if name in figures:
            busy = " to ".join(map(str, figures[name]["load average before and after"]))
            table += [(*row, busy) for row in wanted(figures[name])]
    return table


def _kills(rounds: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    found = summary(rounds)
    kinds = f"{found['of the group']} of the whole group, {found['of the driver']} of the "
    kinds += f"driver, {found['of a worker']} of a worker"
    commits = dict.fromkeys(one["commit"] for one in rounds)
    table = [("kills of a 60-cell study", "200", f"{found['kills']} ({kinds})")]
    table += [
        (f"of them at commit {commit}", "", str(summary(of_commit)["kills"]))
        for commit in commits
        if (of_commit := [one for one in rounds if one["commit"] == commit])
    ]
    return [
        *table,
        ("finished cells lost", "0", str(found["finished cells lost"])),
        ("finished cells computed twice", "0", str(found["finished cells computed twice"])),
        ("tables that differ in any value", "0", str(found["tables that differ"])),
    ]


def _cells(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    memory = f"{found['MiB at 1,000 cells']:.0f}, {found['MiB at 10,000 cells']:.0f} MiB"
    status, load = found["seconds of status"], found["seconds of load"]
    driver = found["milliseconds of the driver's processor per cell"]
    return [
        ("a cell of 10,000 that compute nothing, two workers", "≤ 5 ms",
         f"{found['milliseconds per cell']:.1f} ms; {driver:.1f} ms of the driver's processor"),
        ("memory of the driver after 1,000 and 10,000 cells", "flat", memory),
        ("`status` of 10,000 cells", "< 2 s",
         f"{status['call']:.2f} s, {status['process']:.2f} s with its start"),
        ("`load` of 10,000 cells", "< 2 s",
         f"{load['call']:.2f} s, {load['process']:.2f} s with its start"),
    ]  # fmt: skip


def _workers(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    seconds = f"{found['seconds with one']:.0f} s, {found['seconds with two']:.0f} s"
    faster = f"{found['times faster']:.2f} × ({seconds})"
    return [("two workers against one, small trainings", "≥ 1.7 ×", faster)]


def _ray(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    whole = f"{found['local']['whole']:.1f} s, {found['ray']['whole']:.1f} s with their starts"
    extra = f"{found['milliseconds added per cell']:.0f} ms per cell ({whole})"
    return [("what Ray adds to 200 cells of 0.05 s", "", extra)]


def write_table(figures: dict[str, Any]) -> None:
    """Replace the table of README.md.

    Parameters
    ----------
    figures
        Of `FIGURES`.
    """
    lines = ["| what | wanted | measured | load of the machine |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows(figures)]
    text = README.read_text(encoding="utf-8")
    before, after = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    README.write_text(before + "\n".join(lines) + "\n" + after, encoding="utf-8")


def main() -> None:
    """Measure what is asked for, keep it, and write the table."""
    parser = argparse.ArgumentParser(description="Measure what running a study costs.")
    parser.add_argument("names", nargs="*", metavar="cells|workers|ray")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    names = [] if arguments.table else arguments.names or list(MEASURES)
    if unknown := set(names) - set(MEASURES):
        parser.error(f"choose from {', '.join(MEASURES)}; got {', '.join(unknown)}")
    figures = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    for name in names:
        figures[name] = measure(name)
        FIGURES.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    write_table(figures)


if __name__ == "__main__":
    main()
