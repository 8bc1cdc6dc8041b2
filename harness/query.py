"""Answers of ``python -m harness.data query``: a cell, the best cell, or statistics of a table, as plain dictionaries."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from harness.problem import MissingRecord
from harness.tables import BenchmarkTable


def cell_of(text: str) -> Any:
    """Return the name of a cell that ``text`` spells: an index, a tuple, a pair of matrix and operations, or ``text``."""
    if text.isdecimal() and len(text) < 10:
        return int(text)
    if text.startswith(("(", "[")):
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError):
            pass
    return text


def of_training(
    table: BenchmarkTable, cell: Any, dataset: str | None, epochs: int | None, seed: str | None, epoch: int | None
) -> dict[str, Any]:
    """Return the values and costs of a training of a cell."""
    return {**_named(table, cell), **table.costs(cell, dataset, epochs), **table.info(cell, dataset, epochs, seed, epoch)}


def of_cell(table: BenchmarkTable, cell: Any) -> dict[str, Any]:
    """Return the final accuracies and costs of all trainings of a cell, means over seeds."""
    records = []
    for dataset, epochs in _trainings(table):
        try:
            info = table.info(cell, dataset, epochs)
        except MissingRecord:
            continue
        accuracies = {split: info.get(f"{split}-accuracy") for split in table.splits(dataset)}
        values = {**accuracies, **table.costs(cell, dataset, epochs), "seconds": info["train-all-time"]}
        records.append({"dataset": dataset, "epochs": epochs, **values})
    return {**_named(table, cell), "records": records}


def of_table(table: BenchmarkTable) -> dict[str, Any]:
    """Return the source of a table, and statistics of all its accuracies."""
    records = []
    for dataset, epochs in _trainings(table):
        for split in table.splits(dataset):
            try:
                summary = table.summary(dataset, split, epochs)._asdict()
            except MissingRecord:
                continue
            best = table.best(dataset, split, epochs).index
            seeds = " ".join(table.seeds(dataset, epochs))
            records.append({"dataset": dataset, "epochs": epochs, "seeds": seeds, "split": split, **summary, "best": best})
    return {"table": table.name, "source": table.source, "architectures": len(table), "records": records}


def text_of(answer: Mapping[str, Any]) -> str:
    """Return an answer as lines ``name: value``, and its records as a table."""
    lines = [f"{name}: {_shown(value)}" for name, value in answer.items() if name != "records"]
    records: Sequence[Mapping[str, Any]] = answer.get("records", [])
    columns = list(dict.fromkeys(name for record in records for name in record))
    rows = [columns, *([_shown(record.get(name)) for name in columns] for record in records)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if records:
        lines += ["", *("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)]
    return "\n".join(lines)


def _trainings(table: BenchmarkTable) -> list[tuple[str, int]]:
    return [(dataset, epochs) for dataset in table.datasets for epochs in table.epochs(dataset)]


def _named(table: BenchmarkTable, cell: Any) -> dict[str, Any]:
    index = table.index(cell)
    return {"index": index, "cell": table[index], "canonical": table.canonical(index)}


def _shown(value: object) -> str:
    return "–" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
