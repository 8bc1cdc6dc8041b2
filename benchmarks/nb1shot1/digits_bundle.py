"""The bundled table of nb1shot1/1-digits: its files, its settings, and their conversion into the columns of ``table.py``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.bundled.bundle import Bundle, Columns, Converted, Files
from benchmarks.bundled.settings import Settings
from benchmarks.nb1shot1.digits_clock import FEATURES
from benchmarks.nb1shot1.macro import DIGITS, Macro
from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.nb1shot1.table import MODELLED

NAME: Final = "nb1shot1/1-digits"
FILES: Final = Files("nb1shot1_digits")


@dataclass(frozen=True)
class DigitsSettings(Settings):
    """The settings of the trainings, with NAS-Bench-101's network."""

    macro: Macro = DIGITS


SETTINGS: Final = DigitsSettings()


def _converted(files: Mapping[str, Columns], manifest: Mapping[str, Any]) -> Converted:
    """Return the columns of ``table.py``, and the clock that prices them.

    Only the seeds that every cell has are used: extra seeds of the best cells alone would bias comparisons with them.
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
    common = final["seed"] < seeds
    for recipe, epochs in manifest["settings"]["epochs"].items():
        for split in ("valid", "test"):
            counts = np.full((len(numbers), seeds), -1, np.int16)
            counts[rows[common], final["seed"][common]] = final[f"{recipe}_{split}"][common]
            columns[f"{split}/{epochs}"] = counts
        seconds = epochs * images["train"] * cells["train_us"].astype(np.float64) * 1e-6
        columns[f"seconds/{epochs}"] = np.repeat(seconds[:, None], seeds, axis=1)
    kind = f"{NAME}, {seeds} seeds, settings {manifest['digest']}, packed at {manifest['commit']}"
    meta = {"kind": kind, "data": {"name": "digits", **images}, "clock": {"kind": MODELLED, **manifest["clock"]}}
    return columns, meta


def _images(manifest: Mapping[str, Any]) -> dict[str, int]:
    """Return the images of a training epoch, and the evaluated images of each split, all noise draws counted."""
    settings, sizes = manifest["settings"], manifest["sizes"]
    counted = {split: sizes[split] * settings["draws"] for split in ("valid", "test")}
    return {"train": sizes["train"] // settings["batch"] * settings["batch"], **counted}


BUNDLE: Final = Bundle(
    name=NAME,
    files=FILES,
    place=Path(__file__).parent / "data",
    builder="benchmarks.digits_tables nb1shot1",
    size=NB1Shot1Space(1).size,
    digest=SETTINGS.digest,
    prices=FEATURES,
    convert=_converted,
    conversion=2,
)
