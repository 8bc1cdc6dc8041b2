"""The three spaces of NAS-Bench-1Shot1 as benchmarks of the harness, and the judge that a search never sees."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.nb1shot1 import importer
from benchmarks.nb1shot1.oracle import NB1Shot1Oracle, Signal
from benchmarks.nb1shot1.space import PARENTS, NB1Shot1Space
from benchmarks.nb1shot1.table import IMAGES, complete
from harness.cache import Table
from harness.problem import Arch, Availability, UserError

TARGET: Final = "cifar10"
PUBLISHED_BEST: Final = {1: 0.0544871688, 2: 0.0575921535, 3: 0.0533854365}
"""The paper's regret constants: the smallest test error of any single training in a space, so no mean can reach them."""


class NB1Shot1Benchmark:
    """Search in one space by looking trainings up in NAS-Bench-101."""

    kinds = ("multi-trial",)
    embedded = False

    def __init__(self, number: int) -> None:
        self.number = number
        self.id = f"nb1shot1/{number}"

    def availability(self) -> Availability:
        found = importer.state()
        if not found:
            return Availability(False, "missing: a NAS-Bench-101 table, see `python -m harness.data status`")
        return Availability(True, f"found: {found[0].text}")

    def open(self, search: Mapping[str, Any], judge: Mapping[str, Any]) -> NB1Shot1Problem:
        table = importer.find_table(lambda line: print(line, file=sys.stderr, flush=True))
        if table is None:
            raise UserError(f"{self.id} needs a NAS-Bench-101 table; see `python -m harness.data status`")
        return NB1Shot1Problem(table, self.number, search, judge)


def benchmarks() -> list[NB1Shot1Benchmark]:
    """The three spaces."""
    return [NB1Shot1Benchmark(number) for number in PARENTS]


class NB1Shot1Problem:
    """One space of a table, opened under a protocol.

    Args:
        search: ``recipe``, the epochs of the longest training that may be asked for; ``within``: ``"table"`` keeps sampling,
            mutation and neighbours to the topologies that the table covers with all their operations, ``"space"`` does not.
        judge: ``recipe``, the epochs of the trainings whose test accuracy is reported.
    """

    record = "drawn"

    def __init__(self, table: Table, number: int, search: Mapping[str, Any], judge: Mapping[str, Any]) -> None:
        within = search.get("within", "table")
        if within not in ("table", "space"):
            raise UserError(f"nb1shot1 searches within 'table' or 'space', not {within!r}")
        self.checksum = table.checksum
        whole = NB1Shot1Space(number)
        self.judge = NB1Shot1Judge(table, whole, int(judge["recipe"]))
        covered = self.judge.covered_topologies
        if not covered:
            raise UserError(f"the table covers no topology of space {number} with all its operations")
        self.space = NB1Shot1Space(number, covered) if within == "table" and len(covered) < whole.topologies else whole
        self._signal = Signal(table, whole, int(search["recipe"]))
        self.fidelities = self._signal.fidelities
        self.mean_cost = self._signal.mean_cost
        where = f"{len(covered):,} of {whole.topologies:,} topologies of space {number}"
        self.facts = {
            "source": f"{table.meta['kind']}; {_clock(table)}; it covers {where}",
            "clock": _clock(table),
            "search": f"validation accuracy of one of three {search['recipe']}-epoch trainings of NAS-Bench-101"
            + (f", on the covered {where}" if self.space is not whole else f", on all of space {number}"),
            f"judge:{TARGET}": self.judge.words,
        }

    def oracle(self, world: int) -> NB1Shot1Oracle:
        return NB1Shot1Oracle(self._signal, world)


class NB1Shot1Judge:
    """The reporting side: the mean of three repeats; regret and rank over the distinct cells recorded in full."""

    def __init__(self, table: Table, space: NB1Shot1Space, recipe: int) -> None:
        if f"test/{recipe}" not in table:
            raise UserError(f"the table has no trainings of {recipe} epochs to judge by")
        valid, test = table.column(f"valid/{recipe}"), table.column(f"test/{recipe}")
        self._index = space.index
        self._rows: npt.NDArray[np.int32] = table.column(f"space/{space.number}")
        known = complete(valid, test)
        inside = np.zeros(len(known), dtype=bool)
        inside[self._rows] = True
        if not (known & inside).any():
            raise UserError(f"the table has no cell of space {space.number} with three trainings of {recipe} epochs")
        self._valid = np.where(known, valid.sum(axis=1) / 3, np.nan) * 100 / IMAGES
        self._test = np.where(known, test.sum(axis=1) / 3, np.nan) * 100 / IMAGES
        self._sorted = np.sort(self._test[known & inside])
        self.covered_topologies: list[int] = np.flatnonzero(
            known[self._rows].reshape(space.topologies, -1).all(axis=1)
        ).tolist()
        best, single = float(self._sorted[-1]), 1 - float(test[known & inside].max()) / IMAGES
        self.optimum = {TARGET: best}
        self.set_size = {TARGET: len(self._sorted)}
        total = int(inside.sum())
        part = "all" if len(self._sorted) == total else f"the {len(self._sorted):,} recorded of the"
        self.stated_set = f"{part} {total:,} distinct cells of space {space.number}"
        constants = {"the paper's constant for the whole space": PUBLISHED_BEST[space.number], "this set's own": single}
        against = ", ".join(f"{best_regret(best, error):.2f} ({name}, {error:.10f})" for name, error in constants.items())
        self.words = (
            f"NAS-Bench-101 test, {recipe} epochs, mean of three repeats; against the smallest error of a single training, the "
            f"reference of the paper, the best cell of this set keeps a regret of {against}"
        )

    def score(self, arch: Arch, world: int = 0) -> dict[str, dict[str, float]]:
        row = self._rows.item(self._index(arch))
        valid, test = self._valid.item(row), self._test.item(row)
        better = len(self._sorted) - np.searchsorted(self._sorted, test, side="right")
        rank = test if test != test else float(1 + better)
        return {TARGET: {"valid": valid, "test": test, "regret": self.optimum[TARGET] - test, "rank": rank}}


def best_regret(best: float, error: float) -> float:
    """The regret in points that an accuracy of ``best`` percent has against an error as a share of 1."""
    return 100 * (1 - error) - best


def _clock(table: Table) -> str:
    clock = table.meta["clock"]
    if clock["kind"] == "recorded":
        return "recorded training seconds"
    return (
        f"training seconds fitted on parameters and operation counts (R2 {clock['r2']:.3f}, median error "
        f"{100 * clock['median_error']:.0f} %)"
    )
