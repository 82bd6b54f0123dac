"""Independent random streams from one seed."""

from __future__ import annotations

import hashlib


def stream_seed(seed: int, stream: str) -> int:
    """Return the seed of one named random stream, such as a model's initial values.

    It is the first four bytes, big end first, of the SHA-256 of ``"gradprobe/{stream}/{seed}"``
    (torch's generator on the CPU reads 32 bits).  The streams of one seed are independent of each
    other, and none depends on the model: at one seed, every model meets the same inputs in the
    same order.

    Parameters
    ----------
    seed
        The seed that a study or a caller states.
    stream
        What is drawn: ``"inputs"``, ``"model"`` and ``"probes"`` for every cell; ``"readout"``,
        ``"order"``, ``"task"`` and ``"test"`` for a training besides.

    Examples
    --------
    >>> stream_seed(0, "inputs")
    1760929745
    >>> stream_seed(0, "inputs") == stream_seed(0, "model")
    False
    """
    digest = hashlib.sha256(f"gradprobe/{stream}/{seed}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
