"""The training of the units of a build that have no shard, in one process or several."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np

from benchmarks.digits_tables import native
from benchmarks.digits_tables.process import use_one_thread
from benchmarks.digits_tables.recipe import TableRecipe
from benchmarks.digits_tables.shards import RECIPES, Folder, Shard, Unit
from benchmarks.digits_tables.trainer import Trainer
from harness.cache import explain
from harness.errors import UserError

FIELDS = ("curve", "valid", "test", "valid_loss", "test_loss")


def train_unit(trainer: Trainer, unit: Unit) -> Shard:
    """Train every cell of a unit with every seed and return the records."""
    shape = len(unit.cells), len(unit.seeds)
    shard: Shard = {"cells": np.array(unit.cells, np.int32), "seeds": np.array(unit.seeds, np.int32)}
    for recipe in RECIPES:
        trained = trainer.train(unit.cells, unit.seeds, recipe)
        for field in FIELDS:
            values = getattr(trained, field)
            shard[f"{recipe}_{field}"] = values.reshape(*shape, *values.shape[1:])
    return shard


def prepare(recipe: TableRecipe) -> Trainer:
    """Return a trainer, with this process set up for many small calls."""
    use_one_thread()
    return Trainer(recipe)


_trainer: Trainer | None = None
"""The trainer of a worker process."""


def _begin(recipe: TableRecipe) -> None:
    """Start a worker process."""
    global _trainer
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        # a killed driver cannot stop its workers; without this thread they would wait for it forever
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    _trainer = prepare(recipe)


def _work(folder: Path, unit: Unit) -> str:
    assert _trainer is not None
    Folder(folder).write(unit, train_unit(_trainer, unit))
    return unit.name


def run(
    folder: Folder,
    wanted: Sequence[Unit],
    recipe: TableRecipe,
    workers: int = 1,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> None:
    """Train the units that have no shard.

    Args:
        folder: the folder of the build.
        wanted: the units of the build.
        recipe: the recipe of the table.
        workers: number of processes, one thread each.
        say: takes progress messages.

    Raises:
        UserError: a worker died, or the folder cannot be written.
    """
    pending = folder.pending(wanted)
    say(f"{len(wanted) - len(pending)} of {len(wanted)} shards are finished; {len(pending)} to train")
    if not pending:
        return
    say(f"training with {native.describe()}")
    began = time.monotonic()

    def report(done: int, name: str) -> None:
        spent = time.monotonic() - began
        left = spent / done * (len(pending) - done)
        say(f"{name}  {len(wanted) - len(pending) + done}/{len(wanted)}  {spent:.0f} s  eta {duration(left)}")

    try:
        if workers == 1:
            trainer = prepare(recipe)
            for done, unit in enumerate(pending, start=1):
                folder.write(unit, train_unit(trainer, unit))
                report(done, unit.name)
            return
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        spawn = multiprocessing.get_context("spawn")  # a fork would not copy torch's threads, but the state of their locks
        with ProcessPoolExecutor(min(workers, len(pending)), spawn, _begin, (recipe,)) as pool:
            futures = [pool.submit(_work, folder.path, unit) for unit in pending]
            try:
                for done, future in enumerate(as_completed(futures), start=1):
                    report(done, future.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    except BrokenProcessPool:
        raise UserError("a worker process died (out of memory?); its shard is lost; repeat the command to continue") from None
    except OSError as error:
        raise explain(error, "write a shard") from None


def duration(seconds: float) -> str:
    """Return seconds as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
