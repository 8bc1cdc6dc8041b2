"""The scoreboard: every result that the papers print, with ours and the verdict, or with the reason why there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from reports.published import Line
from reports.statistics import mean_interval
from reports.study import Study
from reports.verdict import NOT_MEASURED, VERDICTS, Verdict, counted, difference_from, judge_target, margin_of

HIDDEN = "trained by settings that no paper states"
NO_SEARCH = "a search that this project does not have"
SETTING = "a setting"
QUOTED = "quoted: another author's method or network"
DERIVED = "a reference or a derived number"
REPEATED = "a repetition: the paper prints it before"
MORE_SEARCHES = "a further set of searches"
KINDS = {"setting": SETTING, "repeats": REPEATED, "needs": NO_SEARCH, "further": MORE_SEARCHES}
KINDS |= dict.fromkeys(("quoted", "re-evaluation", "network"), QUOTED)
"""By the first word of the reason why a line has no row or is not measured; all others are DERIVED."""


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


def searched(line: Mapping[str, Any]) -> str:
    """Return the data set that the searches behind a line see."""
    return str(line["benchmark"]).partition("/")[2]


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


def _size(trained: str, proposed: str) -> Callable[[Study, Line, str], np.ndarray]:
    """Return the reader of a size in millions: of the chosen cell, or of every proposal if none is trained.

    The size of a proposal is that of its network for the data set that it is searched on.
    """

    def read(study: Study, line: Line, row: str) -> np.ndarray:
        sizes = _chosen(study, line, row)[trained].dropna().to_numpy(dtype=float)[:1]
        if not len(sizes) and line["target"] == searched(line):
            sizes = study.done(line["benchmark"], row)[proposed].dropna().to_numpy(dtype=float)
        return sizes / 1e6

    return read


def _place(line: Line, row: str) -> tuple[str, str, str]:
    return line["benchmark"], row, line["target"]


def _validation(study: Study, line: Line, row: str) -> np.ndarray:
    return study.finished(*_place(line, row))[Run.VALID].dropna().to_numpy(dtype=float)


def _cost(study: Study, line: Line, row: str) -> np.ndarray:
    name = "GPU-days" if line["cost_unit"].startswith("GPU-days") else "GPU seconds"
    return MEASURES[name](Of(study, line["benchmark"], row)).to_numpy(dtype=float)


def _distance(study: Study, line: Line, row: str) -> np.ndarray:
    """Distances from the row without the changed setting; of random cells, from every row that has changed ones."""
    ran = study.rows(line["benchmark"])
    base = study.unchanged(row) if "[" in row else next((study.unchanged(name) for name in ran if "[" in name), "")
    return MEASURES["Hamming distance"](Of(study, line["benchmark"], row, base)).to_numpy(dtype=float)


def _measure(name: str) -> Callable[[Study, Line, str], np.ndarray]:
    return lambda study, line, row: MEASURES[name](Of(study, *_place(line, row)[:2])).to_numpy(dtype=float)


class Metric(NamedTuple):
    """What a metric of the papers is in words, and how ours is read."""

    words: str
    read: Callable[[Study, Line, str], np.ndarray]
    """Return our values for a line and a row."""
    trained: bool = False
    """True if the values are of trainings of the chosen cell."""
    judged: bool = False
    """True if a margin may be fixed for it."""
    digits: int = 2


METRICS = {
    "test_accuracy_pct": Metric("test accuracy %", lambda study, line, row: study.test(*_place(line, row)), judged=True),
    "valid_accuracy_pct": Metric("validation accuracy %", _validation),
    "test_error_pct": Metric("test error %", _error(Training.ACCURACY), trained=True, judged=True),
    "test_error_pct[seed set 1]": Metric("test error %", _error(Training.ACCURACY), trained=True, judged=True),
    "top1_error_pct": Metric("top-1 error %", _error(Training.ACCURACY), trained=True, judged=True),
    "top5_error_pct": Metric("top-5 error %", _error(Training.TOP5), trained=True),
    "test_error_pct_best": Metric("smallest test error %", _smallest, trained=True),
    "multiply_add_M": Metric("multiply-adds M", _size(Training.MACS, Run.MACS), digits=0),
    "params_M": Metric("parameters M", _size(Training.PARAMETERS, Run.PARAMETERS)),
    "search_cost": Metric("search cost", _cost, digits=3),
    "hamming_distance": Metric("Hamming distance", _distance, digits=0),
    "kendall_tau": Metric("Kendall's τ", _measure("Kendall correlation")),
    "supernet_valid_accuracy_pct[before discretisation]": Metric("supernet before discretisation %", _measure("before")),
    "supernet_valid_accuracy_pct[after discretisation]": Metric("supernet after discretisation %", _measure("after")),
    "search_epochs_until_termination": Metric(
        "epochs of the search", _measure("epoch in which all nodes are settled"), digits=0
    ),
}
"""The metrics of lines that can be measured."""


def numbers(published: pd.DataFrame) -> Iterator[Line]:
    """Yield every line, and each of the parameters and search costs that are printed with lines of our rows.

    A cost is that of a search, which knows no recipe and no data set but its own.
    """
    lines = [
        line if line["metric"] != "search_cost" else line | {"mean": line["search_cost"]} for line in papers.records(published)
    ]
    seen = {(line["paper"], line["table"], line["label"], line["metric"], line["mean"]) for line in lines}
    for line in lines:
        yield line
        for metric in ("params_M", "search_cost"):
            key = (line["paper"], line["table"], line["label"], metric, line[metric])
            if (line["row"] or line["unmapped"].startswith("repeats")) and isfinite(line[metric]) and key not in seen:
                seen.add(key)
                number = line | {"metric": metric, "mean": line[metric], "std": nan, "n": nan, "n_source": "", "record": ""}
                yield number | ({"target": searched(line), "recipe": ""} if metric == "search_cost" else {})


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
    printed: dict[tuple[Any, ...], str] = {}
    for line in numbers(published):
        for row in line["row"].split(";"):
            key = (line["paper"], row, line["benchmark"], line["target"], line["metric"], line["mean"])
            if key in printed and not line["metric"].startswith("hparam:"):
                verdict = Verdict(NOT_MEASURED, f"repeats {papers.place(printed[key])}")
                results.append(Comparison(line, row, np.empty(0), verdict, REPEATED))
                continue
            printed[key] = line["table"]
            metric = METRICS.get(line["metric"]) if row else None
            under = [study for study in studies if study.page.protocol == line["protocol"]] if metric else []
            samples = [(study, metric.read(study, line, row)) for study in under if metric]
            study, values = max(samples, key=lambda sample: len(sample[1]), default=(None, np.empty(0)))
            if study is not None and metric is not None and len(values):
                verdict = _judge(study, line, row, metric, values)
                results.append(Comparison(line, row, values, verdict, verdict.name, way(line, row)))
            else:
                results.append(_unmeasured(line, row, way))
    return results


def _judge(study: Study, line: Line, row: str, metric: Metric, values: np.ndarray) -> Verdict:
    margin = margin_of(line["benchmark"], line["target"]) if metric.judged else None
    if metric.trained:
        return cell_errors.judge(study, row, _chosen(study, line, row), line, values, margin)
    reason = claims.ANOTHER_MACHINE + "; ours is of one search" * line["cost_unit"].endswith("searches")
    if line["metric"] != "search_cost":
        reason = study.obstacle(line["benchmark"], row)
    return judge_target(values, line, margin, reason)


def _unmeasured(line: Line, row: str, way: Callable[[Line, str], Way]) -> Comparison:
    """Return the class and the reason of a number that nothing here measures."""
    reason, how = line["unmapped"] or line["unmeasured"], None
    kind = KINDS.get(reason.partition(" ")[0].rstrip(",;:"), DERIVED)
    if kind == MORE_SEARCHES or not reason:
        how = way(line, row)
    if not reason and how:
        reason = kind = how.obstacle or NOT_YET
        if METRICS[line["metric"]].trained and not line["recipe"]:
            reason, kind = "the recipe behind the printed number is not stated", HIDDEN
    return Comparison(line, row, np.empty(0), Verdict(NOT_MEASURED, reason), kind, how)


# -- the page ----------------------------------------------------------------------------------------------------------


def blocks(
    studies: Sequence[Study], published: pd.DataFrame, way: Callable[[Line, str], Way] = lambda line, row: Way("", "")
) -> list[Block]:
    """Return the page: counts by paper, the claims of the papers, and a table for each table of a paper."""
    comparisons = compare(studies, published, way)
    tested = {claim: list(claims.results(claim, studies)) for claim in claims.load()}
    verdicts = counted(item.kind for item in comparisons) or "none is measured"
    distinct = {id(item.line): item.line["paper"] for item in comparisons if item.kind != REPEATED}
    shown: list[Block] = [
        Paragraph(f"{len(comparisons)} comparisons with {len(distinct)} printed numbers: {verdicts}. {_sources(studies)}"),
        _counts(
            "comparisons",
            [(item.line["paper"], item.kind) for item in comparisons],
            [*distinct.values()],
            "A number that may belong to several of our rows is compared with each and counts for each, and so does a number "
            "that a paper repeats; the last line counts each number once. The parameters and search costs that are printed "
            "with a row are numbers too, and the settings of CoNAS and feature map selection, not those of other papers.",
        ),
        _counts(
            "claims",
            [
                (claim.paper, result.verdict)
                for claim, outcomes in tested.items()
                for result in outcomes or [claims.untested(claim)]
            ],
            [claim.paper for claim in tested],
            "A claim counts in each setting in which it was tested; the last line counts it once.",
        ),
        *claims.blocks(tested),
    ]
    for paper, table in dict.fromkeys((item.line["paper"], item.line["table"]) for item in comparisons):
        items = [item for item in comparisons if (item.line["paper"], item.line["table"]) == (paper, table)]
        shown += [Heading(f"{papers.PAPERS[paper]}, {papers.place(table)}"), _table(items)]
    return shown


def _sources(studies: Sequence[Study]) -> str:
    """Return what the page is made of, and which stored rows are not on it."""
    shown: dict[str, set[str]] = {}
    for study in studies:
        places = {f"{row} on {benchmark}" for benchmark in study.benchmarks for row in study.rows(benchmark)}
        shown.setdefault(study.page.protocol, set()).update(places)
    stored = ", ".join(f"{name} ({len(rows)} rows)" for name, rows in shown.items() if rows) or "no protocol"
    absent: dict[str, set[str]] = {}
    for study in studies:
        for reason, rows in study.page.left_out.items():
            absent.setdefault(reason, set()).update(set(rows) - shown[study.page.protocol])
    other = ", ".join(f"{reason} ({len(rows)} rows)" for reason, rows in absent.items() if rows)
    return f"Stored runs under: {stored}." + (f" Not on this page: {other}." if other else "")


def _counts(what: str, pairs: Sequence[tuple[str, str]], once: Sequence[str], caption: str) -> Table:
    """Return the number of (paper, class) pairs, verdicts first, then by size; ``once`` has the paper of each thing."""
    sizes = Counter(kind for _, kind in pairs)
    order = {name: -len(VERDICTS) + place for place, name in enumerate(VERDICTS)}
    table = Table(caption, [Column(what, right=False), *(Column(name) for name in papers.PAPERS.values()), Column("all")])
    for kind in [*sorted(sizes, key=lambda kind: (order.get(kind, 0), -sizes[kind])), ""]:
        tally = Counter(paper for paper, name in pairs if kind in ("", name))
        table.add([kind or "all", *(str(tally[paper]) for paper in papers.PAPERS), str(tally.total())], rule=not kind)
    table.add(["each once", *(str(once.count(paper)) for paper in papers.PAPERS), str(len(once))])
    return table


def _table(items: Sequence[Comparison]) -> Table:
    names = ["printed for", "our row", "data", "measure", "printed", "ours [95 %]", "n", "Δ [95 %]", "result", "reason"]
    table = Table(
        "Δ = ours − printed, with Welch's interval if both sides have a spread and the n of the paper is known. A result is "
        "that of one number; the pages of the protocols correct over the data sets of a row.",
        [Column(name, right=name in names[4:8]) for name in (*names, "python -m harness.run")],
    )
    for item in items:
        line, values, name = item.line, item.values, item.line["metric"]
        words, digits = (METRICS[name].words, METRICS[name].digits) if name in METRICS else (_in_words(name), 2)
        text = line["caveats"].rpartition("value: ")[2] if "value: " in line["caveats"] else ""
        text = text or (f"{line['mean']:g}" if name.startswith("hparam:") else spread(line["mean"], line["std"], digits))
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
                words + (f", {line['cost_unit']}" if name == "search_cost" else ""),
                text,
                *(ours, str(len(values) or MISSING), delta, item.kind),
                MISSING if reason == item.kind else reason or MISSING,
                item.way.arguments if item.way else MISSING,
            ]
        )
    return table


def _in_words(metric: str) -> str:
    """Return a metric that is not measured in words."""
    return cell_errors.UNITS.get(metric, metric.replace("_pct", " %").replace("_", " ").replace("hparam:", "setting: "))
