"""Trainings from scratch of proposed cells: a nested design of searches and trainings; a best-of-k result is always labelled.

A search is one draw of a method's cell; a training is one draw of a cell's accuracy. Their spreads are separated as in a
one-way analysis of variance with random effects.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from math import isfinite, nan

import numpy as np
import pandas as pd

from reports import agreement, cell_errors, epochs, supernets
from reports.agreement import Judged
from reports.evidence import Run, Training
from reports.formats import MISSING, number, signed, spread, target_name, with_interval
from reports.layout import Block, Column, Heading, Table
from reports.pairs import CORRECTED, Comparison, compare, noted
from reports.statistics import mean_std
from reports.study import Study
from reports.verdict import difference_from

RANDOM = "random_cell"
"""The method that proposes a random cell: what the other rows are compared with."""
ONE_CELL = "One cell on each side: the intervals hold the noise of trainings, not that of searches."
PUBLISHED = " Published: the papers' error of the row's cell; parameters, search cost and source in brackets."


def blocks(study: Study, benchmark: str) -> list[Block]:
    """Return a table of the searches, a table per stage of trainings, and the agreement with the papers."""
    shown: list[Block] = [Heading(f"Cells found on {benchmark}"), searches(study, benchmark), *epochs.older(study, benchmark)]
    trained = study.evidence.trainings
    trained = trained[(trained[Training.BENCHMARK] == benchmark) & ~trained[Training.PROBED].astype(bool)]
    for (name, of), group in trained.groupby([Training.STAGE, Training.DATA], sort=False):
        stage, data = str(name), str(of)
        selected = bool(group[Training.CHOSEN_BY].iloc[0])
        tested = group[Training.SPLIT].iloc[0] == "test"
        shown.append(Heading(f"{'The chosen cells' if selected else 'Every cell'}, trained from scratch: {stage}"))
        if selected:
            published = cell_errors.printed(study, benchmark, data) if tested else {}
            results = cell_errors.judged(study, benchmark, data, group) if tested else {}
            shown.append(chosen_cell(group, study.labels, costs(study, benchmark), published, results))
            if results:
                measure = "Test error in percent over the trainings of the chosen cell, after the last epoch. "
                agreed = agreement.table([*results.values()], measure, ONE_CELL)
                shown += [Heading(f"Agreement with the papers: {stage}"), agreed]
                shown += agreement.caveats([*results.values()])
        else:
            shown.append(every_cell(group, study.labels))
    rest = cell_errors.not_measured(study, benchmark)
    return [*shown, Heading(f"Numbers of {benchmark} that are not measured here"), rest] if rest.rows else shown


def searches(study: Study, benchmark: str) -> Table:
    """Return the sizes of the proposed cells and the cost of a search."""
    columns = [
        Column("method", right=False),
        Column("seeds"),
        Column("params M"),
        Column("MACs M"),
        Column("one search", right=False),
    ]
    text = study.same_budget(benchmark) + (
        "Cells that the searches proposed, counted in the network that they are trained in (convolutions and classifier, no "
        "auxiliary head). One search is its measured real time, mean over the finished ones, on the device named."
    )
    delivered = single_runs(study, benchmark)
    if delivered:
        columns += [Column("single run, error %"), Column("published error %", right=False)]
        text += " Single run: test error of the trained network that the search itself delivers." + PUBLISHED
    table = Table(text, columns)
    cost = costs(study, benchmark)
    for row in study.rows(benchmark):
        runs = study.searches(benchmark, row)
        counts = [runs[name].dropna().to_numpy() / 1e6 for name in (Run.PARAMETERS, Run.MACS)]
        cells = [spread(*mean_std(count), _digits(1e6 * count)) for count in counts]
        single = delivered.get(row, [MISSING, MISSING]) if delivered else []
        values = [study.seeds(benchmark, row), *cells, cost.get(row, MISSING), *single]
        table.add([supernets.marked(study, benchmark, row), *values])
    return table


def single_runs(study: Study, benchmark: str) -> dict[str, list[str]]:
    """Return by row the test error of the networks that its searches delivered, and the papers' error of its cell."""
    texts = {}
    for row in study.rows(benchmark):
        errors = 100 - study.done(benchmark, row)[Run.SINGLE_RUN].dropna().to_numpy(dtype=float)
        if len(errors):
            target = study.targets(benchmark)[0]
            texts[row] = [spread(*mean_std(errors)), cell_errors.printed(study, benchmark, target).get(row, MISSING)]
    return texts


def costs(study: Study, benchmark: str) -> dict[str, str]:
    """Return by row the measured real time of one search with the device: GPU-days on a GPU, else seconds."""
    texts = {}
    for row in study.rows(benchmark):
        done = study.done(benchmark, row)
        if len(done):
            seconds, gpu = done[Run.WALL_SECONDS].mean(), bool((done[Run.DEVICE] == "cuda").all())
            amount = f"{number(seconds / 86400, 3)} GPU-days" if gpu else f"{number(seconds, 0 if seconds >= 10 else 1)} s"
            texts[row] = f"{amount}, {_device(study, gpu)}"
    return texts


def _device(study: Study, gpu: bool) -> str:
    sessions = study.page.sessions
    known = dict.fromkeys(name for session in sessions if (name := session.accelerator if gpu else session.processor))
    return "; ".join(known) or ("a GPU" if gpu else "CPU")


@dataclass(frozen=True)
class Nested:
    """Mean and spreads of the errors of several trainings of several cells, in percent."""

    mean: float
    """Mean over the trainings of each cell, then over cells."""
    total: float
    """Standard deviation over cells of their mean error, ddof 1."""
    within: float
    """Standard deviation of trainings of one cell, pooled over cells."""
    between: float
    """Standard deviation between cells without the part due to single trainings; 0 if that part explains everything."""
    cells: int
    trainings: int


def nested(errors: list[list[float]]) -> Nested:
    """Return mean and spreads; NaN if there are too few cells or trainings.

    Args:
        errors: for each cell, the errors of its trainings.
    """
    groups = [np.asarray(group, dtype=float) for group in errors if len(group)]
    count, trainings = len(groups), sum(map(len, groups))
    if not count:
        return Nested(nan, nan, nan, nan, 0, 0)
    means = np.array([group.mean() for group in groups])
    freedom = trainings - count
    pooled = sum(((group - group.mean()) ** 2).sum() for group in groups) / freedom if freedom else nan
    total = float(means.var(ddof=1)) if count > 1 else nan
    each = float(np.mean([1 / len(group) for group in groups]))
    between = max(total - pooled * each, 0.0) ** 0.5 if isfinite(total) and isfinite(pooled) else nan
    return Nested(float(means.mean()), total**0.5, pooled**0.5, between, count, trainings)


def by_search(trainings: pd.DataFrame, column: str = Training.ACCURACY) -> dict[Hashable, list[float]]:
    """Return by search the errors of the finished trainings of one row in one stage."""
    done = trainings[trainings[column].notna()]
    return {world: (100 - group[column]).tolist() for world, group in done.groupby(Training.WORLD, sort=True)}


def every_cell(trainings: pd.DataFrame, labels: dict[str, str]) -> Table:
    """Return the table of a stage that trains the cell of every search."""
    columns = [Column("method", right=False), Column("cells"), Column("trainings"), Column("error %"), Column("between cells")]
    columns += [Column("within a cell"), Column("best epoch, error %"), Column("params M"), Column("MACs M")]
    by_row = {str(row): group for row, group in trainings.groupby(Training.ROW, sort=False)}
    comparison = _against_random_cells(by_row, labels)
    columns += [Column("difference [95 %]"), Column("p (Holm)")] if comparison else []
    table = Table(_caption(trainings), columns)
    for row, group in by_row.items():
        last, best = (nested([*by_search(group, column).values()]) for column in (Training.ACCURACY, Training.BEST))
        cells = group.drop_duplicates(Training.WORLD)
        sizes = [cells[name] for name in (Training.PARAMETERS, Training.MACS)]
        table.add(
            [
                labels.get(row, row),
                str(last.cells),
                _count(group),
                number(last.mean, 2),
                number(last.between, 2),
                number(last.within, 2),
                number(best.mean, 2),
                *(spread(*mean_std(size.to_numpy() / 1e6), _digits(size)) for size in sizes),
                *(comparison.cells(row) if comparison else []),
            ]
        )
    if comparison:
        table.caption += (
            " Difference: mean error of a search's cell minus that of the random cell of the same world, in points, with its "
            f"95 % interval (Student t); less is better; Wilcoxon's signed-rank test, {CORRECTED}." + noted(comparison.remarks)
        )
    return table


def _against_random_cells(by_row: dict[str, pd.DataFrame], labels: dict[str, str]) -> Comparison | None:
    """Compare rows with random cells, search by search of the same world; None without random cells or other rows.

    Trainings of two rows with the same training seed are no pair: the seed says nothing about the searches.
    """
    means = {
        row: pd.Series({world: float(np.mean(values)) for world, values in by_search(group).items()}, dtype=float)
        for row, group in by_row.items()
    }
    reference = next((row for row in means if row.partition("[")[0].partition(":")[0] == RANDOM), None)
    if reference is None or len(means) == 1:
        return None
    others = {row: series for row, series in means.items() if row != reference}
    return compare(others, means[reference], f"the error against {labels.get(reference, reference)}")


def chosen_cell(
    trainings: pd.DataFrame,
    labels: dict[str, str],
    costs: dict[str, str],
    printed: Mapping[str, str],
    judged: Mapping[str, Judged],
) -> Table:
    """Return the table of a stage that trains, for each row, the cell that an earlier stage chose.

    Args:
        costs: measured cost of one search by row, in words.
        printed: by row, the papers' numbers, with the source.
        judged: by row, the verdict.
    """
    columns = [Column("method", right=False), Column("search"), Column("trainings"), Column("error %")]
    columns += [Column("best epoch, error %"), Column("params M"), Column("MACs M"), Column("one search", right=False)]
    columns += [Column("published error %", right=False)] if printed else []
    columns += [Column("Δ [95 %]"), Column("verdict", right=False)] if judged else []
    table = Table(_caption(trainings) + (PUBLISHED if printed else "") + (DELTA if judged else ""), columns)
    for name, group in trainings.groupby(Training.ROW, sort=False):
        row = str(name)
        table.add(
            [
                labels.get(row, row),
                ", ".join(str(world) for world in sorted(group[Training.WORLD].unique())),
                _count(group),
                spread(*mean_std(cell_errors.of(group))),
                spread(*mean_std(cell_errors.of(group, Training.BEST))),
                *(number(group[size].mean() / 1e6, _digits(group[size])) for size in (Training.PARAMETERS, Training.MACS)),
                costs.get(row, MISSING),
                *([printed.get(row, MISSING)] if printed else []),
                *(_verdict(judged.get(row)) if judged else []),
            ]
        )
    return table


DELTA = (
    " Δ = ours − published in points, with Welch's 95 % interval if spread and n are known on both sides; the first of several "
    "printed numbers counts. The table of agreement has the grounds of the verdict."
)


def _verdict(result: Judged | None) -> list[str]:
    """Return Δ with its interval, of incomparable numbers too, and the verdict."""
    if result is None or not result.values.size:
        return [MISSING, MISSING if result is None else result.verdict.name]
    difference = difference_from(result.values, result.line)
    if difference is None:
        return [signed(float(result.values.mean()) - result.line["mean"]), result.verdict.name]
    return [with_interval(difference.delta, difference.interval(0.95), sign=True), result.verdict.name]


def _count(group: pd.DataFrame) -> str:
    """Return the number of finished trainings, ``3 / 4`` if some are missing. Trainings that searches share count once."""
    distinct = group.drop_duplicates(Training.RUN_ID)
    done = int(distinct[Training.ACCURACY].notna().sum())
    return str(done) if done == len(distinct) else f"{done} / {len(distinct)}"


def _digits(counts: pd.Series | np.ndarray) -> int:
    """Return the decimals of a count in millions: three if it is below one million."""
    if not len(counts):
        return 2
    return 3 if counts.max() < 1e6 else 2 if counts.max() < 1e7 else 0


def _caption(trainings: pd.DataFrame) -> str:
    first = trainings.iloc[0]
    images = "test set" if first[Training.SPLIT] == "test" else "validation images, held out of training"
    lengths = dict(zip(trainings[Training.RECIPE], trainings[Training.EPOCHS], strict=True))
    recipes = ", ".join(f"{recipe} ({count} epochs)" for recipe, count in lengths.items())
    how = f"Recipe {recipes}; error on the {images} of {target_name(first['data'])} after the last epoch"
    how += f" ({first['images']})"
    if first[Training.CHOSEN_BY]:
        source = "validation" if first[Training.CHOSEN_ON] == "valid" else "TEST"
        return (
            f"{how}. Of each row's searches the cell with the best {source} accuracy in the trainings '{first['chosen_by']}', "
            f"trained with seeds {trainings['seed'].min()} to {trainings['seed'].max()}; ± is over these trainings (ddof 0). "
            + ("The choice was made on the test set: such an error is optimistic. " if source == "TEST" else "")
            + "The best epoch is chosen on the same images and is no result."
        )
    return (
        f"{how}. Mean over cells of the mean over their trainings; 'between cells' is the standard deviation due to the "
        "search, that due to single trainings ('within a cell', pooled) taken off; – where there are too few to tell. The best "
        "epoch is chosen on the same images and is no result. A cell that two searches found is trained once."
    )
