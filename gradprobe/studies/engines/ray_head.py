"""The head of a Ray cluster on this machine: a script that `gradprobe.studies.engines.ray` starts.

It writes the cluster's address, and ends the cluster when its standard input ends: also when the
process that started it was killed.  It imports nothing of gradprobe, so that it runs where that is
not installed, and only put on a path.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys

WITHOUT_IDLE_WORKERS = {"RAY_prestart_worker_first_driver": "0"}
"""This process computes nothing; the one that does is given its workers when it asks for them."""


def main() -> None:
    """Start a cluster, and end it when standard input ends."""
    os.environ.update(WITHOUT_IDLE_WORKERS)
    ray = importlib.import_module("ray")
    ray.init(
        address="local", include_dashboard=False, log_to_driver=False, logging_level="CRITICAL"
    )
    for number in (signal.SIGINT, signal.SIGTERM):  # whoever has started this decides
        signal.signal(number, lambda number, frame: None)
    print(ray.get_runtime_context().gcs_address, flush=True)
    sys.stdin.buffer.read()
    ray.shutdown()


if __name__ == "__main__":
    main()
