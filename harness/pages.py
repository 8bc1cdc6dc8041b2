"""Write the page of a plan: at the end of its sweep, and from time to time while the sweep runs."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from harness import provenance
from harness.errors import UserError
from harness.isolation import end_group, fork
from harness.plan import Plan
from harness.stages import extend
from harness.store import Store

FIRST_S = 20.0
"""Seconds from the start of a sweep to its first page. A shorter sweep has its final page only."""
REST = 10
"""Time between two pages of a running sweep, as a multiple of the time that the last page took."""
LOOK_S = 2.0
"""Shortest time between two pages, in seconds, and between two looks for finished runs."""
LEAVE_S = 5.0
"""Seconds that a writer may take to stop."""


def write(plan: Plan, store: Store, to: Path, progress: str = "") -> list[Path]:
    """Write the page of everything in the store that belongs to the plan, and the scoreboard; return their files.

    Args:
        to: the folder of all pages; the page has a folder in it.
        progress: how far the sweep is, in words. Such a page has no figures and no scoreboard, which take most of the time.

    Raises:
        UserError: the folder cannot be written.
    """
    from harness import scoreboard
    from harness.frames import collect
    from reports import addresses, report

    evidence = collect(plan, store, provenance.gather())
    name = addresses.folder(evidence.page)
    try:
        files = report.write(to / name, evidence, progress=progress)
        files += [] if progress else [scoreboard.write(to, [store], evidence)]
        report.write_index(to)
        return files
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise UserError(f"cannot write {to / name}: {error.strerror}; --report-to DIR writes the page elsewhere") from None


@contextlib.contextmanager
def rewritten(plan: Plan, out: Path, to: Path) -> Iterator[Callable[[], None]]:
    """Write the page again and again while the body runs, in a separate process. Yield the function that stops it.

    Stop it before the final page is written. An error of a page is left to the final page.
    Enter before the store is opened and before a thread starts: SQLite and locks do not survive a fork.

    Args:
        out: the folder of the store.
        to: the folder of all pages.
    """
    with contextlib.ExitStack() as running:
        running.callback(_end, fork(partial(_keep_writing, plan, out, to), leads_group=True))
        yield running.close


def _keep_writing(plan: Plan, out: Path, to: Path) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a file that is half written is removed
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):  # the driver shows its progress there
        os.dup2(silence, stream)
    shown = 0
    with contextlib.suppress(KeyboardInterrupt):
        time.sleep(FIRST_S)
        while True:
            began = time.monotonic()
            with contextlib.suppress(Exception), Store(out, write=False) as store:
                extend(plan, store)
                done = plan.total - plan.todo
                if done > shown:
                    shown = done
                    progress = f"The sweep was running when this page was written: {done:,} of {plan.total:,} runs done."
                    write(plan, store, to, f"{progress} The final page has figures, too.")
            time.sleep(max(LOOK_S, REST * (time.monotonic() - began)))


def _end(writer: int) -> None:
    """Stop the writer; kill it after ``LEAVE_S``."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(writer, signal.SIGTERM)
    deadline = time.monotonic() + LEAVE_S
    while os.waitpid(writer, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            end_group(writer)
        time.sleep(0.01)
