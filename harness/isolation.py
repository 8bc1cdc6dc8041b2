"""A process for every run: forked from a process that never ran a method. It ends with its parent, and its children with it.

This needs a system with ``fork`` (Linux, macOS). A forked process begins as an exact copy. Its changes of modules,
random generators, environment or working directory end with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
import zlib
from collections.abc import Callable
from typing import NoReturn

import numpy as np
import numpy.random

_HEADER = np.dtype([("length", "<u8"), ("checksum", "<u4")])
FAULT = 70
"""Exit code of a forked process in which the harness itself failed."""


class Mailbox:
    """A file without a name in which a forked process leaves one message for its parent. A partial message is no message."""

    def __init__(self) -> None:
        # in memory if the system supports it: then a full disk loses no result
        anonymous = os.fdopen(os.memfd_create("outcome"), "w+b", buffering=0) if hasattr(os, "memfd_create") else None
        self._file = anonymous or tempfile.TemporaryFile(buffering=0)  # noqa: SIM115

    def clear(self) -> None:
        """Forget the last message."""
        self._file.truncate(0)

    def put(self, message: bytes) -> None:
        """Leave ``message``. Raises OSError if the disk is full."""
        header = np.array((len(message), zlib.crc32(message)), _HEADER).tobytes()
        content = memoryview(header + message)
        offset = 0
        while offset < len(content):
            offset += os.pwrite(self._file.fileno(), content[offset:], offset)

    def get(self) -> bytes | None:
        """Return the message, or None if there is no complete one."""
        size = os.fstat(self._file.fileno()).st_size
        if size < _HEADER.itemsize:
            return None
        content = os.pread(self._file.fileno(), size, 0)
        header = np.frombuffer(content, _HEADER, 1)[0]
        message = content[_HEADER.itemsize :]
        return message if len(message) == header["length"] and zlib.crc32(message) == header["checksum"] else None

    def close(self) -> None:
        self._file.close()


class Board:
    """Memory that a worker shares with the processes it forks: the running process, its start, and its progress."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        self._numbers = memoryview(self._memory).cast("d")

    def clear(self) -> None:
        """Reset the board before a run: no process, not started, nothing done."""
        for index in range(5):
            self._numbers[index] = 0.0

    @property
    def process(self) -> int:
        """Return the id of the run's process, which leads its process group; 0 before it exists."""
        return int(self._numbers[0])

    @process.setter
    def process(self, pid: int) -> None:
        self._numbers[0] = pid

    def start(self) -> None:
        """Note that the search begins."""
        self._numbers[1] = time.monotonic()

    @property
    def running_s(self) -> float:
        """Return the real seconds since :meth:`start`; 0 before it."""
        return time.monotonic() - self._numbers[1] if self._numbers[1] else 0.0

    @property
    def share(self) -> float:
        """Return the share (0 to 1) of the run that is done, as the run reports it."""
        return self._numbers[2]

    @share.setter
    def share(self, share: float) -> None:
        self._numbers[2] = share

    @property
    def reserved(self) -> int:
        """Return the most bytes of a GPU that the run has reserved."""
        return int(self._numbers[4])

    @reserved.setter
    def reserved(self, reserved: int) -> None:
        self._numbers[4] = reserved

    @property
    def count(self) -> int:
        """Return the number of runs that have left an outcome."""
        return int(self._numbers[3])

    @count.setter
    def count(self, count: int) -> None:
        self._numbers[3] = count


def fork(body: Callable[[], None], *, leads_group: bool = False) -> int:
    """Run ``body`` in a forked process and return its id. The process ends when ``body`` returns, or when its parent dies.

    Args:
        leads_group: the process leads a process group, by which :func:`end_group` ends all processes that it started.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # a full disk or a closed stream must not prevent the run
            stream.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        if leads_group:
            with contextlib.suppress(OSError):  # the child makes the same call: either may be first
                os.setpgid(pid, pid)
        return pid
    _child(body, parent, leads_group)


def _child(body: Callable[[], None], parent: int, leads_group: bool) -> NoReturn:
    code = FAULT
    me = os.getpid()
    try:
        if leads_group:
            with contextlib.suppress(OSError):
                os.setpgid(0, 0)
        _die_with(parent)
        body()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        if os.getpid() != me:  # a child that a method forked came back here
            os._exit(0)
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def end_group(leader: int) -> None:
    """Kill every process of the group that ``leader`` led."""
    if leader > 1:  # 0 would be the caller's own group
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


def default_signals() -> None:
    """Reset signals that this process inherited or an import changed. Waiting for children and the wall limit need them."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM, signal.SIGCHLD, signal.SIGINT, signal.SIGTERM})


def seed_globals(seed: int) -> None:
    """Seed the global generators, so that a method that breaks the contract and draws from them is still repeatable."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)


def _die_with(parent: int) -> None:
    """End this process when ``parent`` dies: by the kernel on Linux, elsewhere by a thread that looks every second."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the call above
            os._exit(1)
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


_PR_SET_PDEATHSIG = 1
_prctl = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None
