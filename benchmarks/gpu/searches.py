"""The piece ``searches``: whole searches on CIFAR-10, with the seconds that they take and the cells that they find."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import Final, NamedTuple

from benchmarks.gpu import networks
from benchmarks.gpu.counts import Work
from benchmarks.gpu.networks import Executed
from benchmarks.gpu.pieces import Case, Numbers, Records, Run
from benchmarks.gpu.roofline import device
from benchmarks.gpu.searching import Search
from harness.checkpoint import File


class Row(NamedTuple):
    """A row, and the passes of its step."""

    space: str
    row: str
    executed: Executed = "all operations"
    passes: int = 2
    """Passes of a step: weights and architecture take turns."""
    partial: int = 1
    seeds: int = 3

    @property
    def name(self) -> str:
        return f"{self.space} {self.row}"

    @property
    def recorded(self) -> bool:
        """Whether all steps are the same, so that they can be a graph."""
        return self.executed == "all operations"


ROWS: Final = (
    Row("nb201", "rsps", "one cell", 1),
    Row("nb201", "gaea_darts:erm"),
    Row("nb201", "darts:erm"),
    Row("nb201", "gaea_darts:bilevel"),
    Row("nb201", "gdas", "one cell, straight-through"),
    Row("darts", "pc_darts", partial=4, seeds=1),
    Row("darts", "gaea_pc_darts", partial=4, seeds=1),
    Row("darts", "darts:bilevel", seeds=1),
    Row("nb1shot1", "rsps", "one cell", 1),
    Row("nb1shot1", "darts:bilevel"),
    Row("nb1shot1", "gaea_darts:erm"),
    Row("nb1shot1", "gdas", "one cell, straight-through"),
    Row("nb1shot1", "pc_darts", partial=4),
)
"""The rows, ordered by what their papers teach per minute."""
SHORT: Final = {"epochs": 2, "candidates": 2, "finalists": 0, "selection_batches": 1, "probed": 1}
"""Settings of searches on a CPU."""
HALF: Final = 25_000
"""Images of CIFAR-10 that train the weights. ERM takes all, which is twice as many."""


def cases(run: Run) -> list[Case]:
    """Return the cases: the first seed of all rows, then the second."""
    rows = ROWS[:1] if run.small else ROWS
    seeds = 1 if run.small else run.seeds
    return [
        Case(f"{row.name}, seed {seed}", partial(_predict, row, run), partial(_search, row, seed, run))
        for seed in range(seeds)
        for row in rows
        if seed < row.seeds
    ]


def opened(row: Row, run: Run, seed: int = 0, **changes: int) -> Search:
    """Return the search of a row with this run's data."""
    dataset = "digits" if run.small else "cifar10"
    return Search(row.space, row.row, dataset, run.device, seed, {**(SHORT if run.small else {}), **changes})


def work(row: Row, batch: int, small: bool) -> Work:
    """Return the work of a step, without optimisers and augmentation."""
    return row.passes * networks.supernet(row.space, "digits" if small else "cifar10", batch, row.executed, row.partial)


def _predict(row: Row, run: Run) -> Numbers:
    settings, limit = opened(row, run).settings, device(run.device)
    images = 1024 if run.small else HALF * (2 if "erm" in row.row else 1)
    steps, step = settings["epochs"] * math.ceil(images / settings["batch"]), work(row, settings["batch"], run.small)
    graph = {"seconds as a graph": steps * limit.seconds(step, "graph")} if row.recorded else {}
    return {"seconds": steps * limit.seconds(step), **graph}


def _search(row: Row, seed: int, run: Run) -> Numbers:
    """Search to the end, or until the minutes are over. A search goes on after the last epoch that was kept."""
    name = f"{row.name}, seed {seed}"
    search = opened(row, run, seed)
    earlier = Records(run.out, "searches").cases.get(name, {}).get("measured", {})
    before, started = float(earlier.get("seconds", 0.0)), time.monotonic()
    identity = f"{name} {search.dataset} {sorted(search.settings.items())}"
    file = File(run.out / "checkpoints" / f"{name.replace(' ', '_').replace(':', '-').replace(',', '')}.ckpt", identity)

    def report(share: float) -> None:
        run.check({"share done": share, "seconds": before + time.monotonic() - started})

    cell = search.run(report, file)
    file.forget()
    return {
        "seconds": before + time.monotonic() - started,
        "cell": cell,
        "space": row.space,
        "data": search.dataset,
        "epochs": search.settings["epochs"],
    }
