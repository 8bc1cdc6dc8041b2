"""The part of the benchmark that opens the training task of a search. Imports no torch."""

from __future__ import annotations

from typing import Any

from benchmarks.pruning import data
from harness.training import Meter, TrainingSide


class PruningTrainingSide(TrainingSide):
    """Training side that opens :class:`benchmarks.pruning.task.Task`."""

    currencies = frozenset({"epochs", "macs"})

    def __call__(self, world: int, device: str, charge: Meter) -> Any:
        from benchmarks.pruning.task import Task

        train, valid = data.search_parts()
        return Task(data.SIZES, train, valid, world, device, charge)

    def describe(self) -> str:
        return f"{data.checksum()[:16]}, training and validation digits"
