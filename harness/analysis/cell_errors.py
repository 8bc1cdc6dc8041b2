"""Results of trainings from scratch, errors or perplexities, against the papers' numbers. Lower is better.

A verdict compares the trainings of a row's chosen cell with the printed mean over trainings of the paper's chosen cell, if
images, recipe, choice and epoch are those of the paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis import published as papers
from harness.analysis.agreement import Judged
from harness.analysis.evidence import Training
from harness.analysis.published import Line
from harness.analysis.study import Study, other_images
from harness.analysis.verdict import Verdict, judge_target, margin_of

METRICS = {"imagenet": "top1_error_pct", "ptb": "test_perplexity"}
"""The metric that the papers print for a data set, if it is not ``test_error_pct``."""
UNSTATED_CHOICE = "it is not certain on which images the paper chose its cell"
UNCERTAIN_EPOCH = "the printed number may be a best epoch on the test set, ours is the last"
IMAGES = {"valid": "validation images", "test": "the test set"}


def lines(study: Study, benchmark: str, data: str, set_number: int = 1, metric: str = "") -> dict[str, list[Line]]:
    """Return by row the papers' lines of its cell on a data set; the first line is the one that judges.

    Args:
        set_number: of the set of searches among which the cell was chosen.
        metric: empty: the metric that judges cells on the data set.
    """
    metric = (metric or METRICS.get(data, "test_error_pct")) + f"[seed set {set_number}]" * (set_number > 1)
    by_row = study.printed_lines(benchmark, metric)
    on_data = {row: [line for line in several if line["target"] == data] for row, several in by_row.items()}
    return {row: several for row, several in on_data.items() if several}


def chosen(study: Study, benchmark: str) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield stage, data set and trainings of every stage that trains chosen cells and measures them on test images."""
    trained = study.evidence.trainings
    trained = trained[(trained[Training.BENCHMARK] == benchmark) & ~trained[Training.PROBED].astype(bool)]
    trained = trained[(trained[Training.CHOSEN_BY] != "") & (trained[Training.SPLIT] == "test")]
    for (stage, data), group in trained.groupby([Training.STAGE, Training.DATA], sort=False):
        yield str(stage), str(data), group


def chosen_cells(trainings: pd.DataFrame) -> Iterator[tuple[tuple[str, int], pd.DataFrame]]:
    """Yield the trainings of each chosen cell of a stage, by row and by the set of searches among which it was chosen."""
    for _, group in trainings.groupby([Training.ROW, Training.SET], sort=False):
        first = group.iloc[0]
        yield (str(first[Training.ROW]), int(first[Training.SET])), group


def perplexed(trainings: pd.DataFrame) -> bool:
    """Return whether the trainings are of language models, which are compared by perplexity."""
    return bool((trainings[Training.METRIC] == "perplexity").all())


def has_top5(data: str) -> bool:
    """Return whether the papers print top-5 errors on a data set too."""
    return METRICS.get(data) == "top1_error_pct"


def results(trainings: pd.DataFrame, column: str = Training.ACCURACY) -> pd.Series:
    """Return what trainings are compared by, lower is better; NaN for those that are not finished.

    Perplexities of language models; of other networks the errors in percent, 100 minus the accuracies of a column.
    """
    values: pd.Series = trainings[Training.PERPLEXITY] if perplexed(trainings) else 100 - trainings[column]
    return values.astype(float)


def of(trainings: pd.DataFrame, column: str = Training.ACCURACY) -> np.ndarray:
    """Return the results of the finished trainings; see :func:`results`."""
    return results(trainings, column).dropna().to_numpy()


def judged(study: Study, benchmark: str, data: str, trainings: pd.DataFrame) -> dict[tuple[str, int], Judged]:
    """Return by row and set of searches the verdict on the chosen cell; those without a printed number are left out.

    Args:
        trainings: those of one stage on ``data``.
    """
    margin, results = margin_of(benchmark, data), {}
    for (row, set_number), group in chosen_cells(trainings):
        known = lines(study, benchmark, data, set_number).get(row)
        if known:
            ours, label = of(group), study.label(row) + f", set {set_number}" * (set_number > 1)
            verdict = judge(study, row, group, known[0], ours, margin)
            results[row, set_number] = Judged(label, data, ours, known[0], margin, verdict)
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
