"""Kill a study at random moments, over and over, and count what that costs.

    python reports/robustness/kill_study.py --kills 200

Sixty cells that take a few hundredths of a second each are computed by a run in a process group of
its own, which is killed (SIGKILL) at a random moment: the whole group, the driver alone, or one of
the workers.  After each kill the store is read; then the run is started again, until the study is
complete, and then a new round begins with an empty folder.  Counted are

- finished cells lost: read from the store after a kill, and not there after a later one;
- finished cells computed twice: begun once more after they were read as finished;
- rounds whose table differs from that of an undisturbed run in any value.

The counts are appended to ``kills.jsonl``, one line for each round with the commit that changed
``gradprobe/studies`` last, and the command goes on from those of the same commit: it can itself be
interrupted at any time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from gradprobe.errors import StoreError
from gradprobe.studies.store import load, read_results

HERE = Path(__file__).parent
RECORD = HERE / "kills.jsonl"
VICTIMS = ("group", "driver", "worker")
LONGEST_PAUSE = 2.0
"""Seconds, at most, between the first sign of a run and the blow."""
SECONDS_OF_A_RUN = 600

STUDY = """\
name = "killed"
question = "Does a study survive being killed?"
[[tasks]]
name = "digits_rows"
[grid]
seeds = [{seeds}]
lengths = [8]
sequences = 1
[[models]]
label = "GRU"
name = "gru"
hidden_size = 2
[probes.gradient_norm]
"""

CELLS = '''\
"""Cells whose numbers follow from the seed alone; each notes when it is begun."""
import os, random, time
from pathlib import Path
from gradprobe import frame
from gradprobe.studies.outcome import Computed, Rehearsal

def compute(specification, workplace):
    seed = specification["seed"]
    begun = Path(os.environ["KILLS_LOG"], f"{seed}-{os.getpid()}-{time.time_ns()}")
    begun.touch()
    time.sleep(float(os.environ["KILLS_SECONDS"]))
    numbers = random.Random(seed)
    values = [numbers.gauss(0.0, 1.0) for _ in range(50)]
    return Computed(frame.rows(step=list(range(50)), value=values))

def rehearse(specification, with_probes):
    return Rehearsal({}, 1.0)
'''

DRIVER = """\
import sys
from gradprobe.studies.reading import load_study
from gradprobe.studies.running import run_study

if __name__ == "__main__":
    summary = run_study(load_study("killed.toml"), "results", workers=2,
                        compute="killed_cells:compute", rehearse="killed_cells:rehearse")
    sys.exit(0 if summary.finished == summary.total else 3)
"""


class Round:
    """One folder of results, killed until it is complete.

    Parameters
    ----------
    folder
        Empty.
    cells
        How many the study has.
    seconds
        How long each sleeps.
    source
        Chooses whom to kill, and when.
    """

    def __init__(self, folder: Path, cells: int, seconds: float, source: random.Random) -> None:
        self._folder = folder
        self._source = source
        self._log = folder / "log"
        self._log.mkdir(parents=True)
        self.results = folder / "results"
        seeds = ", ".join(map(str, range(cells)))
        (folder / "killed.toml").write_text(STUDY.format(seeds=seeds), encoding="utf-8")
        (folder / "killed_cells.py").write_text(CELLS, encoding="utf-8")
        (folder / "run.py").write_text(DRIVER, encoding="utf-8")
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]),
            "KILLS_LOG": str(self._log),
            "KILLS_SECONDS": str(seconds),
        }
        self.kills: Counter[str] = Counter()
        self.lost = self.twice = 0
        self._finished: dict[int, int] = {}

    def complete(self, kills: int) -> None:
        """Run the study, killing it `kills` times if it takes that long.

        Parameters
        ----------
        kills
            At most.
        """
        while self.kills.total() < kills and self._run_and_kill():
            self._look()
        while self._start().wait(SECONDS_OF_A_RUN) != 0:
            self._look()
        self._look()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "run.py"],
            cwd=self._folder,
            env=self._environment,
            start_new_session=True,
            stderr=subprocess.DEVNULL,
        )

    def _run_and_kill(self) -> bool:
        """Start the run and kill a part of it; return False if it has ended before the blow."""
        begun, process = self._begun().total(), self._start()
        whole = self._source.random() < 0.2
        while self._begun().total() == begun and process.poll() is None and not whole:
            time.sleep(0.01)  # until it is at work; one in five is killed before, while it starts
        time.sleep(self._source.uniform(0.0, LONGEST_PAUSE))
        if process.poll() is not None:
            return False
        victim = self._source.choice(VICTIMS)
        if not self._kill(victim, process):
            return True
        self.kills[victim] += 1
        if victim == "worker":  # the run itself goes on; it is killed, too, or ends
            time.sleep(self._source.uniform(0.0, LONGEST_PAUSE))
            if process.poll() is None:
                self._kill("group", process)
                self.kills["group"] += 1
        process.wait(SECONDS_OF_A_RUN)
        return True

    def _kill(self, victim: str, process: subprocess.Popen[bytes]) -> bool:
        if victim == "group":
            os.killpg(process.pid, signal.SIGKILL)
            return True
        if victim == "driver":
            process.kill()
            return True
        workers = [pid for pid in self._workers() if _parent(pid) == process.pid]
        if not workers:
            return False
        os.kill(self._source.choice(workers), signal.SIGKILL)
        return True

    def _begun(self) -> Counter[int]:
        return Counter(int(path.name.split("-")[0]) for path in self._log.iterdir())

    def _workers(self) -> set[int]:
        return {int(path.name.split("-")[1]) for path in self._log.iterdir()}

    def _look(self) -> None:
        """Read the store, and compare it with what was read before."""
        try:
            finished = {one.seed for one in read_results(self.results).cells}
        except StoreError as error:
            if "holds no results" not in str(error) or self._finished:
                raise
            return
        begun = self._begun()
        self.lost += len(set(self._finished) - finished)
        self.twice += sum(begun[seed] > count for seed, count in self._finished.items())
        self._finished = {seed: begun[seed] for seed in finished}


def _parent(process: int) -> int | None:
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[1])


def kill_studies(
    kills: int, cells: int, seconds: float, seed: int, record: Path | None
) -> list[dict[str, Any]]:
    """Return what `kills` kills cost, one entry for each round.

    Parameters
    ----------
    kills
        In all rounds together, those recorded before of the same commit included.
    cells
        Of the study.
    seconds
        That each cell sleeps.
    seed
        Of the random moments.
    record
        A file to append to and to go on from; None for none.
    """
    commit = studies_commit()
    before = recorded(record) if record is not None else []
    rounds = [one for one in before if one["commit"] == commit]
    with tempfile.TemporaryDirectory() as name:
        undisturbed = Round(Path(name, "undisturbed"), cells, seconds, random.Random())  # noqa: S311
        undisturbed.complete(kills=0)
        expected = load(undisturbed.results)
        while (done := sum(sum(one["kills"].values()) for one in rounds)) < kills:
            number = seed + len(before)
            trial = Round(Path(name, str(number)), cells, seconds, random.Random(number))  # noqa: S311
            trial.complete(kills - done)
            entry = {
                "commit": commit,
                "seed": number,
                "cells": cells,
                "kills": dict(trial.kills),
                "lost": trial.lost,
                "twice": trial.twice,
                "equal": _equal(load(trial.results), expected),
            }
            rounds.append(entry)
            before.append(entry)
            if record is not None:
                with record.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(entry) + "\n")
                print(json.dumps(entry), flush=True)
    return rounds


def recorded(record: Path) -> list[dict[str, Any]]:
    """Return the rounds of all commits that `record` holds.

    Parameters
    ----------
    record
        A file of lines of JSON; it need not be there.
    """
    if not record.exists():
        return []
    return [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]


def studies_commit() -> str:
    """Return the commit that last changed the studies' code, and whether files differ from it."""
    git, code = shutil.which("git"), str(HERE.parents[1] / "gradprobe" / "studies")
    if git is None:
        return "unknown"
    last, changed = (
        subprocess.run(  # noqa: S603 - fixed arguments
            [git, "-C", str(HERE), *arguments, "--", code],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
        for arguments in (["log", "-1", "--format=%h"], ["status", "--porcelain"])
    )
    return f"{last or 'unknown'}{', changed' if changed else ''}"


def _equal(table: pd.DataFrame, expected: pd.DataFrame) -> bool:
    try:
        pd.testing.assert_frame_equal(table, expected, check_exact=True)
    except AssertionError:
        return False
    return True


def summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the sums over all rounds.

    Parameters
    ----------
    rounds
        From `kill_studies`.
    """
    by_victim: Counter[str] = sum((Counter(one["kills"]) for one in rounds), Counter())
    return {
        "rounds": len(rounds),
        "kills": by_victim.total(),
        "of the group": by_victim["group"],
        "of the driver": by_victim["driver"],
        "of a worker": by_victim["worker"],
        "finished cells lost": sum(one["lost"] for one in rounds),
        "finished cells computed twice": sum(one["twice"] for one in rounds),
        "tables that differ": sum(not one["equal"] for one in rounds),
    }


def main() -> None:
    """Kill as often as asked for, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--cells", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rounds = kill_studies(
        arguments.kills, arguments.cells, arguments.seconds, arguments.seed, RECORD
    )
    for name, value in summary(rounds).items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
