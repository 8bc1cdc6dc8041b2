"""Several runs on one GPU: which fit into its memory.

A small network leaves most of a GPU idle, so several runs share it, each in its own process. How much memory a row needs is
measured: a run reports the most that it has reserved. Until the first run of a row has finished, twice this counts, and before
its first report, the whole GPU. A GPU without another run takes any run.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence

from harness.outcome import Result
from harness.spec import RowSpec, RunSpec

MOST = 8
"""Largest number of runs on one GPU. Their processes take turns, unless NVIDIA's Multi-Process Service (MPS) runs."""
CONTEXT = 700 * 2**20
"""Bytes of a GPU that a process needs besides the memory that PyTorch reserves: the CUDA context, and kernels of libraries."""
GROWTH = 1.1
"""Factor of the measured memory, because the memory of another run of the row may be in other pieces."""


class Replicas:
    """The runs on the GPUs of this machine. Worker ``slot`` is on GPU ``slot % GPUs``, as :class:`Surroundings` has it.

    Args:
        sizes: free bytes of each GPU before the first run; empty: any run fits.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = sizes
        self._again: set[str] = set()
        """Ids of the runs that are done again."""
        self._on: dict[int, RowSpec] = {}
        self._measured: dict[str, int] = {}
        self._finished: set[str] = set()

    def fits(self, row: RowSpec, slot: int) -> bool:
        """Return whether the worker ``slot`` may begin a run of this row."""
        if not self._sizes:
            return True
        count = len(self._sizes)
        others = [other for place, other in self._on.items() if place % count == slot % count and place != slot]
        busy = [need for other in others if (need := self.need(other))]
        return not busy or not self.need(row) or sum(busy) + self.need(row) <= self._sizes[slot % count]

    def need(self, row: RowSpec) -> int:
        """Return the bytes that a run of this row needs."""
        if row.device == "cpu" or not row.trained_on:
            return 0
        if row.identity not in self._measured:
            return max(self._sizes)
        factor = GROWTH if row.identity in self._finished else 2.0
        return CONTEXT + int(factor * self._measured[row.identity])

    def begin(self, row: RowSpec, slot: int) -> None:
        """Note that a worker begins runs of this row."""
        self._on[slot] = row

    def end(self, slot: int) -> None:
        """Note that a worker is idle or gone."""
        self._on.pop(slot, None)

    def measure(self, row: RowSpec, reserved: int, finished: bool) -> None:
        """Note the most bytes that a run of this row has reserved so far, and whether the run has finished."""
        if reserved:
            self._measured[row.identity] = max(reserved, self._measured.get(row.identity, 0))
            if finished:
                self._finished.add(row.identity)

    def crowded(self, row: RowSpec, run: RunSpec, result: Result) -> bool:
        """Return whether a run is to be done again because its GPU had no memory left. Its row then needs a whole GPU."""
        if not self._sizes or "out of memory" not in result.error or run.run_id in self._again:
            return False
        self._again.add(run.run_id)
        self._measured[row.identity] = max(self._sizes)
        return True


def shared(gpus: Sequence[str], cores: int) -> tuple[tuple[int, ...], int]:
    """Return the free bytes of the GPUs, and the number of workers that share them. Print how many runs a GPU has at most.

    Each run keeps a core busy. If ``nvidia-smi`` does not tell the memory, each GPU has one run.
    """
    count = len(gpus)
    room = tuple(free_bytes(gpus))
    most = max(1, min(MOST, cores // count)) if room else 1
    each = f"up to {most} runs on each, as many as fit" if room else "one run on each; nvidia-smi does not tell their memory"
    print(f"{count} GPU{'s' * (count != 1)}: {each}; --workers starts another number", file=sys.stderr)
    return room, count * most


def free_bytes(names: Sequence[str], ask: Callable[[list[str]], str] | None = None) -> list[int]:
    """Return the free bytes of GPUs with these names; an empty list if ``nvidia-smi`` does not tell.

    Args:
        ask: runs a command and returns what it prints.
    """
    query = ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    try:
        return [int((ask or _output)([*query, f"--id={name}"])) * 2**20 for name in names]
    except (OSError, subprocess.SubprocessError, ValueError):
        return []


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
