"""Trainings from scratch of what searches proposed: a nested design of searches and trainings, never a best of many unlabelled.

A search is one draw of a method's cell; a training is one draw of a cell's accuracy. Their spreads are told apart, as in a
one-way analysis of variance with random effects.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

import numpy as np
import pandas as pd

from reports import published as papers
from reports.formats import MISSING, number, spread, target_name
from reports.layout import Block, Column, Heading, Table
from reports.statistics import mean_std
from reports.study import Study

PRINTED_UNDER = "darts"
"""The protocol of the papers' numbers of trainings from scratch."""

METRICS = {"imagenet": "top1_error_pct"}
"""What the papers print of a data set where it is not ``test_error_pct``."""


def untested(study: Study, benchmark: str) -> bool:
    """Whether searches there propose cells whose accuracy takes a training from scratch: the judge knows none."""
    runs = study.runs[study.runs["benchmark"] == benchmark]
    return "parameters" in runs and bool(runs["test"].isna().all() and runs["parameters"].notna().any())


def blocks(study: Study, benchmark: str, trained: pd.DataFrame) -> list[Block]:
    """What was found, and what came of it: one table of the searches, and one per stage."""
    found: list[Block] = [Heading(f"Cells found on {benchmark}"), searches(study, benchmark)]
    mine = trained[trained["benchmark"] == benchmark] if len(trained) else trained
    if "probed" in mine:  # those stand in a table of their own
        mine = mine[~mine["probed"].astype(bool)]
    labels = {row: study.label(row) for row in study.rows(benchmark)}
    for (stage, data), group in mine.groupby(["stage", "data"], sort=False) if len(mine) else ():
        chosen = bool(group["chosen_by"].iloc[0])
        tested = group["split"].iloc[0] == "test"
        found.append(Heading(f"{'The chosen cells' if chosen else 'Every cell'}, trained from scratch: {stage}"))
        if chosen:
            found.append(
                chosen_cell(group, labels, costs(study, benchmark), printed(study, benchmark, str(data)) if tested else {})
            )
        else:
            found.append(every_cell(group, labels))
    rest = printed_only(study, benchmark, mine)
    return [*found, Heading(f"Printed of {benchmark}, not measured here"), rest] if rest.rows else found


def printed_only(study: Study, benchmark: str, trained: pd.DataFrame) -> Table:
    """What the papers print of rows whose cells were not trained on a data set's test images here."""
    chosen = trained[(trained["chosen_by"] != "") & (trained["split"] == "test")] if len(trained) else trained
    here = set(zip(chosen["row"], chosen["data"], strict=True)) if len(chosen) else set()
    table = Table(
        "Errors in percent, top 1 on ImageNet; parameters in millions and the papers' own search cost in brackets.",
        [Column("method", right=False), Column("data", right=False), Column("published error %", right=False)],
    )
    lines = study.published[(study.published["protocol"] == PRINTED_UNDER) & (study.published["benchmark"] == benchmark)]
    for data in dict.fromkeys(lines["target"]):
        for row, text in printed(study, benchmark, data).items():
            if (row, data) not in here:
                table.add([study.label(row), target_name(data), text])
    return table


def searches(study: Study, benchmark: str) -> Table:
    """Sizes of the proposed cells, and what a search took."""
    columns = [
        Column("method", right=False),
        Column("seeds"),
        Column("params M"),
        Column("MACs M"),
        Column("one search", right=False),
    ]
    table = Table(
        "Cells that the searches proposed, counted in the network that they are trained in (convolutions and classifier, no "
        "auxiliary head). One search is its measured real time, mean over the finished ones, on the device named.",
        columns,
    )
    cost = costs(study, benchmark)
    for row in study.rows(benchmark):
        made = study.searches(benchmark, row)
        counts = [made[name].dropna().to_numpy() / 1e6 for name in ("parameters", "macs")]
        cells = [spread(*mean_std(count), _digits(1e6 * count)) for count in counts]
        table.add([study.label(row), study.seeds(benchmark, row), *cells, cost.get(row, MISSING)])
    return table


def costs(study: Study, benchmark: str) -> dict[str, str]:
    """Measured real time of one search by row, with the device: GPU-days on a GPU, seconds elsewhere."""
    found = {}
    for row in study.rows(benchmark):
        made = study.searches(benchmark, row)
        made = made[made["status"] == "done"]
        if len(made):
            seconds, gpu = made["wall_seconds"].mean(), bool((made["device"] == "cuda").all())
            amount = f"{number(seconds / 86400, 3)} GPU-days" if gpu else f"{number(seconds, 0 if seconds >= 10 else 1)} s"
            found[row] = f"{amount}, {_device(study.facts, gpu)}"
    return found


def _device(facts: dict[str, Any], gpu: bool) -> str:
    hosts = [made.get("host") for made in facts.get("sessions") or [{"host": facts.get("host")}]]
    names = [str(host.get("accelerator" if gpu else "processor") or "") if isinstance(host, dict) else "" for host in hosts]
    known = list(dict.fromkeys(name for name in names if name))
    return "; ".join(known) or ("a GPU" if gpu else "CPU")


def printed(study: Study, benchmark: str, data: str) -> dict[str, str]:
    """What the papers print of each row's cell on a data set: error, parameters, search cost, and where."""
    table = study.published
    wanted = (table["protocol"] == PRINTED_UNDER) & (table["benchmark"] == benchmark) & (table["target"] == data)
    wanted &= (table["metric"] == METRICS.get(data, "test_error_pct")) & (table["row"] != "")
    found: dict[str, list[str]] = {}
    for record in table[wanted].to_dict("records"):
        line = {str(name): value for name, value in record.items()}
        size = f"{number(line['params_M'], 2)} M" if isfinite(line["params_M"]) else ""
        cost = f"{line['search_cost']:g} {line['cost_unit']}" if isfinite(line["search_cost"]) else ""
        words = "; ".join(filter(None, (size, cost, papers.source(line))))
        for row in str(line["row"]).split(";"):
            found.setdefault(row, []).append(f"{spread(line['mean'], line['std'])} ({words})")
    return {row: " / ".join(dict.fromkeys(texts)) for row, texts in found.items()}


@dataclass(frozen=True)
class Nested:
    """k cells, each trained some times; errors in percent."""

    mean: float
    """Over all trainings of a cell, then over cells."""
    total: float
    """Standard deviation over cells of their mean error, ddof 1."""
    within: float
    """Standard deviation of trainings of one cell, pooled over cells."""
    between: float
    """Standard deviation between cells, what is due to single trainings taken off; 0 where nothing is left."""
    cells: int
    trainings: int


def nested(errors: list[list[float]]) -> Nested:
    """The two spreads of cells' errors; NaN where there are too few of either to tell."""
    groups = [np.asarray(group, dtype=float) for group in errors if len(group)]
    count, all_of_them = len(groups), sum(map(len, groups))
    if not count:
        return Nested(nan, nan, nan, nan, 0, 0)
    means = np.array([group.mean() for group in groups])
    freedom = all_of_them - count
    pooled = sum(((group - group.mean()) ** 2).sum() for group in groups) / freedom if freedom else nan
    total = float(means.var(ddof=1)) if count > 1 else nan
    each = float(np.mean([1 / len(group) for group in groups]))
    between = max(total - pooled * each, 0.0) ** 0.5 if isfinite(total) and isfinite(pooled) else nan
    return Nested(float(means.mean()), total**0.5, pooled**0.5, between, count, all_of_them)


def by_search(trainings: pd.DataFrame) -> list[list[float]]:
    """Errors of the finished trainings of one row in one stage, one list per search."""
    done = trainings[trainings["accuracy"].notna()]
    return [(100 - group["accuracy"]).tolist() for _, group in done.groupby("world", sort=True)]


def every_cell(trainings: pd.DataFrame, labels: dict[str, str]) -> Table:
    """One stage that trains what every search proposed."""
    columns = [Column("method", right=False), Column("cells"), Column("trainings"), Column("error %"), Column("between cells")]
    columns += [Column("within a cell"), Column("best epoch, error %"), Column("params M"), Column("MACs M")]
    table = Table(_caption(trainings), columns)
    for row, group in trainings.groupby("row", sort=False):
        found = nested(by_search(group))
        cells = group.drop_duplicates("world")
        table.add(
            [
                labels.get(str(row), str(row)),
                str(found.cells),
                _count(group),
                number(found.mean, 2),
                number(found.between, 2),
                number(found.within, 2),
                number(nested(by_search(group.assign(accuracy=group["best"]))).mean, 2),
                *(spread(*mean_std(cells[name].to_numpy() / 1e6), _digits(cells[name])) for name in ("parameters", "macs")),
            ]
        )
    return table


def chosen_cell(trainings: pd.DataFrame, labels: dict[str, str], costs: dict[str, str], printed: dict[str, str]) -> Table:
    """One stage that trains, of each row, the cell that an earlier stage chose.

    Args:
        costs: measured cost of one search by row, in words.
        printed: what the papers print of a row, with the source.
    """
    columns = [Column("method", right=False), Column("search"), Column("trainings"), Column("error %"), Column("params M")]
    columns += [Column("MACs M"), Column("one search", right=False)]
    columns += [Column("published error %", right=False)] if printed else []
    table = Table(_caption(trainings), columns)
    for row, group in trainings.groupby("row", sort=False):
        errors = 100 - group.loc[group["accuracy"].notna(), "accuracy"].to_numpy(dtype=float)
        table.add(
            [
                labels.get(str(row), str(row)),
                ", ".join(str(world) for world in sorted(group["world"].unique())),
                _count(group),
                spread(*mean_std(errors)),
                *(number(group[name].mean() / 1e6, _digits(group[name])) for name in ("parameters", "macs")),
                costs.get(str(row), MISSING),
                *([printed.get(str(row), MISSING)] if printed else []),
            ]
        )
    return table


def _count(group: pd.DataFrame) -> str:
    """Finished trainings, over the planned number where some are missing; a training that two searches share counts once."""
    once = group.drop_duplicates("run_id")
    done = int(once["accuracy"].notna().sum())
    return str(done) if done == len(once) else f"{done} / {len(once)}"


def _digits(counts: pd.Series | np.ndarray) -> int:
    """Decimals of a count in millions: three where it is below one."""
    if not len(counts):
        return 2
    return 3 if counts.max() < 1e6 else 2 if counts.max() < 1e7 else 0


def _caption(trainings: pd.DataFrame) -> str:
    first = trainings.iloc[0]
    held = "test set" if first["split"] == "test" else "validation images, held out of training"
    recipes = ", ".join(
        f"{name} ({epochs} epochs)" for name, epochs in dict(zip(trainings["recipe"], trainings["epochs"], strict=True)).items()
    )
    how = f"Recipe {recipes}; error on the {held} of {target_name(first['data'])} after the last epoch"
    how += f" ({first['images']})"
    if first["chosen_by"]:
        source = "validation" if first["chosen_on"] == "valid" else "TEST"
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
