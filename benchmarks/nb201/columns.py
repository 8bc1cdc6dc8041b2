"""Read plain columns: a table with one row per architecture and one column per record, as ``docs/data.md`` describes it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.nb201.space import NB201Space, official_order
from benchmarks.nb201.table import MEAN, RECIPES, SIZE, name
from benchmarks.sources import npz, text
from benchmarks.sources.importing import NOTHING
from benchmarks.sources.values import impossible
from harness.errors import UserError
from harness.look import is_file, opened, peek, reason

PLAIN = "plain columns"
SUFFIXES = (".parquet", ".npz", *text.SUFFIXES)
COMPANION = "nb201_seeds_200ep"

_DATASET = {"c10valid": "cifar10-valid", "c10": "cifar10", "c100": "cifar100", "in16": "imagenet16-120"}
_EVAL = {"c10valid_val": "x-valid", "c10_test": "ori-test", "c100_val": "x-valid", "in16_val": "x-valid"}
_COST_OF = {"c10": ("c10valid", "c10valid_val"), "c100": ("c100", "c100_val"), "in16": ("in16", "in16_val")}


def _metrics() -> dict[str, tuple[str, str, str, str]]:
    """Return (dataset, recipe, split, metric) for each column of the plain table."""
    known = {}
    for recipe in RECIPES:
        known[f"c10_val{recipe}"] = ("cifar10-valid", recipe, "x-valid", "accuracy")
        known[f"c10_test{recipe}"] = ("cifar10", recipe, "ori-test", "accuracy")
        known[f"c10valid_test{recipe}"] = ("cifar10-valid", recipe, "ori-test", "accuracy")
        for short in ("c100", "in16"):
            for column, split in (("val", "x-valid"), ("test", "x-test"), ("valtest", "ori-test")):
                known[f"{short}_{column}{recipe}"] = (_DATASET[short], recipe, split, "accuracy")
        for column, split in (("train", "train"), ("valid", "x-valid"), ("test", "ori-test")):
            known[f"c10valid_{column}_loss_{recipe}"] = ("cifar10-valid", recipe, split, "loss")
        known[f"c10valid_train_accuracy_{recipe}"] = ("cifar10-valid", recipe, "train", "accuracy")
    return known


METRICS = _metrics()
SECONDS = (*(f"{short}_train_s_per_epoch" for short in _DATASET), *(f"{part}_eval_s" for part in _EVAL))
SIZES = tuple(f"{short}_{kind}_M" for short in ("c10", "c100", "in16") for kind in ("params", "flops"))
CHECKED = tuple(f"{short}_cost{recipe}_s" for short in _COST_OF for recipe in RECIPES)
"""Columns that are recomputed and compared, but not imported."""
UNUSED = ("n_seeds_200", "c10_params_recorded_s777_M")
"""Known columns that are not imported: they describe how the official files were made."""

_READ = {*METRICS, *SECONDS, *SIZES, *CHECKED}
_COLUMN = 64 << 20
"""Largest size of an NPZ column in bytes."""

Columns = dict[str, npt.NDArray[Any]]


def sniff(path: Path) -> str | None:
    """Return :data:`PLAIN` if ``path`` is a table with known columns of means, else None. Any exception is possible."""
    names = _names(path)
    identified = "index" in names or "arch_str" in names
    return PLAIN if identified and any(column in METRICS for column in names) else None


def companion(path: Path) -> Path | None:
    """Return the table of per-seed values in the folder of ``path``, or None."""
    if not path.name.lower().endswith(SUFFIXES):
        return None
    files = (path.with_name(COMPANION + suffix) for suffix in SUFFIXES)
    return next((file for file in files if is_file(file) and file != path), None)


def read(path: Path) -> tuple[Columns, list[str]]:
    """Return the columns of the table by their imported names, and notices for people.

    Raises:
        UserError: the table is unreadable; it has wrong rows, foreign or repeated architectures, values that are impossible or
            not numbers, or costs that contradict its times.
    """
    plain = _ordered(path)
    columns, ignored = _convert(path, plain)
    if not columns:
        raise UserError(f"{path} has none of the known columns (see docs/data.md). {NOTHING}")
    notices = [f"ignored unknown columns: {', '.join(ignored)}"] if ignored else []
    per_seed = companion(path)
    if per_seed is not None:
        seeds, _ = _convert(per_seed, _ordered(per_seed))
        columns = {**seeds, **columns}
        notices.append(f"with per-seed values of {per_seed.name}")
    return columns, notices


def _convert(path: Path, plain: Columns) -> tuple[Columns, list[str]]:
    columns: Columns = {}
    ignored = []
    for column, raw in plain.items():
        if column in UNUSED or column in CHECKED:
            continue
        base, seed = _split_seed(column)
        if base not in METRICS and column not in (*SECONDS, *SIZES):
            ignored.append(column)
            continue
        values = _numbers(path, column, raw)
        if base in METRICS:
            dataset, recipe, split, metric = METRICS[base]
            _possible(path, column, values, metric)
            columns[name(dataset, recipe, seed, split, metric)] = values
            continue
        _possible(path, column, values, "cost")
        for recipe in RECIPES:
            columns.update(_per_recipe(column, recipe, values))
    _check_costs(path, plain)
    return {column: values for column, values in columns.items() if not np.isnan(values).all()}, ignored


def _per_recipe(column: str, recipe: str, values: npt.NDArray[np.float64]) -> Columns:
    """Return the columns of times and sizes, which both recipes share."""
    short = column.split("_")[0]
    if column.endswith("_train_s_per_epoch"):
        return {name(_DATASET[short], recipe, MEAN, "train", "total_seconds"): values * int(recipe)}
    if column.endswith("_eval_s"):
        return {name(_DATASET[short], recipe, MEAN, _EVAL[column.removesuffix("_eval_s")], "pass_seconds"): values}
    kind = column.split("_")[1]
    datasets = ["cifar10", "cifar10-valid"] if short == "c10" else [_DATASET[short]]  # the same network
    return {name(dataset, recipe, MEAN, kind): values for dataset in datasets}


def _check_costs(path: Path, plain: Columns) -> None:
    """Raise :class:`UserError` unless a query costs its training and one validation pass: ``RECIPE * train + eval``."""
    for short, (train, evaluation) in _COST_OF.items():
        parts = (f"{train}_train_s_per_epoch", f"{evaluation}_eval_s")
        for recipe in RECIPES:
            column = f"{short}_cost{recipe}_s"
            if column not in plain or not all(part in plain for part in parts):
                continue
            epoch, evaluated, cost = (_numbers(path, part, plain[part]) for part in (*parts, column))
            expected = int(recipe) * epoch + evaluated
            wrong = np.flatnonzero(np.abs(cost - expected) > 1e-6 * np.abs(expected))
            if wrong.size:
                raise UserError(
                    f"{path}: {column} of architecture {wrong[0]} is {cost[wrong[0]]:.6f}, but {recipe} × {parts[0]} + "
                    f"{parts[1]} is {expected[wrong[0]]:.6f}. {NOTHING}"
                )


def _ordered(path: Path) -> Columns:
    """Return the columns in the official order, without those that name the architecture."""
    try:
        plain = _load(path)
    except Exception as error:  # the readers of three formats raise various errors
        raise UserError(f"{path} is damaged: {reason(error)} ({path.stat().st_size:,} bytes present). {NOTHING}") from None
    lengths = {column: values.shape for column, values in plain.items()}
    for column, shape in lengths.items():
        if shape != (SIZE,):
            raise UserError(f"{path}: column {column} has shape {shape}, not one row for each of {SIZE:,} cells. {NOTHING}")
    position = _positions(path, plain)
    order = np.argsort(position)
    return {column: values[order] for column, values in plain.items() if column not in ("index", "arch_str")}


def _positions(path: Path, plain: Columns) -> npt.NDArray[np.int64]:
    """Return the official index of each row. Raises :class:`UserError` unless every cell has exactly one row."""
    if "index" not in plain and "arch_str" not in plain:
        raise UserError(f"{path} has neither a column index nor a column arch_str, so its architectures are unknown. {NOTHING}")
    position = None
    if "arch_str" in plain:
        space = NB201Space()
        numbers = {space.to_str(arch): index for index, arch in enumerate(official_order())}
        cells = plain["arch_str"].tolist()
        foreign = next((cell for cell in cells if not isinstance(cell, str) or cell not in numbers), None)
        if foreign is not None:
            raise UserError(f"{path}: {str(foreign)[:100]!r} is no cell of NAS-Bench-201. {NOTHING}")
        position = np.array([numbers[cell] for cell in cells], dtype=np.int64)
    if "index" in plain:
        index = _numbers(path, "index", plain["index"])
        if position is not None and not np.array_equal(index, position):
            row = int(np.flatnonzero(index != position)[0])
            raise UserError(
                f"{path}: row {row} has index {plain['index'][row]} but the cell of index {position[row]}. {NOTHING}"
            )
        outside = ~((index >= 0) & (index < SIZE) & (index == np.floor(index)))
        if outside.any():
            raise UserError(f"{path}: {plain['index'][outside][0]} is no index from 0 to {SIZE - 1}. {NOTHING}")
        position = index.astype(np.int64)
    assert position is not None
    values, counts = np.unique(position, return_counts=True)
    if (counts > 1).any():
        raise UserError(f"{path}: architecture {values[counts > 1][0]} has more than one row. {NOTHING}")
    return position


def _numbers(path: Path, column: str, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: column {column} has a value that is not a number ({reason(error)}). {NOTHING}") from None


def _possible(path: Path, column: str, values: npt.NDArray[np.float64], metric: str) -> None:
    wrong = np.flatnonzero(impossible(values, metric))
    if wrong.size:
        raise UserError(f"{path}: {column} of architecture {wrong[0]} is {values[wrong[0]]}, which is impossible. {NOTHING}")


def _split_seed(column: str) -> tuple[str, str]:
    """Split a column name into base and seed: ``c10_val200_s777`` is the record of seed 777, ``c10_val200`` is the mean."""
    form = re.fullmatch(r"(.+)_s(\d+)", column)
    return (form[1], form[2]) if form else (column, MEAN)


def _names(path: Path) -> list[str]:
    with opened(path) as file:
        start = file.read(4)
    if start == b"PAR1":
        import pyarrow.parquet

        with peek(path) as file:
            return list(pyarrow.parquet.read_schema(file).names)
    return npz.names(path) if start == b"PK\x03\x04" else text.style(path).names


def _load(path: Path) -> Columns:
    with opened(path) as file:
        start = file.read(4)
    if start == b"PAR1":
        return _load_parquet(path)
    if start == b"PK\x03\x04":
        return npz.read_columns(path, npz.names(path), _COLUMN)
    return text.read(path)


def _load_parquet(path: Path) -> Columns:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        if file.metadata.num_rows != SIZE:
            raise UserError(f"it has {file.metadata.num_rows:,} rows, not one row for each of {SIZE:,} cells")
        names = file.schema_arrow.names
        if len(set(names)) < len(names):
            raise UserError("a column occurs twice")
        wanted = [name for name in names if name in ("index", "arch_str") or _split_seed(name)[0] in _READ]
        table = file.read(columns=wanted)
    unknown = {name: np.full(SIZE, np.nan) for name in names if name not in wanted}
    return {**{name: table.column(name).to_numpy() for name in wanted}, **unknown}
