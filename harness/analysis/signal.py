"""How well shared weights rank architectures: their accuracies under shared weights and by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.analysis.evidence import Training
from harness.analysis.pairs import Comparison, correct
from harness.analysis.statistics import paired
from harness.analysis.study import Study
from harness.analysis.traces import SHARED, SHARED_LOSS, Log, Search, Traces

SINGLE_LEVEL = ("erm", "joint_erm")
"""Variants that choose by the loss on all data together; ``bilevel`` chooses by held-out data."""


class Ranked(NamedTuple):
    """The architectures of one run that were measured under shared weights and by themselves."""

    shared: np.ndarray  # accuracies under shared weights, percent
    own: np.ndarray  # accuracies under own weights, percent
    by_shared: np.ndarray  # numbers that rank them under shared weights, the best highest: accuracies, or losses with a minus
    by_own: np.ndarray  # the same under own weights


class Source(NamedTuple):
    """Where the own accuracies of a row's architectures are from."""

    row: str
    target: str = ""
    split: str = "test"
    recipe: str = ""  # of their trainings from scratch; empty: as judged, or as the search itself measured them
    by_loss: bool = False  # whether they are ranked by losses
    features: int = 0  # number of features of the maps; 0 if they are no feature maps

    @property
    def printed_on(self) -> str:
        """Return the data set on which papers print such a correlation: that of the test losses; empty for other sources."""
        return self.target if self.by_loss and self.split == "test" else ""


def clouds(study: Study, traces: Traces, benchmark: str) -> dict[tuple[str, int], list[np.ndarray]]:
    """Return by row and number of features, for each run, the accuracies (2, architectures), shared and own."""
    runs: dict[tuple[str, int], list[np.ndarray]] = {}
    for row in study.rows(benchmark):
        for search in traces.of(benchmark, row).logging():
            for features, pair in by_features(search).items():
                runs.setdefault((row, features), []).append(pair)
    return dict(sorted(runs.items()))


def by_features(search: Search) -> dict[int, np.ndarray]:
    """Return by number of features, ascending, the logged accuracies (2, architectures), shared and own; empty without them."""
    names = (Log.FEATURES, Log.SHARED_ACCURACY, Log.OWN_ACCURACY)
    if not search.log.keys() >= set(names):
        return {}
    features, shared, own = (np.asarray(search.log[name]) for name in names)
    return {int(count): np.array([shared[features == count], own[features == count]]) for count in np.unique(features)}


def every_source(study: Study, traces: Traces, benchmark: str) -> dict[Source, list[Ranked]]:
    """Return the architectures of each run by the source of their own accuracies: probed cells, then feature maps."""
    maps = {
        Source(row, split="valid", features=features): [Ranked(*pair, *pair) for pair in pairs]
        for (row, features), pairs in clouds(study, traces, benchmark).items()
    }
    return probed(study, traces, benchmark) | maps


def probed(study: Study, traces: Traces, benchmark: str) -> dict[Source, list[Ranked]]:
    """Return the probed cells of each run by the source of their own accuracies."""
    rankings: dict[Source, list[Ranked]] = {}
    for row in study.rows(benchmark):
        for search in traces.of(benchmark, row).probing():
            for source, run in _of_search(study, benchmark, row, search):
                rankings.setdefault(source, []).append(run)
    return rankings


def as_printed(study: Study, traces: Traces, benchmark: str) -> dict[str, tuple[Source, list[Ranked]]]:
    """Return by row the probed cells of each run, with the own losses that papers print a correlation for if they are known."""
    by_row: dict[str, tuple[Source, list[Ranked]]] = {}
    for source, runs in probed(study, traces, benchmark).items():
        if source.row not in by_row or (source.printed_on and not by_row[source.row][0].printed_on):
            by_row[source.row] = source, runs
    return by_row


def _of_search(study: Study, benchmark: str, row: str, search: Search) -> Iterator[tuple[Source, Ranked]]:
    """Yield the probed cells of a search with their accuracies as judged, and with those of trainings from scratch."""
    probe = {name: np.asarray(values, dtype=float) for name, values in search.probe.items()}
    shared = probe.get(SHARED, np.empty(0))
    losses = probe.get(SHARED_LOSS, np.array([np.nan]))
    for target in study.targets(benchmark) if len(shared) else ():
        if target in probe and np.isfinite(probe[target]).all():
            yield Source(row, target), Ranked(shared, probe[target], shared, probe[target])
    table = study.evidence.trainings
    mine = (table[Training.BENCHMARK] == benchmark) & (table[Training.ROW] == row) & (table[Training.WORLD] == search.world)
    keys = [Training.STAGE, Training.RECIPE, Training.DATA, Training.SPLIT]
    for (_, recipe, data, split), group in table[mine & table[Training.PROBED].astype(bool)].groupby(keys, sort=False):
        own, own_losses = (_by_cell(group[name], len(shared)) for name in (Training.ACCURACY, Training.LOSS))
        source = Source(row, str(data), str(split), str(recipe))
        if own is not None:
            yield source, Ranked(shared, own, shared, own)
        if own is not None and own_losses is not None and np.isfinite(losses).all():
            yield source._replace(by_loss=True), Ranked(shared, own, -losses, -own_losses)


def _by_cell(values: pd.Series, cells: int) -> np.ndarray | None:
    """Return the mean of each cell's trainings; None if some are missing. They are in the order of the probes, seed by seed."""
    numbers = values.to_numpy(dtype=float)
    complete = cells and len(numbers) % cells == 0 and np.isfinite(numbers).all()
    return numbers.reshape(cells, -1).mean(1) if complete else None


def objectives(study: Study, benchmark: str) -> tuple[dict[str, str], dict[str, Comparison]]:
    """Compare each method's bilevel row with its single-level rows on the same world seeds.

    Returns:
        By single-level row the bilevel row, and by target the comparisons, bilevel minus single level.
    """
    ran = study.rows(benchmark)
    parted = {row: row.partition(":") for row in ran}
    bases = {row: f"{method}:bilevel" for row, (method, _, variant) in parted.items() if variant in SINGLE_LEVEL}
    bases = {row: base for row, base in bases.items() if base in ran}
    comparisons = {}
    for target in study.targets(benchmark):
        tests = {row: study.by_world(benchmark, row, target) for row in ran}
        comparisons[target] = correct({row: paired(tests[base], tests[row]) for row, base in bases.items()})
    return bases, comparisons
