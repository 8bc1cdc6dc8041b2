"""The scoreboard: every number that the papers print, with ours and the verdict, or with the reason why there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reports import cell_errors, claims
from reports import published as papers
from reports.evidence import NOT_YET, Run, Training
from reports.formats import MISSING, signed, spread, target_name, with_interval
from reports.layout import Block, Cited, Column, Heading, Paragraph, Table
from reports.measures import MEASURES, Of
from reports.statistics import mean_interval
from reports.study import Study
from reports.verdict import NOT_MEASURED, VERDICTS, Verdict, difference_from, judge_target, margin_of

Line = dict[str, Any]

HIDDEN = "trained by settings that no paper states"
NO_SEARCH = "a search that this project does not have"
SETTING = "a setting"
QUOTED = "quoted: another author's method or network"
DERIVED = "a reference, a repetition or a derived number"


class Way(NamedTuple):
    """How a line can be measured for a row."""

    obstacle: str
    """What is missing on this machine, ``needs a GPU``; empty if nothing is."""
    arguments: str
    """Arguments of ``python -m harness.run`` that measure it."""


@dataclass(frozen=True)
class Comparison:
    """A printed number and a row of ours, or a printed number that no row corresponds to."""

    line: Line
    row: str
    values: np.ndarray
    """Ours, one per run, in the unit of the line."""
    verdict: Verdict
    kind: str
    """A verdict on a measured number, or in a few words why it is not measured."""
    way: Way | None = None


# -- our values for a line, by its metric ------------------------------------------------------------------------------


def _chosen(study: Study, line: Line, row: str) -> pd.DataFrame:
    """Return the trainings of the row's chosen cell on the line's data; empty if there are none."""
    for _, data, group in cell_errors.chosen(study, line["benchmark"]):
        if data == line["target"] and (group[Training.ROW] == row).any():
            return group[group[Training.ROW] == row]
    return study.evidence.trainings.iloc[:0]


def _error(column: str) -> Callable[[Study, Line, str], np.ndarray]:
    return lambda study, line, row: cell_errors.of(_chosen(study, line, row), column)


def _smallest(study: Study, line: Line, row: str) -> np.ndarray:
    return np.sort(_error(Training.ACCURACY)(study, line, row))[:1]


def _size(trained: str, found: str) -> Callable[[Study, Line, str], np.ndarray]:
    """Return the reader of a size in millions: of the chosen cell, or of every cell found if none is trained."""

    def read(study: Study, line: Line, row: str) -> np.ndarray:
        sizes = _chosen(study, line, row)[trained].dropna().to_numpy(dtype=float)[:1]
        return (sizes if len(sizes) else study.done(line["benchmark"], row)[found].dropna().to_numpy(dtype=float)) / 1e6

    return read


def _validation(study: Study, line: Line, row: str) -> np.ndarray:
    return study.finished(line["benchmark"], row, line["target"])[Run.VALID].dropna().to_numpy(dtype=float)


def _cost(study: Study, line: Line, row: str) -> np.ndarray:
    name = "GPU-days" if line["cost_unit"] == "GPU-days" else "GPU seconds"
    return MEASURES[name](Of(study, line["benchmark"], row)).to_numpy(dtype=float)


def _distance(study: Study, line: Line, row: str) -> np.ndarray:
    """Distances from the row without the changed setting; of random cells, from every row that has changed ones."""
    ran = study.rows(line["benchmark"])
    base = study.unchanged(row) if "[" in row else next((study.unchanged(name) for name in ran if "[" in name), "")
    return MEASURES["Hamming distance"](Of(study, line["benchmark"], row, base)).to_numpy(dtype=float)


def _measure(name: str) -> Callable[[Study, Line, str], np.ndarray]:
    return lambda study, line, row: MEASURES[name](Of(study, line["benchmark"], row, target=line["target"])).to_numpy(
        dtype=float
    )


READERS: dict[str, Callable[[Study, Line, str], np.ndarray]] = {
    "test_accuracy_pct": lambda study, line, row: study.test(line["benchmark"], row, line["target"]),
    "valid_accuracy_pct": _validation,
    "test_error_pct": _error(Training.ACCURACY),
    "test_error_pct[seed set 1]": _error(Training.ACCURACY),
    "top1_error_pct": _error(Training.ACCURACY),
    "top5_error_pct": _error(Training.TOP5),
    "test_error_pct_best": _smallest,
    "multiply_add_M": _size(Training.MACS, Run.MACS),
    "params_M": _size(Training.PARAMETERS, Run.PARAMETERS),
    "search_cost": _cost,
    "hamming_distance": _distance,
    "kendall_tau": _measure("Kendall correlation"),
    "supernet_valid_accuracy_pct[before discretisation]": _measure("before"),
    "supernet_valid_accuracy_pct[after discretisation]": _measure("after"),
    "search_epochs_until_termination": _measure("epoch in which the last node settles"),
}
"""By metric, the function that returns our values for a line and a row."""
TRAINED = ("test_error_pct", "test_error_pct[seed set 1]", "top1_error_pct", "top5_error_pct", "test_error_pct_best")
JUDGED = ("test_accuracy_pct", "test_error_pct", "test_error_pct[seed set 1]", "top1_error_pct")
"""Metrics that have a margin."""


def numbers(published: pd.DataFrame) -> Iterator[Line]:
    """Yield every line, then the parameters and search costs that are printed with lines of our rows, each once."""
    lines = [{str(name): value for name, value in record.items()} for record in published.to_dict("records")]
    lines = [line if line["metric"] != "search_cost" else line | {"mean": line["search_cost"]} for line in lines]
    seen = {(line["paper"], line["table"], line["label"], line["metric"]) for line in lines}
    for line in lines:
        yield line
        for metric in ("params_M", "search_cost"):
            key = (line["paper"], line["table"], line["label"], metric)
            if line["row"] and isfinite(line[metric]) and key not in seen:
                seen.add(key)
                yield line | {"metric": metric, "mean": line[metric], "std": nan, "n": nan, "n_source": "", "record": ""}


# -- comparisons -------------------------------------------------------------------------------------------------------


def compare(
    studies: Sequence[Study], published: pd.DataFrame, way: Callable[[Line, str], Way] = lambda line, row: Way("", "")
) -> list[Comparison]:
    """Return a comparison for every printed number and each of its rows; of several studies, with the one that has most runs.

    Args:
        studies: any number, of any protocols.
        way: how a line can be measured for a row.
    """
    results = []
    for line in numbers(published):
        for row in line["row"].split(";"):
            read = READERS.get(line["metric"])
            under = [study for study in studies if study.page.protocol == line["protocol"]] if row and read else []
            found = [(study, read(study, line, row)) for study in under if read]
            study, values = max(found, key=lambda pair: len(pair[1]), default=(None, np.empty(0)))
            if study is not None and len(values):
                verdict = _judge(study, line, row, values)
                results.append(Comparison(line, row, values, verdict, verdict.name, way(line, row)))
            else:
                results.append(_unmeasured(line, row, way))
    return results


def _judge(study: Study, line: Line, row: str, values: np.ndarray) -> Verdict:
    reason = study.obstacle(line["benchmark"], row)
    trained = line["metric"] in TRAINED
    if trained:
        training = _chosen(study, line, row).iloc[0].to_dict()
        reason = "; ".join(cell_errors.obstacles(study, line["benchmark"], row, training, line))
    elif line["metric"] == "search_cost":
        reason = "measured on another machine"
    margin = margin_of(line["benchmark"], line["target"]) if line["metric"] in JUDGED else None
    verdict = judge_target(values, line, margin, reason)
    return replace(verdict, notes=(*verdict.notes, *cell_errors.doubts(line))) if trained and verdict.difference else verdict


def _unmeasured(line: Line, row: str, way: Callable[[Line, str], Way]) -> Comparison:
    """Return the class and the reason of a number that nothing here measures."""
    reason, kind, how = line["unmapped"] or line["unmeasured"], NO_SEARCH, None
    if line["unmapped"]:
        start = reason.partition(" ")[0].rstrip(",;:")
        kind = SETTING if start == "setting" else QUOTED if start in ("quoted", "re-evaluation", "network") else DERIVED
    elif not reason:
        how = way(line, row)
        reason = kind = how.obstacle or NOT_YET
        if line["metric"] in TRAINED and not line["recipe"]:
            reason, kind = "the recipe behind the printed number is not stated", HIDDEN
    return Comparison(line, row, np.empty(0), Verdict(NOT_MEASURED, reason), kind, how)


# -- the page ----------------------------------------------------------------------------------------------------------

METRICS = {
    "test_accuracy_pct": "test accuracy %",
    "valid_accuracy_pct": "validation accuracy %",
    "test_error_pct_best": "smallest test error %",
    "multiply_add_M": "multiply-adds M",
    "params_M": "parameters M",
    "hamming_distance": "Hamming distance",
    "kendall_tau": "Kendall's τ",
    "search_epochs_until_termination": "epochs until the search ends",
} | cell_errors.UNITS
"""Metrics in words."""
WHOLE = ("multiply_add_M", "hamming_distance", "search_epochs_until_termination")
"""Metrics that are printed as whole numbers."""


def blocks(
    studies: Sequence[Study], published: pd.DataFrame, way: Callable[[Line, str], Way] = lambda line, row: Way("", "")
) -> list[Block]:
    """Return the page: counts by paper, the claims of the papers, and a table for each table of a paper."""
    comparisons = compare(studies, published, way)
    tested = {claim: [result.verdict for result in claims.tested(claim, studies)] for claim in claims.load()}
    shown: list[Block] = [
        Paragraph(_sources(studies)),
        _counts(
            "printed numbers",
            [(item.line["paper"], item.kind) for item in comparisons],
            "A number that may belong to several of our rows is compared with each and counts for each. The parameters and "
            "search costs that are printed with a row are numbers too.",
        ),
        _counts(
            "claims",
            [(claim.paper, verdict) for claim, verdicts in tested.items() for verdict in verdicts or [claims.NOT_TESTED]],
            "A claim counts in each setting in which it was tested.",
        ),
        *claims.blocks(studies),
    ]
    for paper, table in dict.fromkeys((item.line["paper"], item.line["table"]) for item in comparisons):
        items = [item for item in comparisons if (item.line["paper"], item.line["table"]) == (paper, table)]
        shown += [Heading(f"{papers.PAPERS[paper]}, {papers.place(table)}"), _table(items)]
    return shown


def _sources(studies: Sequence[Study]) -> str:
    """Return what the page is made of, and which stored rows are not on it."""
    rows: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for study in studies:
        rows[" ".join(filter(None, (study.page.protocol, study.page.modified)))] += sum(
            map(len, map(study.rows, study.benchmarks))
        )
        left_out.update({reason: len(names) for reason, names in study.page.left_out.items()})
    stored = ", ".join(f"{name} ({count} rows)" for name, count in rows.items() if count) or "no protocol"
    other = ", ".join(f"{reason} ({count} rows)" for reason, count in left_out.items())
    return f"Stored runs under: {stored}." + (f" Not on this page: {other}." if other else "")


def _counts(what: str, pairs: Sequence[tuple[str, str]], caption: str) -> Table:
    """Return the number of (paper, class) pairs: verdicts first, in their order, then the other classes by size."""
    sizes = Counter(kind for _, kind in pairs)
    order = {name: -len(VERDICTS) + place for place, name in enumerate(VERDICTS)}
    table = Table(caption, [Column(what, right=False), *(Column(name) for name in papers.PAPERS.values()), Column("all")])
    for kind in [*sorted(sizes, key=lambda kind: (order.get(kind, 0), -sizes[kind])), ""]:
        tally = Counter(paper for paper, name in pairs if kind in ("", name))
        table.add([kind or "all", *(str(tally[paper]) for paper in papers.PAPERS), str(tally.total())], rule=not kind)
    return table


def _table(items: Sequence[Comparison]) -> Table:
    names = ["printed for", "our row", "data", "measure", "printed", "ours [95 %]", "n", "Δ [95 %]", "result", "reason"]
    table = Table(
        "Δ = ours − printed, with Welch's interval if both sides have a spread and the n of the paper is known. A result is "
        "that of one number; the pages of the protocols correct over the data sets of a row.",
        [Column(name, right=name in names[4:8]) for name in (*names, "python -m harness.run")],
    )
    for item in items:
        line, values, metric = item.line, item.values, item.line["metric"]
        digits = 3 if metric in ("search_cost", "kendall_tau") else 0 if metric in WHOLE else 2
        measure = METRICS.get(metric, metric.replace("_pct", " %").replace("_", " "))
        text = line["caveats"].rpartition("value: ")[2] if "value: " in line["caveats"] else ""
        ours, delta, difference = MISSING, MISSING, difference_from(values, line)
        if len(values):
            ours = with_interval(float(values.mean()), mean_interval(values), digits)
            delta = signed(float(values.mean()) - line["mean"], digits)
        if difference:
            delta = with_interval(difference.delta, difference.interval(0.95), digits, sign=True)
        reason = "; ".join(filter(None, [item.verdict.reason, *item.verdict.notes]))
        table.add(
            [
                Cited(line["label"], [papers.CITATIONS[line["paper"]]]),
                item.row or MISSING,
                target_name(line["target"]),
                measure + (f", {line['cost_unit']}" if metric == "search_cost" else ""),
                text or spread(line["mean"], line["std"], digits),
                *(ours, str(len(values) or MISSING), delta, item.kind),
                MISSING if reason == item.kind else reason or MISSING,
                item.way.arguments if item.way else MISSING,
            ]
        )
    return table
