"""The three spaces of NAS-Bench-1Shot1 as benchmarks of the harness, and their judge, which a search never reaches."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.bundled.clock import Clock as TimedClock
from benchmarks.nb1shot1 import digits_bundle
from benchmarks.nb1shot1.clock import Clock
from benchmarks.nb1shot1.digits_clock import DigitsClock
from benchmarks.nb1shot1.library import LIBRARY
from benchmarks.nb1shot1.oracle import NB1Shot1Oracle, Signal
from benchmarks.nb1shot1.references import references
from benchmarks.nb1shot1.space import PARENTS, NB1Shot1Space
from benchmarks.nb1shot1.table import MODELLED, complete, data_of
from benchmarks.nb1shot1.training import NB1Shot1TrainingSide
from harness.cache import Table
from harness.errors import UserError
from harness.problem import Availability, Facts, Judge, Problem
from harness.space import Arch

_MADE_BY: Final = {"cifar10": "NAS-Bench-101", "digits": digits_bundle.NAME}


class NB1Shot1Benchmark:
    """Search in one space, with trainings that are looked up in NAS-Bench-101."""

    kinds = ("multi-trial", "one-shot")
    embedded = False

    def __init__(self, number: int) -> None:
        self.number = number
        self.id = f"nb1shot1/{number}"

    def availability(self) -> Availability:
        states = LIBRARY.state()
        if not states:
            return Availability(False, "missing: a NAS-Bench-101 table, see `python -m harness.data status`")
        return Availability(True, f"found: {states[0].text}")

    def open(self, search: Mapping[str, Any], judge: Mapping[str, Any]) -> NB1Shot1Problem:
        table = LIBRARY.find_table(lambda line: print(line, file=sys.stderr, flush=True))
        if table is None:
            raise UserError(f"{self.id} needs a NAS-Bench-101 table; see `python -m harness.data status`")
        return NB1Shot1Problem(table, self.number, search, judge, LIBRARY.line(table))


class DigitsBenchmark:
    """Search in space 1. The bundled table has trainings on digits that this project made."""

    id = digits_bundle.NAME
    kinds = ("multi-trial", "one-shot")
    embedded = True

    def availability(self) -> Availability:
        return digits_bundle.BUNDLE.availability()

    def open(self, search: Mapping[str, Any], judge: Mapping[str, Any]) -> NB1Shot1Problem:
        return NB1Shot1Problem(digits_bundle.BUNDLE.open(), 1, search, judge)


def benchmarks() -> list[NB1Shot1Benchmark | DigitsBenchmark]:
    """Return the benchmarks: the three spaces, and space 1 on digits."""
    return [DigitsBenchmark(), *(NB1Shot1Benchmark(number) for number in PARENTS)]


class NB1Shot1Problem(Problem):
    """One space of a table, opened under a protocol.

    Args:
        search: ``recipe``, the epochs of the longest training that may be queried; ``within``: ``"table"`` keeps sampling,
            mutation and neighbours to the topologies that the table covers with all their operations, ``"space"`` does not.
        judge: ``recipe``, the epochs of the trainings whose test accuracy is reported.
        line: the table in use, in one line; empty if there is only one.
    """

    space: NB1Shot1Space
    judge: NB1Shot1Judge
    training: NB1Shot1TrainingSide
    record = "drawn"

    def __init__(self, table: Table, number: int, search: Mapping[str, Any], judge: Mapping[str, Any], line: str = "") -> None:
        within = search.get("within", "table")
        if within not in ("table", "space"):
            raise UserError(f"nb1shot1 searches within 'table' or 'space', not {within!r}")
        self.checksum = table.checksum
        full = NB1Shot1Space(number)
        self.judge = NB1Shot1Judge(table, full, int(judge["recipe"]))
        covered = self.judge.covered_topologies
        if not covered:
            raise UserError(f"the table covers no topology of space {number} with all its operations")
        self.space = NB1Shot1Space(number, covered) if within == "table" and len(covered) < full.topologies else full
        self._signal = Signal(table, full, int(search["recipe"]))
        self.fidelities = self._signal.fidelities
        self.mean_cost = self._signal.mean_cost
        data, clock = data_of(table), _clock(table)
        self.training = NB1Shot1TrainingSide(data.name, number, clock)
        where = f"{len(covered):,} of {full.topologies:,} topologies of space {number}"
        made_by = _MADE_BY[data.name]
        repeats = {2: "two", 3: "three"}.get(self._signal.repeats, str(self._signal.repeats))
        self.facts = Facts(
            table=line,
            source=f"{table.meta['kind']}; {_priced(table)}; it covers {where}",
            clock=_priced(table),
            supernet_clock=_shared(clock) if clock else "",
            search=f"validation accuracy of one of {repeats} {search['recipe']}-epoch trainings of {made_by}"
            + (f", on the covered {where}" if self.space is not full else f", on all of space {number}"),
            judge={data.name: f"{made_by} test, {judge['recipe']} epochs, mean of {repeats} repeats"},
        )

    def oracle(self, world: int) -> NB1Shot1Oracle:
        return NB1Shot1Oracle(self._signal, world)


class NB1Shot1Judge(Judge):
    """The reporting side: the mean of three repeats; regret and rank over the distinct cells recorded in full."""

    def __init__(self, table: Table, space: NB1Shot1Space, recipe: int) -> None:
        if f"test/{recipe}" not in table:
            raise UserError(f"the table has no trainings of {recipe} epochs to judge by")
        valid, test = table.column(f"valid/{recipe}"), table.column(f"test/{recipe}")
        self._index = space.index
        self._rows: npt.NDArray[np.int32] = table.column(f"space/{space.number}")
        complete_cells = complete(valid, test)
        inside = np.zeros(len(complete_cells), dtype=bool)
        inside[self._rows] = True
        if not (complete_cells & inside).any():
            raise UserError(f"the table has no cell of space {space.number} with three trainings of {recipe} epochs")
        data = data_of(table)
        self._target = data.name
        counts = {"test": (test, data.test), "valid": (valid, data.valid)}
        means = {
            split: np.where(complete_cells, right.sum(axis=1) / right.shape[1] * 100 / images, np.nan)
            for split, (right, images) in counts.items()
        }
        self._valid, self._test = means["valid"], means["test"]
        recorded = complete_cells & inside
        self._sorted = np.sort(self._test[recorded])
        self.covered_topologies: list[int] = np.flatnonzero(
            complete_cells[self._rows].reshape(space.topologies, -1).all(axis=1)
        ).tolist()
        self.optimum = {data.name: float(self._sorted[-1])}
        self.worst = {data.name: float(self._sorted[0])}
        """The smallest true value of the recorded set: a lower bound in reports for proposals outside it."""
        self.set_size = {data.name: len(self._sorted)}
        total = int(inside.sum())
        part = "all" if len(self._sorted) == total else f"the {len(self._sorted):,} recorded of the"
        self.stated_set = f"{part} {total:,} distinct cells of space {space.number}"
        self.references = references(
            space.number,
            data.name,
            {split: float(values[recorded].max()) for split, values in means.items()},
            {split: float(right[recorded].max()) * 100 / images for split, (right, images) in counts.items()},
        )
        """Errors that regrets may be counted from. The first one of the test split is the optimum."""

    def score(self, arch: Arch, world: int = 0) -> dict[str, dict[str, float]]:
        row = self._rows.item(self._index(arch))
        valid, test = self._valid.item(row), self._test.item(row)
        better = len(self._sorted) - np.searchsorted(self._sorted, test, side="right")
        rank = test if test != test else float(1 + better)
        return {self._target: {"valid": valid, "test": test, "regret": self.optimum[self._target] - test, "rank": rank}}


def _clock(table: Table) -> Clock | DigitsClock | None:
    """Return the clock that prices networks that were never timed, or None if the table has no times."""
    fields = {key: value for key, value in table.meta["clock"].items() if key not in ("kind", "on")}
    if table.meta["clock"]["kind"] == MODELLED:
        return DigitsClock(TimedClock.of(fields))
    return Clock(**fields) if fields else None


def _shared(clock: Clock | DigitsClock) -> str:
    forward = f", a pass without gradients {clock.forward:.2f} of one with" if isinstance(clock, Clock) else ""
    return (
        "weight sharing is charged per image pass what a line in the size of a network says of the table's networks that the "
        f"supernet executes{forward}"
    )


def _priced(table: Table) -> str:
    clock = table.meta["clock"]
    if clock["kind"] == "recorded":
        return "recorded training seconds"
    if clock["kind"] == MODELLED:
        line = clock["train"]
        fit = f"{clock['cells']} timed cells, R2 {line['r2']:.3f}, residual {line['residual']:.1f} us an image"
        return f"training seconds of an additive model ({fit})"
    return (
        f"training seconds fitted on parameters and operation counts (R2 {clock['r2']:.3f}, median error "
        f"{100 * clock['median_error']:.0f} %)"
    )
