"""Building the records of a table: units of work, shards on disk, worker processes.

A unit is a block of cells with a group of seeds; its records become one shard, written whole under a name that carries its
checksum. What lies in the folder is done; a build that was interrupted, even by kill -9, goes on with the units that have no
shard, and the shards are the same whatever the number of workers and wherever a build stopped.
"""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from harness.cache import atomic, explain, sha256
from harness.errors import UserError

if TYPE_CHECKING:
    from benchmarks.training.digits import Settings, Task

CELLS_PER_SHARD = 32
RECIPES = ("short", "long")
FIELDS = ("curve", "valid", "test", "valid_loss", "test_loss")
TOP_SHARE = 0.1
EXTRA_SEEDS = 2

_SHARD = re.compile(r"(main|top)-(\d{4})-([0-9a-f]{16})\.npz")

Shard = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Unit:
    """A block of cells (by number) to train with each of some seeds."""

    name: str
    cells: tuple[int, ...]
    seeds: tuple[int, ...]


def units(kind: str, cells: Sequence[int], seeds: Sequence[int]) -> list[Unit]:
    """The units of a pass: ``main`` over all unique cells, ``top`` over the best of them."""
    blocks = range(0, len(cells), CELLS_PER_SHARD)
    return [
        Unit(f"{kind}-{number:04}", tuple(cells[start : start + CELLS_PER_SHARD]), tuple(seeds))
        for number, start in enumerate(blocks)
    ]


class Folder:
    """A build's folder: ``build.json`` with what it builds, and the shards."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def clock(self) -> Path:
        """Where the clock that belongs to the records is kept."""
        return self.path / "clock.json"

    @property
    def plan(self) -> dict[str, Any]:
        """The content of ``build.json``. Raises :class:`UserError` where there is none."""
        try:
            return dict(json.loads((self.path / "build.json").read_text()))
        except FileNotFoundError:
            raise UserError(f"{self.path} holds no build (no build.json); start one with: build --out {self.path}") from None
        except ValueError:
            raise UserError(f"{self.path / 'build.json'} is damaged; delete it and repeat the first build command") from None

    def settle(self, settings: Settings, seeds: int) -> None:
        """Notes what is built here. Raises :class:`UserError` where the folder holds something else."""
        wanted = {"settings": asdict(settings), "digest": settings.digest, "seeds": seeds, "cells_per_shard": CELLS_PER_SHARD}
        if (self.path / "build.json").exists():
            for key, value in self.plan.items():
                if wanted.get(key) != value:
                    raise UserError(f"{self.path} was begun with {key} = {value}, not {wanted.get(key)}; take another --out")
            return
        try:
            with atomic(self.path / "build.json") as temporary:
                temporary.write_text(json.dumps(wanted, indent=1) + "\n")
        except OSError as error:
            raise explain(error, "start a build") from None

    def shards(self) -> dict[str, Path]:
        """The shards that are there, by the unit's name."""
        found = {}
        for path in sorted(self.path.glob("*.npz")):
            if match := _SHARD.fullmatch(path.name):
                found[f"{match[1]}-{match[2]}"] = path
        return found

    def write(self, unit: Unit, shard: Shard) -> None:
        """Keeps the records of a unit, whole or not at all."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **shard)  # type: ignore[arg-type]
        content = buffer.getvalue()
        target = self.path / f"{unit.name}-{hashlib.sha256(content).hexdigest()[:16]}.npz"
        with atomic(target) as temporary, temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def read(self, path: Path) -> Shard:
        """The records in a shard. Raises :class:`UserError` that names it where its bytes are not those written."""
        match = _SHARD.fullmatch(path.name)
        if match is None or sha256(path)[:16] != match[3]:
            raise UserError(f"the shard {path} is damaged (its checksum is another); delete it and build again")
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}

    def pending(self, wanted: Sequence[Unit]) -> list[Unit]:
        """The units without a shard. Raises :class:`UserError` where a shard is damaged."""
        there = self.shards()
        for unit in wanted:
            if unit.name in there:
                self.read(there[unit.name])
        return [unit for unit in wanted if unit.name not in there]

    def records(self) -> Iterator[tuple[str, Shard]]:
        """All shards with the names of their units."""
        for name, path in self.shards().items():
            yield name, self.read(path)


def top_cells(folder: Folder, cells: Sequence[int]) -> list[int]:
    """The best tenth of ``cells`` by mean validation of the long recipe.

    Raises :class:`UserError` while the main pass over them has gaps.
    """
    means: dict[int, float] = {}
    for name, shard in folder.records():
        if name.startswith("main"):
            means.update(zip(shard["cells"].tolist(), shard["long_valid"].mean(1).tolist(), strict=True))
    missing = len(cells) - len(means)
    if missing:
        raise UserError(f"{folder.path}: {missing} cells are not trained yet; finish 'build' without --top first")
    best = sorted(means, key=lambda index: (-means[index], index))[: round(TOP_SHARE * len(means))]
    return sorted(best)


def train_unit(task: Task, unit: Unit, together: int) -> Shard:
    """Trains a unit, ``together`` cells at once: arrays (cells, seeds, ...) named RECIPE_FIELD, ``cells`` and ``seeds``."""
    pieces: dict[str, list[npt.NDArray[Any]]] = {}
    for start in range(0, len(unit.cells), together):
        cells = unit.cells[start : start + together]
        for recipe in RECIPES:
            trained = task.train(cells, unit.seeds, recipe)
            for field in FIELDS:
                values = getattr(trained, field)
                pieces.setdefault(f"{recipe}_{field}", []).append(
                    values.reshape(len(cells), len(unit.seeds), *values.shape[1:])
                )
    return {
        "cells": np.array(unit.cells, np.int32),
        "seeds": np.array(unit.seeds, np.int32),
        **{name: np.concatenate(parts) for name, parts in pieces.items()},
    }


def prepare(kind: type[Task], settings: Settings, device: str) -> Task:
    """The task in this process, with the process set up for many small calls."""
    import torch

    from benchmarks.training.batched import keep_memory

    if device == "cuda":
        if not torch.cuda.is_available():
            raise UserError("device 'cuda' is not available here; take --device cpu")
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
    else:
        torch.set_num_threads(1)
        keep_memory()
    return kind(settings, device)


_task: Task | None = None


def _begin(kind: type[Task], settings: Settings, device: str) -> None:
    """In a new worker process."""
    global _task
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        # a driver that was killed outright cannot say so; without this its workers would wait for it for ever
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    _task = prepare(kind, settings, device)


def _work(folder: Path, unit: Unit, together: int) -> str:
    assert _task is not None
    Folder(folder).write(unit, train_unit(_task, unit, together))
    return unit.name


def run(
    folder: Folder,
    wanted: Sequence[Unit],
    kind: type[Task],
    settings: Settings,
    workers: int = 1,
    device: str = "cpu",
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> None:
    """Trains the units that have no shard, with a task of this kind.

    Raises :class:`UserError` where a worker dies or the folder cannot be written.
    """
    pending = folder.pending(wanted)
    say(f"{len(wanted) - len(pending)} of {len(wanted)} shards are there; {len(pending)} to train")
    if not pending:
        return
    together = CELLS_PER_SHARD if device == "cuda" else 1
    if device == "cpu":
        from benchmarks.training import native

        say(f"training with {native.describe()}")
    began = time.monotonic()

    def report(done: int, name: str) -> None:
        spent = time.monotonic() - began
        left = spent / done * (len(pending) - done)
        say(f"{name}  {len(wanted) - len(pending) + done}/{len(wanted)}  {spent:.0f} s  eta {duration(left)}")

    try:
        if workers == 1 or device == "cuda":  # one process keeps a GPU busy
            task = prepare(kind, settings, device)
            for done, unit in enumerate(pending, start=1):
                folder.write(unit, train_unit(task, unit, together))
                report(done, unit.name)
            return
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        spawn = multiprocessing.get_context("spawn")  # a fork would copy torch's threads half-way
        with ProcessPoolExecutor(min(workers, len(pending)), spawn, _begin, (kind, settings, device)) as pool:
            futures = [pool.submit(_work, folder.path, unit, together) for unit in pending]
            try:
                for done, future in enumerate(as_completed(futures), start=1):
                    report(done, future.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    except BrokenProcessPool:
        raise UserError("a worker process died (out of memory?); its shard is lost, repeat the command to go on") from None
    except OSError as error:
        raise explain(error, "write a shard") from None


def duration(seconds: float) -> str:
    """h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
