"""Set-up of a process for many small calls on one thread."""

from __future__ import annotations

import ctypes

import torch


def use_one_thread() -> None:
    """Let torch use one thread, and let glibc keep freed memory.

    The next activation then reuses this memory, which saves page faults. With another C library the function only sets the
    number of threads.
    """
    torch.set_num_threads(1)
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 64 << 20)
    mallopt(mmap_threshold, 2**30)
