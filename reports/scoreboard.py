"""The scoreboard: every number that the papers print, with ours and the verdict, or with the reason why there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reports import cell_errors, claims
from reports import published as papers
from reports.evidence import NOT_YET
from reports.formats import MISSING, signed, spread, target_name, with_interval
from reports.layout import Block, Bullets, Column, Heading, Paragraph, Table
from reports.measures import MEASURES, Of, chosen
from reports.published import Line
from reports.statistics import mean_interval
from reports.study import Study
from reports.verdict import NOT_MEASURED, VERDICTS, Verdict, difference_from, judge_target, margin_of

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
WORDS = (
    ("reproduced", "the 90 % interval of the difference lies within ±δ, a margin that was fixed before the runs"),
    ("consistent, not conclusive", "the 95 % interval of the difference contains 0"),
    ("differs", "the 95 % interval lies outside ±δ"),
    ("unclear", "none of these, or fewer than 3 runs"),
    ("not comparable", "measured, by another rule or machine than the paper's, or printed without a spread"),
    ("supported, contradicted, undecided", "a claim in the paper's own setting: the 95 % interval of the effect lies on the "
     "claimed side of the bound, on the other side, or contains it"),
    ("observed, opposite observed, undecided on …", "the same in another setting, such as the bundled digits; it says nothing "
     "about the paper's numbers"),
)  # fmt: skip
"""What the results on the page mean."""


class Way(NamedTuple):
    """How a line can be measured for a row."""

    obstacle: str
    """What is missing on this machine, ``needs a GPU``; empty if nothing is."""
    arguments: str
    """Arguments of ``python -m harness.run`` that measure it."""


WayTo = Callable[[Mapping[str, Any], str], Way]
"""Return how a line (or a claim's protocol, benchmark and target) is measured for some rows, joined by ``;``."""


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

    @property
    def printed(self) -> str:
        """Return the printed value as text."""
        name, (_, _, value) = self.line["metric"], self.line["caveats"].rpartition("value: ")
        if name.startswith("hparam:"):
            return f"{self.line['mean']:g}" if isfinite(self.line["mean"]) else value
        return spread(self.line["mean"], self.line["std"], self.digits)

    @property
    def digits(self) -> int:
        """Return the number of decimals that the papers print."""
        metric = METRICS.get(self.line["metric"])
        return metric.digits if metric else 2

    @property
    def measure(self) -> str:
        """Return the metric in words, with the unit of a cost."""
        name = self.line["metric"]
        if metric := METRICS.get(name):
            return metric.words + (f", {self.line['cost_unit']}" if name == "search_cost" else "")
        return cell_errors.UNITS.get(name, name.replace("_pct", " %").replace("_", " ").replace("hparam:", ""))


class Metric(NamedTuple):
    """What a metric of the papers is in words, and the measure that reads ours."""

    words: str
    measure: str
    """A name in :data:`reports.measures.MEASURES`."""
    trained: bool = False
    """True if the values are of trainings of the chosen cell."""
    judged: bool = False
    """True if a margin may be fixed for it."""
    digits: int = 2


ERROR, SUPERNET = "test error of the chosen cell", "supernet_valid_accuracy_pct"
METRICS = {
    "test_accuracy_pct": Metric("test accuracy %", "test accuracy of every run", judged=True),
    "valid_accuracy_pct": Metric("validation accuracy %", "validation accuracy of every run"),
    "test_error_pct": Metric("test error %", ERROR, trained=True, judged=True),
    "test_error_pct[seed set 1]": Metric("test error %", ERROR, trained=True, judged=True),
    "top1_error_pct": Metric("top-1 error %", ERROR, trained=True, judged=True),
    "top5_error_pct": Metric("top-5 error %", "top-5 error of the chosen cell", trained=True),
    "test_error_pct_best": Metric("smallest test error %", "smallest test error of the chosen cell", trained=True),
    "multiply_add_M": Metric("multiply-adds M", "multiply-adds", digits=0),
    "params_M": Metric("parameters M", "parameters"),
    "search_cost": Metric("search cost", "", digits=3),
    "hamming_distance": Metric("Hamming distance", "Hamming distance", digits=0),
    "operations": Metric("operations of the cell", "operations", digits=0),
    "kendall_tau": Metric("Kendall's τ", "Kendall correlation"),
    "kendall_p": Metric("p of Kendall's τ", "p of Kendall's correlation"),
    f"{SUPERNET}[before discretisation]": Metric("supernet before discretisation %", "before"),
    f"{SUPERNET}[after discretisation]": Metric("supernet after discretisation %", "after"),
    "search_epochs_until_termination": Metric("epochs of the search", "epoch in which all nodes are settled", digits=0),
}
"""The metrics of lines that can be measured. The measure of a search cost has the unit of the line."""


def searched(line: Mapping[str, Any]) -> str:
    """Return the data set that the searches behind a line see."""
    return str(line["benchmark"]).partition("/")[2]


def read(study: Study, line: Line, row: str) -> np.ndarray:
    """Return our values for a line and a row.

    A distance is that from the row without the changed setting; of random cells, from every row that has changed ones.
    """
    name = METRICS[line["metric"]].measure or ("GPU-days" if line["cost_unit"].startswith("GPU-days") else "GPU seconds")
    several = [row, *study.rows(line["benchmark"])]
    base = next((study.unchanged(other) for other in several if "[" in other), "")
    return MEASURES[name](Of(study, line["benchmark"], row, base, line["target"])).to_numpy(dtype=float)


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


def compare(studies: Sequence[Study], published: pd.DataFrame, way: WayTo = lambda line, row: Way("", "")) -> list[Comparison]:
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
            metric = METRICS.get(line["metric"]) if row and not line["unmeasured"] else None
            under = [study for study in studies if study.page.protocol == line["protocol"]] if metric else []
            samples = [(study, read(study, line, row)) for study in under]
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
        trained = chosen(Of(study, line["benchmark"], row, target=line["target"]))
        return cell_errors.judge(study, row, trained, line, values, margin)
    reason = claims.ANOTHER_MACHINE + "; ours is of one search" * line["cost_unit"].endswith("searches")
    if line["metric"] != "search_cost":
        reason = study.obstacle(line["benchmark"], row)
    return judge_target(values, line, margin, reason)


def _unmeasured(line: Line, row: str, way: WayTo) -> Comparison:
    """Return the class and the reason of a number that nothing here measures."""
    reason, how = line["unmapped"] or line["unmeasured"], None
    kind = KINDS.get(reason.partition(" ")[0].rstrip(",;:"), DERIVED)
    if not reason:
        how = way(line, row)
        reason = kind = how.obstacle or NOT_YET
        if METRICS[line["metric"]].trained and not line["recipe"]:
            reason, kind = "the recipe behind the printed number is not stated", HIDDEN
    return Comparison(line, row, np.empty(0), Verdict(NOT_MEASURED, reason), kind, how)


# -- the page ----------------------------------------------------------------------------------------------------------


def blocks(studies: Sequence[Study], published: pd.DataFrame, way: WayTo = lambda line, row: Way("", "")) -> list[Block]:
    """Return the page: the main claims, counts by paper, and for each paper its numbers and its claims."""
    comparisons = compare(studies, published, way)
    tested = {claim: list(claims.results(claim, studies)) or [_untested(claim, way)] for claim in claims.load()}
    counted = [item for item in comparisons if item.kind != REPEATED]
    distinct = {id(item.line): item for item in counted}
    measured = {id(item.line) for item in counted if len(item.values)}
    shown: list[Block] = [
        Paragraph(
            f"Which results of five papers hold? They print {len(distinct)} numbers that are transcribed here; "
            f"{len(measured)} have a value from the stored runs. {_sources(studies)}"
        ),
        Bullets(list(WORDS)),
        Heading("The papers' main claims"),
        claims.table({claim: results for claim, results in tested.items() if claim.main}),
        Heading("Numbers and claims by paper"),
        _counts(
            "numbers",
            [(item.line["paper"], item.kind) for item in counted],
            [item.line["paper"] for item in distinct.values()],
            "A number that may belong to several of our rows is compared with each and counts for each; the last line counts "
            "each number once, and none that the same paper prints before. The parameters and search costs that are printed "
            "with a row are numbers too, and the settings of CoNAS and feature map selection, not those of other papers.",
        ),
        _counts(
            "claims",
            [(claim.paper, result.verdict) for claim, results in tested.items() for result in results],
            [claim.paper for claim in tested],
            "A claim counts in each setting in which it was tested; the last line counts it once.",
        ),
    ]
    for paper, name in papers.PAPERS.items():
        items = [item for item in comparisons if item.line["paper"] == paper]
        with_values = [item for item in items if len(item.values)]
        shown += [Heading(f"{name}: numbers measured here")]
        shown += [_measured(with_values)] if with_values else [Paragraph("None in these stores.")]
        of_paper = {claim: results for claim, results in tested.items() if claim.paper == paper}
        shown += [Heading(f"{name}: claims"), claims.table(of_paper), claims.quotes(of_paper)]
        shown += [Heading(f"{name}: numbers not measured here"), *_rest([item for item in items if not len(item.values)])]
        shown += [Heading(f"{name}: notes on the printed numbers"), Bullets(_notes(items))]
    return shown


def _untested(claim: claims.Claim, way: WayTo) -> claims.Tested:
    """Return a claim that was tested nowhere, with the reason or the command in place of the setting."""
    if claim.reason:
        return claims.Tested(claim.reason, claims.NOT_TESTED)
    protocol, benchmark = (*claim.also, *claim.on)[0].split()
    place = {"protocol": protocol, "benchmark": benchmark, "target": "", "recipe": "", "metric": ""}
    rows = [row for row in (claim.row, claim.against) if row]
    ways = [way(place, row) for row in (rows if "[" in "".join(rows) else [";".join(rows)])]  # a setting holds for a command
    commands = ", then ".join(dict.fromkeys(how.arguments for how in ways))
    return claims.Tested(f"{ways[0].obstacle or NOT_YET}: {commands}", claims.NOT_TESTED)


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


def _measured(items: Sequence[Comparison]) -> Table:
    names = ["printed for", "in", "our row", "data", "measure", "printed", "ours [95 %]", "n", "Δ [95 %]", "result", "remarks"]
    table = Table(
        "Δ = ours − printed, with Welch's interval if both sides have a spread and the n of the paper is known. A result is "
        "that of one number; the pages of the protocols correct over the data sets of a row.",
        [Column(name, right=name in names[5:9]) for name in names],
    )
    for item in items:
        line, values, digits = item.line, item.values, item.digits
        difference = difference_from(values, line)
        mean = float(values.mean())
        delta = signed(mean - line["mean"], digits)
        if difference:
            delta = with_interval(difference.delta, difference.interval(0.95), digits, sign=True)
        ours = with_interval(mean, mean_interval(values), digits)
        remarks = "; ".join(filter(None, [item.verdict.reason, *item.verdict.notes]))
        where = [line["label"], papers.place(line["table"]), item.row, target_name(line["target"]), item.measure]
        table.add([*where, item.printed, ours, str(len(values)), delta, item.kind, remarks or MISSING])
    return table


def _rest(items: Sequence[Comparison]) -> list[Block]:
    """Return what is not measured: a line for each row that can run, with its command, and lists of the rest by reason."""
    names = ("printed for", "in", "our row", "printed", "why not", "python -m harness.run")
    table = Table("One line for each row and command; what the numbers are of stands before them.", [])
    table.columns += [Column(name, right=False) for name in names]
    runs: dict[tuple[str, ...], list[Comparison]] = {}
    lists: dict[str, dict[str, list[Comparison]]] = {}
    for item in items:
        label, place, reason = item.line["label"], papers.place(item.line["table"]), item.verdict.reason
        if item.way:
            runs.setdefault((label, place, item.row, reason, item.way.arguments), []).append(item)
        else:
            lists.setdefault(reason, {}).setdefault(f"{place} {label}", []).append(item)
    for (label, place, row, reason, arguments), group in runs.items():
        table.add([label, place, row, _values(group), reason, arguments])
    named = [(reason, "; ".join(f"{name}: {_values(group)}" for name, group in of.items())) for reason, of in lists.items()]
    return [*([table] if table.rows else []), Bullets(named)]


def _values(items: Iterable[Comparison]) -> str:
    """Return printed values as text, by data set."""
    by_data: dict[str, list[str]] = {}
    for item in items:
        by_data.setdefault(target_name(item.line["target"]), []).append(f"{item.measure} {item.printed}")
    return "; ".join(f"{data}: {', '.join(texts)}" for data, texts in by_data.items())


def _notes(items: Iterable[Comparison]) -> list[tuple[str, str]]:
    """Return what is not certain about printed numbers, and what they are of: a note, and where it applies."""
    notes: dict[str, dict[str, None]] = {}
    for item in items:
        for note in filter(None, item.line["caveats"].split("; ")):
            if not note.startswith("value: "):
                notes.setdefault(note, {})[f"{papers.place(item.line['table'])} {item.line['label']}"] = None
    return [(note, ", ".join(labels)) for note, labels in notes.items()]
