"""Cells that take no time, and the processes that run them: for tests of running a study.

The cells' function is written to a module of its own, which the worker processes import.  What it
does depends on the cell's seed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from patience import SECONDS_OF_PATIENCE

from gradprobe.studies.reading import parse_study
from gradprobe.studies.running import run_study

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gradprobe.studies.schema import Study

REFUSED, BUG, CRASH, ENDLESS, KILLED, SEGFAULT, MORTAL = 901, 902, 903, 904, 905, 906, 907

FAKE_CELLS = f"""\
import os, signal, time
from pathlib import Path
from gradprobe import frame
from gradprobe.errors import ArgumentError, CheckpointError
from gradprobe.studies.outcome import Computed, Rehearsal
from gradprobe.studies.workplace import BEGINS_ANEW, Notes

LOG = Path(os.environ["FAKE_CELLS_LOG"])

def note(specification):
    name = f"{{specification['model']['name']}}-{{specification['seed']}}-{{os.getpid()}}"
    (LOG / f"{{name}}-{{time.monotonic_ns()}}").touch()

def compute(specification, workplace):
    note(specification)
    seed = specification["seed"]
    if seed == {REFUSED}:
        raise ArgumentError("this seed is refused")
    if seed == {BUG}:
        raise ZeroDivisionError("a bug")
    if seed == {CRASH} and specification["model"]["name"] == "lstm":
        os._exit(1)
    if seed == {ENDLESS}:
        time.sleep(600)
    lstm = specification["model"]["name"] == "lstm"
    if seed == {KILLED} and lstm:
        os.kill(os.getpid(), signal.SIGKILL)
    if seed == {SEGFAULT} and lstm:
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGSEGV)
    if seed == {MORTAL} and lstm and len(list(LOG.glob("lstm-{MORTAL}-*"))) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    values = [float(seed), float(os.environ["OMP_NUM_THREADS"])]
    return Computed(frame.rows(step=[0, 1], value=values))

def slow(specification, workplace):
    time.sleep(0.15)
    return compute(specification, workplace)

def until_released(specification, workplace):
    # The first two cells wait for a file.
    note(specification)
    while specification["model"]["name"] == "lstm" and specification["seed"] < 2:
        if (LOG / "released").exists():
            break
        time.sleep(0.05)
    return Computed(frame.rows(step=[0, 1], value=[float(specification["seed"]), 1.0]))

def particular(specification, workplace):
    # A training that refuses any checkpoint, as one of an older commit would be.
    note(specification)
    if workplace.checkpoint.exists():
        if not workplace.begins_anew:
            raise CheckpointError("the checkpoint is of another training", BEGINS_ANEW)
        workplace.checkpoint.replace(workplace.aside)
    return Computed(frame.rows(value=1.0))

def deaf(specification, workplace):
    # A training that does not hear that it is to stop.
    note(specification)
    time.sleep(600)

def train(specification, workplace):
    # Counts to the number of iterations, and saves the count only when asked to stop.
    note(specification)
    notes, saved = Notes(workplace.note), workplace.checkpoint
    saved.parent.mkdir(exist_ok=True)
    count = int(saved.read_text()) if saved.exists() else 0
    total = specification["training"]["iterations"]
    while count < total:
        if workplace.stopping():
            saved.write_text(str(count))
            return None
        time.sleep(0.01)
        count += 1
        notes.take(count, total, "validation_accuracy", count / total)
    return Computed(frame.rows(value=float(count)), seconds=1000.0)

def rehearse(specification, with_probes):
    return Rehearsal({{}}, {{"vanilla": 1.0, "lstm": 4.0}}[specification["model"]["name"]])

def object_to(specification, with_probes):
    mistakes = {{"probes.gradient_norm": "no"}} if with_probes else {{}}
    if specification["model"]["name"] == "lstm":
        mistakes["model"] = "hidden_size is too small"
    return Rehearsal(mistakes, 1.0)

def die(specification, with_probes):
    os._exit(1)
"""

SCRIPT = """\
import sys
from gradprobe.studies.interruption import InterruptedStudyError
from gradprobe.studies.reading import load_study
from gradprobe.studies.running import run_study

if __name__ == "__main__":
    study, folder, compute = sys.argv[1:]
    try:
        run_study(load_study(study), folder, workers=2,
                  compute=f"fake_cells:{compute}", rehearse="fake_cells:rehearse")
    except InterruptedStudyError as error:
        print(error)
        sys.exit(error.exit_code)
"""


def computed(log: Path) -> list[str]:
    """Return ``model-seed`` of every computation, sorted."""
    return sorted("-".join(path.name.split("-")[:2]) for path in log.iterdir())


def with_seeds(study: Study, seeds: list[int]) -> Study:
    return parse_study(study.text.replace("seeds = [0, 1]", f"seeds = {seeds}"), "small.toml")


def run(study: Study, folder: Path, **options: Any) -> Any:
    chosen = {"compute": "fake_cells:compute", "rehearse": "fake_cells:rehearse", **options}
    return run_study(study, folder, **{"workers": 2, **chosen})


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS_OF_PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def start(
    tmp_path: Path, study: Study, compute: str = "slow", script: str = SCRIPT
) -> subprocess.Popen[str]:
    """Start a run in a process of its own, in a process group of its own."""
    (tmp_path / "run.py").write_text(script)
    (tmp_path / "small.toml").write_text(study.text)
    return subprocess.Popen(
        [sys.executable, "run.py", "small.toml", "results", compute],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def alive(log: Path) -> list[int]:
    """Return which of the worker processes are still there."""
    processes = {int(path.name.split("-")[2]) for path in log.iterdir()}
    return [process for process in processes if is_running(process)]


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
