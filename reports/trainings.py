"""Trainings from scratch of proposed cells: a nested design of searches and trainings; a best-of-k result is always labelled.

A search is one draw of a method's cell; a training is one draw of a cell's accuracy. Their spreads are separated as in a
one-way analysis of variance with random effects.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan

import numpy as np
import pandas as pd

from reports import published as papers
from reports.evidence import Run, Training
from reports.formats import MISSING, number, spread, target_name
from reports.layout import Block, Cited, Column, Heading, Table
from reports.statistics import mean_std
from reports.study import Study

METRICS = {"imagenet": "top1_error_pct"}
"""The metric that the papers print for a data set, if it is not ``test_error_pct``."""


def blocks(study: Study, benchmark: str) -> list[Block]:
    """Return a table of the searches and a table per stage of trainings."""
    shown: list[Block] = [Heading(f"Cells found on {benchmark}"), searches(study, benchmark)]
    trained = study.evidence.trainings
    trained = trained[(trained[Training.BENCHMARK] == benchmark) & ~trained[Training.PROBED].astype(bool)]
    labels = {row: study.label(row) for row in study.rows(benchmark)}
    for (stage, data), group in trained.groupby([Training.STAGE, Training.DATA], sort=False):
        chosen = bool(group[Training.CHOSEN_BY].iloc[0])
        tested = group[Training.SPLIT].iloc[0] == "test"
        shown.append(Heading(f"{'The chosen cells' if chosen else 'Every cell'}, trained from scratch: {stage}"))
        if chosen:
            published = printed(study, benchmark, str(data)) if tested else {}
            shown.append(chosen_cell(group, labels, costs(study, benchmark), published))
        else:
            shown.append(every_cell(group, labels))
    rest = printed_only(study, benchmark, trained)
    return [*shown, Heading(f"Printed of {benchmark}, not measured here"), rest] if rest.rows else shown


def printed_only(study: Study, benchmark: str, trained: pd.DataFrame) -> Table:
    """Return the papers' numbers of rows whose cells this project did not test on a data set."""
    tested = trained[(trained[Training.CHOSEN_BY] != "") & (trained[Training.SPLIT] == "test")]
    measured = set(zip(tested[Training.ROW], tested[Training.DATA], strict=True))
    table = Table(
        "Errors in percent, top 1 on ImageNet; parameters in millions and the papers' own search cost in brackets.",
        [Column("method", right=False), Column("data", right=False), Column("published error %", right=False)],
    )
    lines = study.published[study.published["benchmark"] == benchmark]
    for data in dict.fromkeys(lines["target"]):
        for row, text in printed(study, benchmark, data).items():
            if (row, data) not in measured:
                table.add([study.label(row), target_name(data), text])
    return table


def searches(study: Study, benchmark: str) -> Table:
    """Return the sizes of the proposed cells and the cost of a search."""
    columns = [
        Column("method", right=False),
        Column("seeds"),
        Column("params M"),
        Column("MACs M"),
        Column("one search", right=False),
    ]
    text = (
        "Cells that the searches proposed, counted in the network that they are trained in (convolutions and classifier, no "
        "auxiliary head). One search is its measured real time, mean over the finished ones, on the device named."
    )
    delivered = single_runs(study, benchmark)
    if delivered:
        columns += [Column("single run, error %"), Column("published error %", right=False)]
        text += " Single run: test error of the trained network that the search itself delivers."
    table = Table(text, columns)
    cost = costs(study, benchmark)
    for row in study.rows(benchmark):
        runs = study.searches(benchmark, row)
        counts = [runs[name].dropna().to_numpy() / 1e6 for name in (Run.PARAMETERS, Run.MACS)]
        cells = [spread(*mean_std(count), _digits(1e6 * count)) for count in counts]
        single = delivered.get(row, [MISSING, MISSING]) if delivered else []
        table.add([study.cited(row), study.seeds(benchmark, row), *cells, cost.get(row, MISSING), *single])
    return table


def single_runs(study: Study, benchmark: str) -> dict[str, list[str]]:
    """Return by row the test error of the networks that its searches delivered, and the papers' error of its cell."""
    texts = {}
    for row in study.rows(benchmark):
        errors = 100 - study.done(benchmark, row)[Run.SINGLE_RUN].dropna().to_numpy(dtype=float)
        if len(errors):
            target = study.targets(benchmark)[0]
            texts[row] = [spread(*mean_std(errors)), printed(study, benchmark, target).get(row, MISSING)]
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


def printed(study: Study, benchmark: str, data: str) -> dict[str, str]:
    """Return by row the papers' numbers of its cell on a data set: error, parameters, search cost, and the source."""
    table = study.published
    wanted = (table["benchmark"] == benchmark) & (table["target"] == data)
    wanted &= (table["metric"] == METRICS.get(data, "test_error_pct")) & (table["row"] != "")
    texts: dict[str, dict[str, str]] = {}
    for record in table[wanted].to_dict("records"):
        line = {str(name): value for name, value in record.items()}
        size = f"{number(line['params_M'], 2)} M" if isfinite(line["params_M"]) else ""
        cost = f"{line['search_cost']:g} {line['cost_unit']}" if isfinite(line["search_cost"]) else ""
        words = "; ".join(filter(None, (size, cost, papers.source(line))))
        for row in str(line["row"]).split(";"):
            texts.setdefault(row, {})[f"{spread(line['mean'], line['std'])} ({words})"] = papers.CITATIONS[line["paper"]]
    return {row: Cited(" / ".join(keys), list(dict.fromkeys(keys.values()))) for row, keys in texts.items()}


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


def by_search(trainings: pd.DataFrame) -> list[list[float]]:
    """Return the errors of the finished trainings of one row in one stage, a list per search."""
    done = trainings[trainings[Training.ACCURACY].notna()]
    return [(100 - group[Training.ACCURACY]).tolist() for _, group in done.groupby(Training.WORLD, sort=True)]


def every_cell(trainings: pd.DataFrame, labels: dict[str, str]) -> Table:
    """Return the table of a stage that trains the cell of every search."""
    columns = [Column("method", right=False), Column("cells"), Column("trainings"), Column("error %"), Column("between cells")]
    columns += [Column("within a cell"), Column("best epoch, error %"), Column("params M"), Column("MACs M")]
    table = Table(_caption(trainings), columns)
    for row, group in trainings.groupby(Training.ROW, sort=False):
        errors = nested(by_search(group))
        best = nested(by_search(group.assign(**{Training.ACCURACY: group[Training.BEST]})))
        cells = group.drop_duplicates(Training.WORLD)
        sizes = [cells[name] for name in (Training.PARAMETERS, Training.MACS)]
        table.add(
            [
                labels.get(str(row), str(row)),
                str(errors.cells),
                _count(group),
                number(errors.mean, 2),
                number(errors.between, 2),
                number(errors.within, 2),
                number(best.mean, 2),
                *(spread(*mean_std(size.to_numpy() / 1e6), _digits(size)) for size in sizes),
            ]
        )
    return table


def chosen_cell(trainings: pd.DataFrame, labels: dict[str, str], costs: dict[str, str], printed: dict[str, str]) -> Table:
    """Return the table of a stage that trains, for each row, the cell that an earlier stage chose.

    Args:
        costs: measured cost of one search by row, in words.
        printed: by row, the papers' numbers, with the source.
    """
    columns = [Column("method", right=False), Column("search"), Column("trainings"), Column("error %"), Column("params M")]
    columns += [Column("MACs M"), Column("one search", right=False)]
    columns += [Column("published error %", right=False)] if printed else []
    table = Table(_caption(trainings), columns)
    for row, group in trainings.groupby(Training.ROW, sort=False):
        errors = 100 - group.loc[group[Training.ACCURACY].notna(), Training.ACCURACY].to_numpy(dtype=float)
        table.add(
            [
                labels.get(str(row), str(row)),
                ", ".join(str(world) for world in sorted(group[Training.WORLD].unique())),
                _count(group),
                spread(*mean_std(errors)),
                *(number(group[name].mean() / 1e6, _digits(group[name])) for name in (Training.PARAMETERS, Training.MACS)),
                costs.get(str(row), MISSING),
                *([printed.get(str(row), MISSING)] if printed else []),
            ]
        )
    return table


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
    epochs = dict(zip(trainings[Training.RECIPE], trainings[Training.EPOCHS], strict=True))
    recipes = ", ".join(f"{recipe} ({count} epochs)" for recipe, count in epochs.items())
    how = f"Recipe {recipes}; error on the {images} of {target_name(first['data'])} after the last epoch"
    how += f" ({first['images']})"
    if first[Training.CHOSEN_BY]:
        source = "validation" if first[Training.CHOSEN_ON] == "valid" else "TEST"
        return (
            f"{how}. Of each row's searches the cell with the best {source} accuracy in the trainings '{first['chosen_by']}', "
            f"trained with seeds {trainings['seed'].min()} to {trainings['seed'].max()}; ± is over these trainings (ddof 0). "
            + (
                "The choice was made on the test set, as the papers make it: such an error is optimistic."
                if source == "TEST"
                else ""
            )
        ).strip()
    return (
        f"{how}. Mean over cells of the mean over their trainings; 'between cells' is the standard deviation due to the "
        "search, that due to single trainings ('within a cell', pooled) taken off; – where there are too few to tell. The best "
        "epoch is chosen on the same images and is no result. A cell that two searches found is trained once."
    )
