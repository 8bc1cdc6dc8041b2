"""What a search measured: one number for each world of a row, for claims and for the papers' numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import sub, truediv
from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.analysis import cell_errors, epochs, pruning, signal, stability, trainings
from harness.analysis.evidence import Run, Training
from harness.analysis.statistics import kendall, rank_correlation
from harness.analysis.study import Study
from harness.analysis.traces import Log, RowTraces, Search


class Of(NamedTuple):
    """The row that is measured, the row that it is compared with (may be empty), and where."""

    study: Study
    benchmark: str
    row: str
    other: str = ""
    target: str = ""
    """A data set; empty: the one that the benchmark searches, or its first target."""
    set_number: int = 1
    """Of the set of searches among which a cell was chosen."""

    @property
    def traces(self) -> RowTraces:
        """Return the row's finished searches."""
        return self.study.evidence.traces.of(self.benchmark, self.row)

    def swapped(self) -> Of:
        """Return the other row, to be compared with this one."""
        return self._replace(row=self.other, other=self.row)

    def judged(self) -> str:
        """Return the target; by default the data set that the benchmark searches, or its first target if that is none."""
        targets, searched = self.study.targets(self.benchmark), self.benchmark.partition("/")[2]
        return self.target or (searched if searched in targets else next(iter(targets), ""))


def most(samples: Iterable[tuple[Study, np.ndarray]]) -> tuple[Study | None, np.ndarray]:
    """Return the study with values that is compared with a paper: under the paper's rules if there is one, then with most."""
    known = [sample for sample in samples if len(sample[1])]
    return max(known, key=lambda sample: (not sample[0].incomparable, len(sample[1])), default=(None, np.empty(0)))


Measure = Callable[[Of], pd.Series]
"""Return one number by world, or by training of a chosen cell; no entry for a search that does not have it."""


def _every_run(column: str) -> Measure:
    return lambda of: of.study.finished(of.benchmark, of.row, of.judged())[column].dropna()


def _column(name: str, unit: float = 1.0, device: str = "") -> Measure:
    """Return the measure of a column of the runs, in units of ``unit``; only of runs on ``device`` if it is not empty."""

    def measure(of: Of) -> pd.Series:
        done = of.study.done(of.benchmark, of.row)
        done = done[done[Run.DEVICE] == device] if device else done
        return done.groupby(Run.WORLD)[name].mean().dropna() / unit

    return measure


def _trainings(of: Of) -> pd.DataFrame:
    """Return the trainings from scratch of the cell of each search that are measured on test images."""
    table = of.study.evidence.trainings
    table = table[(table[Training.BENCHMARK] == of.benchmark) & (table[Training.ROW] == of.row)]
    return table[(table[Training.SPLIT] == "test") & (table[Training.CHOSEN_BY] == "") & ~table[Training.PROBED].astype(bool)]


def _trained(of: Of) -> pd.Series:
    """Test error of the cell of each search, trained from scratch, percent; the perplexity of a language model."""
    errors = trainings.by_search(_trainings(of)).items()
    return pd.Series({world: float(np.mean(values)) for world, values in errors}, dtype=float)


def chosen(of: Of) -> pd.DataFrame:
    """Return the trainings of the row's chosen cell on the target; empty if there are none."""
    for _, data, group in cell_errors.chosen(of.study, of.benchmark):
        for cell, trained in cell_errors.chosen_cells(group) if data == of.target else ():
            if cell == (of.row, of.set_number):
                return trained
    return of.study.evidence.trainings.iloc[:0]


def _chosen_error(column: str) -> Measure:
    return lambda of: pd.Series(cell_errors.of(chosen(of), column))


def _chosen(column: str) -> Measure:
    """Return the measure of a column of the trainings of the chosen cell."""
    return lambda of: chosen(of)[column].dropna().astype(float)


def _size(trained: str, proposed: str) -> Measure:
    """Return the measure of a size in millions: of the chosen cell, or of every proposal if none is trained.

    The size of a proposal is that of its network for the data set that it is searched on.
    """

    def measure(of: Of) -> pd.Series:
        sizes = chosen(of)[trained].dropna()[:1]
        if not len(sizes) and of.target == of.benchmark.partition("/")[2]:
            sizes = of.study.done(of.benchmark, of.row)[proposed].dropna()
        return sizes.astype(float) / 1e6

    return measure


def _seconds_of_trainings(of: Of) -> pd.Series:
    """Real time of a training from scratch of the cell of each search, on a GPU."""
    table = _trainings(of)
    table = table[(table[Training.DEVICE] == "cuda") & table[Training.ACCURACY].notna()]
    return table.groupby(Training.WORLD)[Training.SECONDS].mean()


def _of_two(combine: Callable[[pd.Series, pd.Series], pd.Series], first: Measure, second: Measure) -> Measure:
    return lambda of: combine(first(of), second(of)).dropna()


def _of_search(number: Callable[[Search], float | None]) -> Measure:
    """Return the measure of what a search logged; None: the search did not log it."""

    def measure(of: Of) -> pd.Series:
        values = {search.world: number(search) for search in of.traces.logging()}
        return pd.Series({world: value for world, value in values.items() if value is not None}, dtype=float)

    return measure


def _logged(name: str) -> Measure:
    return _of_search(lambda search: epochs.last(search.log, name))


def _settled(search: Search) -> float | None:
    """Return the first epoch in which no node of the supernet is unsettled."""
    alive = epochs.logged(search.log, Log.ALIVE)
    return float(alive.index[alive == 0].min()) if (alive == 0).any() else None


def _entropy(of: Of) -> pd.Series:
    """Mean entropy over the epochs, or shares of a fitted schedule, that every search of both rows has."""
    tables = epochs.entropies(of.study, of.study.evidence.traces, of.benchmark, [of.row, of.swapped().row])
    if len(tables) < 2:
        return pd.Series(dtype=float)
    own, other = tables.values()
    return own.loc[own.index.intersection(other.index)].mean()


def _signal(search: Search) -> float | None:
    """Return Spearman's correlation of the maps' accuracies under shared and own weights, with the most features."""
    pairs = signal.by_features(search)
    return rank_correlation(*pairs[max(pairs)]) if pairs else None


def _kendall(index: int) -> Measure:
    """Return the measure of probed cells: Kendall's correlation (0) or its p (1).

    By the losses that papers print it for, else by the first own accuracies.
    """

    def measure(of: Of) -> pd.Series:
        _, runs = signal.as_printed(of.study, of.study.evidence.traces, of.benchmark).get(of.row, (None, []))
        return pd.Series([kendall(run.by_shared, run.by_own)[index] for run in runs], dtype=float).dropna()

    return measure


def _pruned(quantity: str) -> Measure:
    """Return the measure of a quantity of pruned networks, the mean over the strengths of the penalty."""
    return lambda of: _of_search(lambda search: pruning.mean(search, quantity, of.judged()))(of)


def _cell(number: Callable[[frozenset[tuple[str, int, int, str]], Mapping[str, str]], float]) -> Measure:
    """Return the measure of the operations of a proposal; the second argument has the kind of each operation."""

    def measure(of: Of) -> pd.Series:
        space = of.study.evidence.spaces.get(of.benchmark)
        kinds = {name: operation.kind for name, operation in space.operations.items()} if space else {}
        cells = of.study.cells(of.benchmark, of.row)
        on = {world: stability.switches(graphs) for world, (_, graphs) in cells.items()}
        return pd.Series({world: number(switches, kinds) for world, switches in on.items() if switches}, dtype=float)

    return measure


def _at_equal(currency: str) -> Measure:
    """Return the measure of the proposal in force when a search had spent what the cheaper of both rows' searches spends."""

    def measure(of: Of) -> pd.Series:
        ours, theirs = of.traces.proposing(of.judged()), of.swapped().traces.proposing(of.judged())
        (times, ends), (_, other_ends) = (searches.spent(currency) for searches in (ours, theirs))
        both = pd.DataFrame({"own": pd.Series(ends, ours.worlds), "other": pd.Series(other_ends, theirs.worlds)}).dropna()
        limits = dict(zip(both.index.tolist(), both.min(axis=1).tolist(), strict=True))
        return ours.at(of.judged(), times, limits).dropna()

    return measure


MEASURES: dict[str, Measure] = {
    "test accuracy": lambda of: of.study.by_world(of.benchmark, of.row, of.judged()),
    "test accuracy of every run": _every_run(Run.TEST),
    "validation accuracy of every run": _every_run(Run.VALID),
    "regret": lambda of: of.study.judged(of.benchmark, of.row, of.judged()).groupby(Run.WORLD)[Run.REGRET].mean().dropna(),
    "test error": _trained,
    "test error of the chosen cell": _chosen_error(Training.ACCURACY),
    "smallest test error of the chosen cell": lambda of: _chosen_error(Training.ACCURACY)(of).nsmallest(1),
    "top-5 error of the chosen cell": _chosen_error(Training.TOP5),
    "test perplexity of the chosen cell": _chosen(Training.PERPLEXITY),
    "validation perplexity of the chosen cell": _chosen(Training.VALID_PERPLEXITY),
    "test error of the delivered network": lambda of: 100 - _column(Run.SINGLE_RUN)(of),
    "parameters": _size(Training.PARAMETERS, Run.PARAMETERS),
    "multiply-adds": _size(Training.MACS, Run.MACS),
    "search time in trainings": _of_two(truediv, _column(Run.WALL_SECONDS, 1.0, "cuda"), _seconds_of_trainings),
    "test accuracy at equal solver calls": _at_equal("queries"),
    "test accuracy at equal charged seconds": _at_equal("seconds"),
    "charged seconds": _column(Run.SECONDS),
    "charged seconds per solver call": _of_two(truediv, _column(Run.SECONDS), _column(Run.QUERIES)),
    "GPU-days": _column(Run.WALL_SECONDS, 86400.0, "cuda"),
    "GPU seconds": _column(Run.WALL_SECONDS, 1.0, "cuda"),
    "entropy": _entropy,
    "before": _logged(Log.SUPERNET_ACCURACY),
    "after": _logged(Log.DISCRETISED_ACCURACY),
    "accuracy lost by discretisation": _of_two(sub, *map(_logged, (Log.SUPERNET_ACCURACY, Log.DISCRETISED_ACCURACY))),
    "accuracy gained by absorption": _of_two(sub, *map(_logged, (Log.AFTER_ABSORPTION, Log.BEFORE_ABSORPTION))),
    "epoch in which all nodes are settled": _of_search(_settled),
    "Spearman correlation": _of_search(_signal),
    "Kendall correlation": _kendall(0),
    "p of Kendall's correlation": _kendall(1),
    "operations": _cell(lambda on, kinds: float(len(on))),
    "inputs of pruned networks": _pruned(Log.INPUTS),
    "neurons of pruned networks": _pruned(Log.NEURONS),
    "pruned weights": _pruned(Log.SPARSITY),
    "test accuracy of pruned networks": _pruned(pruning.TEST),
    "share of skip connections": _cell(lambda on, kinds: 100 * sum(kinds.get(op) == "identity" for *_, op in on) / len(on)),
    "nodes of the reduction cell": _cell(lambda on, kinds: float(len({node for cell, _, node, _ in on if cell == "reduce"}))),
    "Hamming distance": lambda of: stability.distance(of.study, of.benchmark, of.row, of.other),
}
"""Accuracies and shares in percent, entropies as shares of the largest, costs in their currency."""
