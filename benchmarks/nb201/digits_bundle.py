"""The bundled table of nb201/digits: its files, its settings, and their conversion into the columns of ``table.py``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.bundled.bundle import Bundle, Columns, Converted, Files, of_class
from benchmarks.bundled.settings import Settings
from benchmarks.nb201.macro import DIGITS, Macro
from benchmarks.nb201.space import OPS
from benchmarks.nb201.table import SIZE, Images, name

DATASET: Final = "digits"
FILES: Final = Files("digits")


@dataclass(frozen=True)
class DigitsSettings(Settings):
    """The settings of the trainings, with NAS-Bench-201's network."""

    macro: Macro = DIGITS


SETTINGS: Final = DigitsSettings()


def _converted(files: Mapping[str, Columns], manifest: Mapping[str, Any]) -> Converted:
    """Return the columns of ``table.py``, a row per string. Isomorphic cells share accuracies, not costs.

    The validation accuracy after the last epoch is over all noise draws; the accuracies of ``accuracy.curve`` are on the first
    draw. Each is charged the images that it needs. A cell that was not trained with a seed has no record and no cost.
    """
    cells, final, curves = files[FILES.cells], files[FILES.final], files[FILES.curves]
    settings, sizes = manifest["settings"], manifest["sizes"]
    images = Images(sizes["train"] // settings["batch"] * settings["batch"], sizes["valid"] * settings["draws"])
    train_seconds, pass_seconds = (cells[kind].astype(np.float64) * 1e-6 for kind in ("train_us", "evaluate_us"))
    columns: dict[str, npt.NDArray[Any]] = {}
    for seed in np.unique(final["seed"]).tolist():
        rows = np.full(SIZE, -1)
        trained = np.flatnonzero(final["seed"] == seed)
        rows[final["cell"][trained]] = trained
        rows = rows[cells["representative"]]  # the row of each string's class; -1 if it was not trained with this seed
        for recipe, epochs in settings["epochs"].items():
            prefix = name(DATASET, epochs, seed)
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
    return columns, {"images": {DATASET: images._asdict()}, "clock": manifest["clock"]}


BUNDLE: Final = Bundle(
    name="nb201/digits",
    files=FILES,
    place=Path(__file__).parent / "data",
    builder="benchmarks.digits_tables nb201",
    size=SIZE,
    digest=SETTINGS.digest,
    prices=OPS[1:],
    convert=_converted,
    conversion=2,
)
