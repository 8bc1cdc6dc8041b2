"""Test errors of trainings from scratch against the papers' numbers: verdicts, and the printed numbers that nobody measured.

A verdict compares the trainings of a row's chosen cell with the printed mean over trainings of the paper's chosen cell, if
images, recipe, choice and epoch are those of the paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd

from reports import published as papers
from reports.agreement import Judged
from reports.evidence import NOT_YET, Training
from reports.formats import number, spread, target_name
from reports.layout import Cited, Column, Table
from reports.published import Line
from reports.study import Study, other_images
from reports.verdict import NOT_MEASURED, Verdict, counted, judge_target, margin_of

METRICS = {"imagenet": "top1_error_pct"}
"""The metric that the papers print for a data set, if it is not ``test_error_pct``."""
UNITS = {
    "test_error_pct": "error %",
    "top1_error_pct": "top-1 error %",
    "top5_error_pct": "top-5 error %",
    "valid_perplexity": "validation perplexity",
    "test_perplexity": "test perplexity",
}
"""The metrics that the papers print of a row, in words."""
UNSTATED_CHOICE = "it is not certain on which images the paper chose its cell"
UNCERTAIN_EPOCH = "the printed number may be a best epoch on the test set, ours is the last"
IMAGES = {"valid": "validation images", "test": "the test set"}


def lines(study: Study, benchmark: str, data: str) -> dict[str, list[Line]]:
    """Return by row the papers' lines of its cell on a data set; the first line is the one that judges."""
    table = study.published
    wanted = (table["benchmark"] == benchmark) & (table["target"] == data) & (table["row"] != "")
    wanted &= table["metric"] == METRICS.get(data, "test_error_pct")
    by_row: dict[str, list[Line]] = {}
    for line in papers.records(table[wanted]):
        for row in line["row"].split(";"):
            by_row.setdefault(row, []).append(line)
    return by_row


def printed(study: Study, benchmark: str, data: str) -> dict[str, Cited]:
    """Return by row the papers' numbers of its cell on a data set: error, parameters, search cost, and the source."""
    texts = {}
    for row, several in lines(study, benchmark, data).items():
        keys: dict[str, str] = {}
        for line in several:
            size = f"{number(line['params_M'], 2)} M" if isfinite(line["params_M"]) else ""
            cost = f"{line['search_cost']:g} {line['cost_unit']}" if isfinite(line["search_cost"]) else ""
            words = "; ".join(filter(None, (size, cost, papers.source(line))))
            keys[f"{spread(line['mean'], line['std'])} ({words})"] = papers.CITATIONS[line["paper"]]
        texts[row] = Cited(" / ".join(keys), list(dict.fromkeys(keys.values())))
    return texts


def chosen(study: Study, benchmark: str) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield stage, data set and trainings of every stage that trains chosen cells and measures them on test images."""
    trained = study.evidence.trainings
    trained = trained[(trained[Training.BENCHMARK] == benchmark) & ~trained[Training.PROBED].astype(bool)]
    trained = trained[(trained[Training.CHOSEN_BY] != "") & (trained[Training.SPLIT] == "test")]
    for (stage, data), group in trained.groupby([Training.STAGE, Training.DATA], sort=False):
        yield str(stage), str(data), group


def of(trainings: pd.DataFrame, column: str = Training.ACCURACY) -> np.ndarray:
    """Return the errors of the finished trainings, in percent."""
    return 100 - trainings[column].dropna().to_numpy(dtype=float)


def judged(study: Study, benchmark: str, data: str, trainings: pd.DataFrame) -> dict[str, Judged]:
    """Return by row the verdict on its chosen cell; rows without a printed number are left out.

    Args:
        trainings: those of one stage on ``data``.
    """
    known, margin = lines(study, benchmark, data), margin_of(benchmark, data)
    results = {}
    for name, group in trainings.groupby(Training.ROW, sort=False):
        row = str(name)
        if row in known:
            line, ours = known[row][0], of(group)
            results[row] = Judged(study.label(row), data, ours, line, margin, judge(study, row, group, line, ours, margin))
    return results


def judge(study: Study, row: str, trainings: pd.DataFrame, line: Line, ours: np.ndarray, margin: float | None) -> Verdict:
    """Return the verdict on one printed number of a row's chosen cell.

    Args:
        trainings: those of the cell.
        ours: numbers of the trainings in the unit of the line.
        margin: δ in points; None if it is not fixed.
    """
    reason = "; ".join(_obstacles(study, row, trainings.iloc[0].to_dict(), line)) if ours.size else ""
    verdict = judge_target(ours, line, margin, reason)
    return replace(verdict, notes=(*verdict.notes, *_doubts(line))) if verdict.difference else verdict


def _obstacles(study: Study, row: str, training: Mapping[Any, Any], line: Line) -> Iterator[str]:
    """Yield why a training of a row's chosen cell is not comparable with a printed number."""
    if reason := study.obstacle(line["benchmark"], row) or other_images(training[Training.IMAGES]):
        yield reason
    recipe, theirs = training[Training.RECIPE], line["recipe"].split(";")
    if not line["recipe"]:
        yield "the recipe behind the printed number is not stated"
    elif recipe not in theirs:
        yield f"trained by the recipe {recipe}, the paper by {' or '.join(theirs)}"
    ours = training[Training.CHOSEN_ON]
    if line["chosen_on"] not in ("", ours):
        yield f"the cell is chosen on {IMAGES[ours]}, the paper's on {IMAGES[line['chosen_on']]}"
    if line["record"] == papers.BEST_EPOCH:
        yield "the printed number is a best epoch on the test set, ours is the last"


def _doubts(line: Line) -> Iterator[str]:
    """Yield what is not certain about a printed number that is compared all the same."""
    if not line["chosen_on"]:
        yield UNSTATED_CHOICE
    if line["record"] == papers.PERHAPS_BEST_EPOCH:
        yield UNCERTAIN_EPOCH


@dataclass(frozen=True)
class Missing:
    """A printed number that is not measured."""

    row: str
    benchmark: str
    line: Line
    reason: str


def missing(study: Study, benchmark: str) -> list[Missing]:
    """Return the papers' numbers of the protocol's rows whose cell was not tested on the data set, data set by data set."""
    measured = {
        (str(row), data)
        for _, data, group in chosen(study, benchmark)
        for row, trained in group.groupby(Training.ROW)
        if len(of(trained))
    }
    ran, skipped = study.rows(benchmark), study.skipped(benchmark)
    table = study.published[study.published["benchmark"] == benchmark]
    results = []
    for data in dict.fromkeys(table["target"]):
        for row, (line, *_) in lines(study, benchmark, data).items():
            searched = line["protocol"] == study.page.protocol or row in ran or row in skipped
            if searched and (row, data) not in measured:
                reason = f"its cell has no training on {target_name(data)}" if row in ran else skipped.get(row, NOT_YET)
                results.append(Missing(row, benchmark, line, line["unmeasured"] or reason))
    return results


def elsewhere(study: Study) -> list[Missing]:
    """Return the numbers that the papers of the page's protocol print of benchmarks that this project does not have."""
    table = study.published
    wanted = (table["protocol"] == study.page.protocol) & (table["unmeasured"] != "") & table["metric"].isin(list(UNITS))
    results: dict[tuple[Any, ...], Missing] = {}
    for line in papers.records(table[wanted & ~table["benchmark"].isin(study.benchmarks)]):
        for row in line["row"].split(";"):
            key = (row, line["benchmark"], line["metric"], line["mean"])
            results.setdefault(key, Missing(row, line["benchmark"], line, line["unmeasured"]))
    return list(results.values())


def not_measured(study: Study, benchmark: str) -> Table:
    """Return the table of the papers' numbers on a benchmark that are not measured."""
    table = Table(
        "Errors in percent, top 1 on ImageNet; parameters in millions and the papers' own search cost in brackets.",
        [Column(name, right=False) for name in ("method", "data", "published error %", NOT_MEASURED)],
    )
    texts: dict[str, dict[str, Cited]] = {}
    for item in missing(study, benchmark):
        data = item.line["target"]
        by_row = texts.setdefault(data, printed(study, benchmark, data))
        table.add([study.label(item.row), target_name(data), by_row[item.row], item.reason])
    return table


def not_here(study: Study) -> Table:
    """Return the table of the papers' numbers on benchmarks that this project does not have."""
    names = ("method", "searched on", "measure", "published", "published in", NOT_MEASURED)
    table = Table(
        "Numbers that the papers of this protocol print of searches that no benchmark of this project makes.",
        [Column(name, right=name == "published") for name in names],
    )
    for item in elsewhere(study):
        line = item.line
        value = spread(line["mean"], line["std"])
        measure = f"{target_name(line['target'])}, {UNITS[line['metric']]}"
        table.add([study.label(item.row), item.benchmark, measure, value, papers.source(line), item.reason])
    return table


def tally(study: Study) -> str:
    """Return a sentence with the number of verdicts on trained cells, by row, stage and data set."""
    names = []
    for benchmark in study.benchmarks:
        if study.untested(benchmark):
            for _, data, group in chosen(study, benchmark):
                names += [
                    result.verdict.name for result in judged(study, benchmark, data, group).values() if result.values.size
                ]
            names += [NOT_MEASURED] * len(missing(study, benchmark))
    names += [NOT_MEASURED] * len({(item.row, item.benchmark, item.line["target"]) for item in elsewhere(study)})
    return f"Verdicts on trained cells, by row, stage and data set: {counted(names)}." if names else ""
