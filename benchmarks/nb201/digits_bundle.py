"""The table of nb201/digits as the harness opens it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.nb201.digits_clock import FEATURES
from benchmarks.nb201.digits_table import FILES
from benchmarks.nb201.table import SIZE, Images, name
from benchmarks.training.bundle import Bundle, Converted, of_class
from benchmarks.training.table import Columns

NAME: Final = "digits"


def _converted(files: Mapping[str, Columns], manifest: Mapping[str, Any]) -> Converted:
    """The columns of ``table.py``, a row per string: accuracies are its class's, costs its own.

    The validation accuracy after the last epoch is that over all noise draws, those of ``accuracy.curve`` that on the first
    draw, and each is charged the images that it takes. A training that was not made has no record, and no cost.
    """
    cells, final, curves = files[FILES.cells], files[FILES.final], files[FILES.curves]
    settings, sizes = manifest["settings"], manifest["sizes"]
    images = Images(sizes["train"] // settings["batch"] * settings["batch"], sizes["valid"] * settings["draws"])
    train_seconds, pass_seconds = (cells[kind].astype(np.float64) * 1e-6 for kind in ("train_us", "evaluate_us"))
    columns: dict[str, npt.NDArray[Any]] = {}
    for seed in np.unique(final["seed"]).tolist():
        rows = np.full(SIZE, -1)
        mine = np.flatnonzero(final["seed"] == seed)
        rows[final["cell"][mine]] = mine
        rows = rows[cells["representative"]]  # of each string, the row of its class; -1 where it was not trained
        for recipe, epochs in settings["epochs"].items():
            prefix = name(NAME, epochs, seed)
            for split in ("valid", "test"):
                share = 100 / (sizes[split] * settings["draws"])
                columns[f"{prefix}/x-{split}/accuracy"] = of_class(final[f"{recipe}_{split}"] * share, rows)
                columns[f"{prefix}/x-{split}/loss"] = of_class(final[f"{recipe}_{split}_loss"] * manifest["loss_unit"], rows)
            curve = [of_class(curves[f"{recipe}_{epoch:02}"] * (100 / sizes["valid"]), rows) for epoch in range(1, epochs + 1)]
            columns[f"{prefix}/x-valid/accuracy.curve"] = np.stack(curve, axis=1).astype(np.float32)
            one_draw = np.where(rows >= 0, sizes["valid"] * pass_seconds, np.nan)
            columns[f"{prefix}/x-valid/seconds.curve"] = np.repeat(one_draw[:, None].astype(np.float32), epochs, axis=1)
            columns[f"{prefix}/x-valid/pass_seconds"] = one_draw * settings["draws"]
            columns[f"{prefix}/train/total_seconds"] = np.where(rows >= 0, epochs * images.train * train_seconds, np.nan)
            columns[f"{prefix}/params"] = np.where(rows >= 0, cells["params"] / 1e6, np.nan)
            columns[f"{prefix}/flops"] = np.where(rows >= 0, cells["macs"] / 1e6, np.nan)
    return columns, {"images": {NAME: images._asdict()}, "clock": manifest["clock"]}


BUNDLE: Final = Bundle(
    name="nb201/digits",
    files=FILES,
    place=Path(__file__).parent / "data",
    builder="benchmarks.nb201.digits",
    size=SIZE,
    digest="8c4051c95703fe0b",  # of digits_task.SETTINGS, which takes torch to ask
    prices=FEATURES,
    convert=_converted,
    conversion=2,
)
