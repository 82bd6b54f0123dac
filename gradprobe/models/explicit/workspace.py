"""Memory that is kept from one training step to the next.

The operating system hands out a large new block page by page: to fill 50 MB of it for the first
time takes several times as long as to fill it again.  A workspace lends its blocks out and takes
each back when the last tensor that lives in it is gone, not before: nothing in use is overwritten.
"""

from __future__ import annotations

import math
import threading
import weakref
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    Block = np.ndarray[tuple[int], np.dtype[np.uint8]]

ALIGNMENT = 64
"""Bytes; what torch's own tensors start at a multiple of."""

WORTH_KEEPING = 1 << 20
"""Bytes of the smallest block that is kept; the allocator itself keeps smaller ones."""

KEPT_FOR = 32
"""A free block is let go when so many others have been lent out since it was last used."""


class Workspace:
    """Lends out uninitialised tensors and reuses their memory once they are gone.

    A block comes back when every tensor that shares its storage has been freed: views, detached
    tensors and what autograd saved included.  For small tensors, and on devices other than the CPU,
    whose allocators keep memory themselves, `empty` is ``torch.empty``.  A copy of a workspace is a
    new, empty one.

    Examples
    --------
    >>> workspace = Workspace()
    >>> first = workspace.empty((1024, 1024), torch.zeros(1))
    >>> address, row = first.data_ptr(), first[3]
    >>> del first
    >>> other = workspace.empty((1024, 1024), torch.zeros(1))
    >>> other.data_ptr() == address
    False
    >>> del row
    >>> workspace.empty((1024, 1024), torch.zeros(1)).data_ptr() == address
    True
    """

    def __init__(self) -> None:
        self._free: list[tuple[int, Block]] = []
        self._lent = 0
        self._lock = threading.Lock()

    def empty(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """Return an uninitialised, contiguous tensor with the dtype and device of `like`."""
        size = math.prod(shape) * like.element_size()
        if like.device.type != "cpu" or size < WORTH_KEEPING:
            return like.new_empty(shape)
        return self._lend(self._block(size)).view(like.dtype).view(*shape)

    @property
    def free_bytes(self) -> int:
        """The memory that is kept and not lent out."""
        return sum(block.size - ALIGNMENT for _, block in list(self._free))

    def _block(self, size: int) -> Block:
        """Take a free block, or get a new one; let go of those that were not used for long."""
        found = None
        with self._lock:
            self._lent += 1
            # A block may come back at any moment, also in between: into the new list.
            free, self._free = self._free, []
            for last_used, block in free:
                if found is None and block.size == size + ALIGNMENT:
                    found = block
                elif self._lent - last_used <= KEPT_FOR:
                    self._free.append((last_used, block))
        # NumPy asks the operating system for large pages, which are faster to come by.
        return np.empty(size + ALIGNMENT, np.uint8) if found is None else found

    def _lend(self, block: Block) -> Tensor:
        # The storage of the tensor that is lent holds the array, and with it ends the array's life.
        start = -block.ctypes.data % ALIGNMENT
        array = block[start : start + block.size - ALIGNMENT]
        finalizer = weakref.finalize(array, _take_back, weakref.ref(self), block)
        finalizer.atexit = False
        return torch.from_numpy(array)

    def __deepcopy__(self, memo: object) -> Workspace:
        return Workspace()

    def __reduce__(self) -> tuple[type[Workspace], tuple[()]]:
        return Workspace, ()


def _take_back(owner: weakref.ref[Workspace], block: Block) -> None:
    workspace = owner()
    if workspace is not None:
        workspace._free.append((workspace._lent, block))
