"""The table of nb1shot1/1-digits as the harness opens it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.nb1shot1.digits_clock import FEATURES
from benchmarks.nb1shot1.digits_table import FILES
from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.nb1shot1.table import MODELLED
from benchmarks.training.bundle import Bundle, Converted
from benchmarks.training.table import Columns

NAME: Final = "nb1shot1/1-digits"


def _converted(files: Mapping[str, Columns], manifest: Mapping[str, Any]) -> Converted:
    """The columns of ``table.py``, and the clock that prices them.

    Only the seeds that every cell has: more of the best ones alone would favour what they are compared with.
    """
    cells, final = files[FILES.cells], files[FILES.final]
    space, seeds, images = NB1Shot1Space(1), manifest["seeds"][0], _images(manifest)
    numbers = cells["cell"].astype(np.int64)
    row_of = {space.canonical(space.at(number)): row for row, number in enumerate(numbers.tolist())}
    columns: dict[str, npt.NDArray[Any]] = {
        "hash": np.array(list(row_of), dtype="S32"),
        "macs": cells["macs"].astype(np.float64),
        "space/1": np.array([row_of[space.canonical(space.at(index))] for index in range(space.size)], np.int32),
    }
    rows = np.searchsorted(numbers, final["cell"])
    kept = final["seed"] < seeds
    for recipe, epochs in manifest["settings"]["epochs"].items():
        for split in ("valid", "test"):
            counts = np.full((len(numbers), seeds), -1, np.int16)
            counts[rows[kept], final["seed"][kept]] = final[f"{recipe}_{split}"][kept]
            columns[f"{split}/{epochs}"] = counts
        seconds = epochs * images["train"] * cells["train_us"].astype(np.float64) * 1e-6
        columns[f"seconds/{epochs}"] = np.repeat(seconds[:, None], seeds, axis=1)
    kind = f"{NAME}, {seeds} seeds, settings {manifest['digest']}, packed at {manifest['commit']}"
    meta = {"kind": kind, "data": {"name": "digits", **images}, "clock": {"kind": MODELLED, **manifest["clock"]}}
    return columns, meta


def _images(manifest: Mapping[str, Any]) -> dict[str, int]:
    """How many images train in an epoch, and how many are counted, all noise draws of them."""
    settings, sizes = manifest["settings"], manifest["sizes"]
    counted = {split: sizes[split] * settings["draws"] for split in ("valid", "test")}
    return {"train": sizes["train"] // settings["batch"] * settings["batch"], **counted}


BUNDLE: Final = Bundle(
    name=NAME,
    files=FILES,
    place=Path(__file__).parent / "data",
    builder="benchmarks.nb1shot1.digits",
    size=NB1Shot1Space(1).size,
    digest="7219dc3afc739b57",  # of digits_task.SETTINGS, which takes torch to ask
    prices=FEATURES,
    convert=_converted,
    conversion=2,
)
