"""The cores, the memory and the GPU that this process may use."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import UserError

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def cores() -> int:
    """Return how many cores this process may use: its affinity (``taskset``, SLURM) and its cgroup's quota (containers)."""
    try:
        allowed = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not on every system
        allowed = os.cpu_count() or 1
    return max(1, min(allowed, math.ceil(min(_quotas(), default=allowed))))


def _quotas() -> list[float]:
    """Return the cores that the quotas of this process's cgroup and of the groups around it allow."""
    quotas = []
    try:
        lines = MEMBERSHIP.read_text().splitlines()
    except (OSError, ValueError):
        return []
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if not controllers:  # version 2
            group = CGROUPS / path.lstrip("/")
            quotas += [_numbers(folder / "cpu.max") for folder in (group, *group.parents) if folder.is_relative_to(CGROUPS)]
        elif "cpu" in controllers.split(","):
            for folder in (CGROUPS / "cpu" / path.lstrip("/"), CGROUPS / "cpu"):
                quotas.append(_numbers(folder / "cpu.cfs_quota_us") + _numbers(folder / "cpu.cfs_period_us"))
    return [pair[0] / pair[1] for pair in quotas if len(pair) == 2 and min(pair) > 0]


def _numbers(file: Path) -> list[float]:
    try:
        return [float(word) for word in file.read_text().split() if word != "max"]
    except (OSError, ValueError):
        return []


def gpus() -> tuple[str, ...]:
    """Return the GPUs that this process may use, by their names in ``CUDA_VISIBLE_DEVICES``. Imports torch.

    Raises:
        UserError: PyTorch has no GPU here.
    """
    import torch

    count = torch.cuda.device_count()  # does not start CUDA in this process
    if not count:
        raise UserError(f"--device cuda: PyTorch {torch.__version__} finds no CUDA device here; use --device cpu")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = map(str, range(count)) if visible is None else map(str.strip, visible.split(","))
    return tuple(names)[:count]


def reserved() -> int:
    """Return the most bytes of a GPU that PyTorch has reserved in this process; 0 if it has not started CUDA."""
    torch = sys.modules.get("torch")
    return int(torch.cuda.max_memory_reserved()) if torch is not None and torch.cuda.is_initialized() else 0


def free_memory() -> int:
    """Return the bytes that new processes can use without swapping; 0 if the system does not report it."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return 0


@contextmanager
def bounded_memory(limit: int) -> Iterator[None]:
    """Let this process, and each process that it starts in the body, allocate at most ``limit`` bytes.

    A process that allocates more gets a MemoryError. 0: no limit.
    """
    import resource

    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if limit:
        resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, hard))
