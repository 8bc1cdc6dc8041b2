"""NAS-Bench-201 as benchmarks of the harness, and its judge, which a search never reaches."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from benchmarks.nb201 import digits_bundle
from benchmarks.nb201.library import LIBRARY
from benchmarks.nb201.oracle import NB201Oracle, Signal
from benchmarks.nb201.space import NB201Space, official_number
from benchmarks.nb201.table import SIZE, Records, spelled
from benchmarks.nb201.training import NB201TrainingSide
from harness.errors import UserError
from harness.problem import Availability, Facts, Judge, Problem
from harness.space import Arch

SEARCHED: Final = {
    "cifar10": "cifar10-valid",
    "cifar100": "cifar100",
    "imagenet16-120": "imagenet16-120",
    "digits": "digits",
}
"""For each benchmark, the official dataset whose models a search may look up. On CIFAR-10 they were trained on half the images.

The judge reads ``cifar10``, whose models were trained on all training images.
"""


class NB201Benchmark:
    """Search on one dataset of NAS-Bench-201, with trainings that are looked up."""

    kinds = ("multi-trial", "one-shot")
    embedded = False

    def __init__(self, dataset: str) -> None:
        self.dataset = dataset
        self.id = f"nb201/{dataset}"

    def availability(self) -> Availability:
        states = LIBRARY.state()
        if not states:
            return Availability(False, "missing: NAS-Bench-201 or NATS-Bench table, see `python -m harness.data status`")
        return Availability(True, f"found: {states[0].text}")

    def open(self, search: Mapping[str, Any], judge: Mapping[str, Any]) -> NB201Problem:
        table = LIBRARY.find_table(lambda line: print(line, file=sys.stderr, flush=True))
        if table is None:
            raise UserError(f"{self.id} needs a NAS-Bench-201 or NATS-Bench table; see `python -m harness.data status`")
        line = LIBRARY.line(table)
        try:
            problem = NB201Problem(Records(table), self.dataset, int(search["recipe"]), judge, line)
        except UserError as error:
            raise UserError(f"{self.id}: {error} ({line}); --table chooses another table, if there is one") from None
        if problem.gaps and not LIBRARY.is_chosen(table):
            raise UserError(
                f"{self.id}: {problem.gaps[0]} in the table {line}; put a complete table into a folder of NAS_DATA, or search "
                f"this part of the space with --table {shlex.quote(str(table.meta['kind']))}"
            )
        return problem


class DigitsBenchmark:
    """Search on the digits. The bundled table has trainings that this project made."""

    id = "nb201/digits"
    kinds = ("multi-trial", "one-shot")
    embedded = True

    def availability(self) -> Availability:
        return digits_bundle.BUNDLE.availability()

    def open(self, search: Mapping[str, Any], judge: Mapping[str, Any]) -> NB201Problem:
        return NB201Problem(Records(digits_bundle.BUNDLE.open()), "digits", int(search["recipe"]), judge)


def benchmarks() -> list[NB201Benchmark | DigitsBenchmark]:
    """Return the benchmarks: three datasets of the official table, and the digits."""
    official = [dataset for dataset in SEARCHED if dataset != "digits"]
    return [DigitsBenchmark(), *(NB201Benchmark(dataset) for dataset in official)]


class NB201Problem(Problem):
    """A table opened under a protocol.

    Args:
        table: the table in use, in one line; empty if there is only one.
    """

    space: NB201Space
    judge: NB201Judge
    training: NB201TrainingSide

    def __init__(self, records: Records, dataset: str, recipe: int, judge: Mapping[str, Any], table: str = "") -> None:
        self.space = NB201Space()
        self.checksum = records.table.checksum
        self._signal = Signal(records, SEARCHED[dataset], recipe, records.images(SEARCHED[dataset]).train)
        self.fidelities = self._signal.fidelities
        self.record = self._signal.record
        self.training = NB201TrainingSide(dataset, SEARCHED[dataset], recipe, records.table.path)
        self.mean_cost = self._signal.mean_cost
        reported: Mapping[str, str] = {spelled(target): split for target, split in judge["records"].items()}
        if judge.get("searched_only"):
            reported = {dataset: reported[dataset]}
        self.judge = NB201Judge(records, int(judge["recipe"]), reported)
        recorded = {f"the {recipe}-epoch training of {SEARCHED[dataset]}": self._signal.recorded, **self.judge.recorded}
        self.gaps = [f"{what} is recorded for {n:,} of {SIZE:,} cells" for what, n in recorded.items() if n < SIZE]
        """Missing records of the table, one clause each."""
        kind = str(records.table.meta.get("kind", "unknown source"))
        self.facts = Facts(
            table=table,
            source=kind + (f", a part of the space: {self.gaps[0]}" if self.gaps else ""),
            search=f"validation accuracy (x-valid) of {SEARCHED[dataset]} after the {recipe}-epoch training",
            judge={
                target: f"{target}, {split}, {judge['recipe']} epochs, mean of recorded seeds"
                for target, split in reported.items()
            },
            clock=_priced(records),
        )

    def oracle(self, world: int) -> NB201Oracle:
        return NB201Oracle(self._signal, world)


def _priced(records: Records) -> str:
    """Return a clause about the model of the charged seconds; empty if they were recorded."""
    timed = records.table.meta.get("clock")
    if timed is None:
        return ""
    r2, residual = ([timed[kind][key] for kind in ("train", "evaluate")] for key in ("r2", "residual"))
    return (
        f"training and evaluation seconds of an additive model ({timed['cells']} timed cells, R2 {r2[0]:.3f} and {r2[1]:.3f}, "
        f"residual {residual[0]:.1f} and {residual[1]:.1f} us an image)"
    )


class NB201Judge(Judge):
    """The reporting side: means over recorded seeds of the final training; regret and rank over all cells recorded."""

    def __init__(self, records: Records, recipe: int, reported: Mapping[str, str]) -> None:
        self._columns: dict[str, list[list[float]]] = {}
        self.optimum: dict[str, float] = {}
        self.set_size: dict[str, int] = {}
        self.recorded: dict[str, int] = {}
        """By reported value, the number of cells that have it."""
        for target, split in reported.items():
            test = records.mean(target, recipe, split, "accuracy")
            valid = records.mean(SEARCHED[target], recipe, "x-valid", "accuracy")
            if test is None:
                continue  # a missing target is left out, and the caption names the remaining ones
            accuracies = np.sort(test[~np.isnan(test)])
            rank = np.where(np.isnan(test), np.nan, 1 + len(accuracies) - np.searchsorted(accuracies, test, side="right"))
            best = float(accuracies[-1])
            missing = np.full(len(test), np.nan)
            columns = (missing if valid is None else valid, test, best - test, rank)
            self._columns[target] = [column.tolist() for column in columns]
            self.optimum[target] = best
            self.set_size[target] = len(accuracies)
            self.recorded[f"the {recipe}-epoch test accuracy ({split}) of {target}"] = len(accuracies)
        if not self._columns:
            raise UserError(f"the table has no {recipe}-epoch test accuracy of {', '.join(reported)}")
        complete = all(size == SIZE for size in self.set_size.values())
        self.stated_set = "all 15 625 cells" if complete else "the cells that the table has records of"

    def score(self, arch: Arch, world: int = 0) -> dict[str, dict[str, float]]:
        i = official_number(arch)
        return {
            target: {"valid": valid[i], "test": test[i], "regret": regret[i], "rank": rank[i]}
            for target, (valid, test, regret, rank) in self._columns.items()
        }
