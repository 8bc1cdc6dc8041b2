"""The scoreboard: every number that the papers print, with ours and the verdict, or with the reason why there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from harness.analysis import cell_errors, claims
from harness.analysis import published as papers
from harness.analysis.evidence import NOT_YET, Run
from harness.analysis.measures import MEASURES, Of, chosen, most
from harness.analysis.names import target_name
from harness.analysis.published import Line
from harness.analysis.statistics import mean_interval
from harness.analysis.study import Study
from harness.analysis.verdict import NOT_MEASURED, RULES, VERDICTS, Verdict, difference_from, judge_target, margin_of
from reports import claim_tables, departures
from reports.addresses import linked
from reports.formats import MISSING, spread, with_interval
from reports.layout import Block, Bullets, Column, Heading, Paragraph, Table

REPEATED, ANOTHER_MACHINE = "repetition", "measured on another machine"


class Way(NamedTuple):
    """How a line can be measured for a row."""

    obstacle: str
    """What is missing on this machine, ``needs a GPU``; empty if nothing is."""
    arguments: str
    """Arguments of ``python -m harness.run`` that measure it."""


WayTo = Callable[[str, str, Sequence[str], str], Way]
"""Return how the rows of a protocol are run on a benchmark, and their cells trained on a data set if it is not empty."""


@dataclass(frozen=True)
class Comparison:
    """A printed number and a row of ours, or a printed number that no row corresponds to."""

    line: Line
    row: str
    values: np.ndarray
    """Ours, one per run, in the unit of the line."""
    verdict: Verdict
    way: Way | None = None
    study: Study | None = None
    """The study that measured it."""

    @property
    def kind(self) -> str:
        """Return the verdict on a measured number, or in a few words why it is not measured."""
        return self.verdict.name if len(self.values) else self.verdict.reason.partition(":")[0]

    @property
    def metric(self) -> Metric:
        """Return the metric of the line; in words only if nothing reads it."""
        name = self.line["metric"]
        words = UNITS.get(name, name.replace("_pct", " %").replace("_", " ").replace("hparam:", ""))
        return METRICS.get(name, Metric(words, ""))

    @property
    def printed(self) -> str:
        """Return the printed value as text."""
        mean = self.line["mean"]
        if self.line["metric"].startswith(("hparam:", "search_cost")):
            return f"{mean:g}" if isfinite(mean) else str(self.line["caveats"]).rpartition("value: ")[2]
        return spread(mean, self.line["std"], self.metric.digits)

    @property
    def measure(self) -> str:
        """Return the metric in words, with the unit of a cost."""
        return f"{self.metric.words}, {self.line['cost_unit']}" if self.line["metric"] == "search_cost" else self.metric.words


class Metric(NamedTuple):
    """What a metric of the papers is in words, and the measure that reads ours."""

    words: str
    measure: str
    """A name in :data:`harness.analysis.measures.MEASURES`."""
    judged: bool = False
    """True if a margin may be fixed for it."""
    digits: int = 2


UNITS = {
    "test_error_pct": "error %",
    "top1_error_pct": "top-1 error %",
    "top5_error_pct": "top-5 error %",
    "valid_perplexity": "validation perplexity",
    "test_perplexity": "test perplexity",
}
"""The metrics that nothing reads yet and that are no words by themselves."""
ERROR = "test error of the chosen cell"
METRICS = {
    "test_accuracy_pct": Metric("test accuracy %", "test accuracy of every run", judged=True),
    "valid_accuracy_pct": Metric("validation accuracy %", "validation accuracy of every run"),
    "test_error_pct": Metric("test error %", ERROR, judged=True),
    "test_error_pct[seed set 1]": Metric("test error %", ERROR, judged=True),
    "top1_error_pct": Metric("top-1 error %", ERROR, judged=True),
    "top5_error_pct": Metric("top-5 error %", "top-5 error of the chosen cell"),
    "test_perplexity": Metric("test perplexity", "test perplexity of the chosen cell", judged=True),
    "valid_perplexity": Metric("validation perplexity", "validation perplexity of the chosen cell"),
    "test_error_pct_best": Metric("smallest test error %", "smallest test error of the chosen cell"),
    "multiply_add_M": Metric("multiply-adds M", "multiply-adds", digits=0),
    "params_M": Metric("parameters M", "parameters"),
    "search_cost": Metric("search cost", "", digits=3),
    "hamming_distance": Metric("Hamming distance", "Hamming distance", digits=0),
    "operations": Metric("operations of the cell", "operations", digits=0),
    "kendall_tau": Metric("Kendall's τ", "Kendall correlation"),
    "kendall_p": Metric("p of Kendall's τ", "p of Kendall's correlation"),
    "supernet_valid_accuracy_pct[before discretisation]": Metric("supernet before discretisation %", "before"),
    "supernet_valid_accuracy_pct[after discretisation]": Metric("supernet after discretisation %", "after"),
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
    lines = papers.records(published)
    seen = {(line["paper"], line["table"], line["label"], line["metric"], line["mean"]) for line in lines}
    for line in lines:
        yield line
        for metric in ("params_M", "search_cost"):
            key = (line["paper"], line["table"], line["label"], metric, line[metric])
            if (line["row"] or line["unmapped"].startswith(REPEATED)) and isfinite(line[metric]) and key not in seen:
                seen.add(key)
                number = line | {"metric": metric, "mean": line[metric], "std": nan, "n": nan, "n_source": "", "record": ""}
                yield number | ({"target": searched(line), "recipe": ""} if metric == "search_cost" else {})


def compare(studies: Sequence[Study], published: pd.DataFrame, way: WayTo = lambda *_: Way("", "")) -> list[Comparison]:
    """Return a comparison for every printed number and each of its rows; see :func:`harness.analysis.measures.most`.

    Args:
        studies: any number, of any protocols.
        way: how a line can be measured for a row.
    """
    results = []
    printed: dict[tuple[Any, ...], str] = {}
    for line in numbers(published):
        for row in line["row"].split(";"):
            key = (line["paper"], row, line["benchmark"], line["target"], line["metric"], line["mean"])
            repeated = key in printed and not line["metric"].startswith("hparam:")
            reason = f"{REPEATED}: of {papers.place(printed[key])}" if repeated else line["unmapped"] or line["unmeasured"]
            printed.setdefault(key, line["table"])
            under = [] if reason else [study for study in studies if study.page.protocol == line["protocol"]]
            study, values = most((study, read(study, line, row)) for study in under)
            how = None if reason else way(line["protocol"], line["benchmark"], [row], line["target"] if line["recipe"] else "")
            verdict = Verdict(NOT_MEASURED, reason or (how.obstacle if how else "") or NOT_YET)
            if study is not None:
                verdict = _judge(study, line, row, values)
            results.append(Comparison(line, row, values, verdict, how, study))
    return results


def _judge(study: Study, line: Line, row: str, values: np.ndarray) -> Verdict:
    metric = METRICS[line["metric"]]
    margin = margin_of(line["benchmark"], line["target"]) if metric.judged else None
    if metric.measure.endswith("of the chosen cell"):
        trained = chosen(Of(study, line["benchmark"], row, target=line["target"]))
        return cell_errors.judge(study, row, trained, line, values, margin)
    reason = ANOTHER_MACHINE + "; ours is of one search" * line["cost_unit"].endswith("searches")
    if line["metric"] != "search_cost":
        reason = study.obstacle(line["benchmark"], row)
    return judge_target(values, line, margin, reason)


# -- the page ----------------------------------------------------------------------------------------------------------


def blocks(
    studies: Sequence[Study],
    published: pd.DataFrame,
    way: WayTo = lambda *_: Way("", ""),
    pages: Mapping[str, str] = MappingProxyType({}),
) -> list[Block]:
    """Return the page: the main claims, counts by paper, and for each paper its numbers and its claims.

    Args:
        pages: by name of a report's folder its address, see :func:`reports.addresses.linked`.
    """
    comparisons = compare(studies, published, way)
    tested = {claim: list(claims.results(claim, studies)) or [_untested(claim, way)] for claim in claims.load()}
    once: dict[int, Comparison] = {}  # by number, for the row with the most runs
    for item in (item for item in comparisons if item.kind != REPEATED):
        once[id(item.line)] = max(once.get(id(item.line), item), item, key=lambda compared: len(compared.values))
    measured = sum(len(item.values) > 0 for item in once.values())
    shown: list[Block] = [
        Paragraph(
            f"Which results of five papers hold? {len(once)} numbers that they print are transcribed "
            f"here; {measured} have a value from the stored runs. {_sources(studies)}"
        ),
        Bullets([*RULES.items(), *claims.RULES.items()][1:]),
        Heading("The papers' claims in short"),
        _claims_by_paper(tested),
        Heading("The papers' main claims"),
        claim_tables.table({claim: results for claim, results in tested.items() if claim.main}, pages),
        Heading("Numbers by paper"),
        _counts([(item.line["paper"], item.kind) for item in once.values()]),
    ]
    for paper, name in papers.PAPERS.items():
        items = [item for item in comparisons if item.line["paper"] == paper]
        with_values = [item for item in items if len(item.values)]
        shown += [Heading(f"{name}: numbers measured here"), _measured(with_values, pages)] if with_values else []
        of_paper = {claim: results for claim, results in tested.items() if claim.paper == paper}
        shown += [Heading(f"{name}: claims"), claim_tables.table(of_paper, pages), claim_tables.quotes(of_paper)]
        shown += [Heading(f"{name}: numbers not measured here"), *_rest([item for item in items if not len(item.values)])]
        shown += [Heading(f"{name}: notes on the printed numbers"), Bullets(_notes(items))]
    return [*shown, *departures.named(shown)]


def _untested(claim: claims.Claim, way: WayTo) -> claims.Tested:
    """Return a claim that was tested nowhere, with the reason or the command in place of the setting."""
    if claim.reason:
        return claims.Tested(claim.reason, claims.NOT_TESTED)
    protocol, benchmark = min((*claim.also, *claim.on), key=lambda place: not place.endswith("digits")).split()
    rows = [row for row in (claim.row, claim.against) if row]
    together = "[" not in "".join(rows)  # a setting holds for all rows of a command
    ways = [way(protocol, benchmark, group, "") for group in ([rows] if together else [[row] for row in rows])]
    commands = ", then ".join(dict.fromkeys(how.arguments for how in ways))
    return claims.Tested(f"{ways[0].obstacle or NOT_YET}: {commands}", claims.NOT_TESTED)


def _sources(studies: Sequence[Study]) -> str:
    """Return what the page is made of, and which stored rows are not on it."""
    runs = [(study.page.protocol, *place) for study in studies for place in study.runs[[Run.ROW, Run.BENCHMARK]].to_numpy()]
    shown = {(protocol, f"{row} on {benchmark}") for protocol, row, benchmark in runs}
    absent: set[tuple[str, str]] = set()
    for study in studies:
        left_out = {(why, row) for why, rows in study.page.left_out.items() for row in rows}
        absent |= {(why, row) for why, row in left_out if (study.page.protocol, row) not in shown}
    counts = [Counter(name for name, _ in sorted(pairs)) for pairs in (shown, absent)]
    stored, other = (", ".join(f"{name} ({rows} rows)" for name, rows in count.items()) for count in counts)
    return f"Stored runs under: {stored or 'no protocol'}." + (f" Not on this page: {other}." if other else "")


def _claims_by_paper(tested: Mapping[claims.Claim, Sequence[claims.Tested]]) -> Table:
    """Return a line for each paper with the number of its claims by result, those in the paper's own setting first."""
    results = pd.DataFrame([(claim.paper, tests[0].verdict) for claim, tests in tested.items()], columns=["paper", "result"])
    own = [claims.SUPPORTED, claims.CONTRADICTED, claims.UNDECIDED]
    elsewhere = sorted({*results["result"]} - {*own, claims.NOT_TESTED})
    names = [*own, *elsewhere, claims.NOT_TESTED]
    counts = pd.crosstab(results["paper"], results["result"]).reindex(columns=names, fill_value=0)
    table = Table(
        "A claim counts once, in the paper's own setting if it was tested there. The claims of each paper are further below.",
        [Column("paper", right=False), *(Column(name) for name in names), Column("claims")],
    )
    for paper, tally in counts.iterrows():
        table.add([papers.PAPERS[str(paper)], *map(str, tally), str(tally.sum())])
    return table


def _counts(classified: Sequence[tuple[str, str]]) -> Table:
    """Return the number of numbers by paper and class, verdicts first, then by size."""
    frame = pd.DataFrame(classified, columns=["paper", "kind"])
    counts = pd.crosstab(frame["kind"], frame["paper"]).reindex(columns=list(papers.PAPERS), fill_value=0)
    order = {name: -len(VERDICTS) + place for place, name in enumerate(VERDICTS)}
    counts = counts.loc[sorted(counts.index, key=lambda kind: (order.get(kind, 0), -counts.loc[kind].sum()))]
    counts.loc["all"] = counts.sum()
    table = Table(
        "Each number counts once: one that may belong to several of our rows for the row with the most runs, one that a paper "
        "repeats where it stands first. The parameters and search costs that are printed with a row are numbers too, and the "
        "settings of CoNAS and feature map selection, not those of other papers.",
        [Column("numbers", right=False), *(Column(name) for name in papers.PAPERS.values()), Column("all")],
    )
    for kind, tally in counts.astype(int).iterrows():
        table.add([str(kind), *map(str, tally), str(tally.sum())], rule=kind == "all")
    return table


def _measured(items: Sequence[Comparison], pages: Mapping[str, str]) -> Table:
    names = ["printed for", "in", "our row", "data", "measure", "printed", "ours [95 %]", "n", "Δ [95 %]", "result", "remarks"]
    table = Table(
        "Δ = ours − printed, with Welch's interval if both sides have a spread and the n of the paper is known. A result is "
        "that of one number; the pages of the protocols correct over the data sets of a row. Ours leads to that page, n to the "
        "runs.",
        [Column(name, right=name in names[5:9]) for name in names],
    )
    for item in items:
        line, values, digits = item.line, item.values, item.metric.digits
        mean, difference = float(values.mean()), difference_from(values, line)
        interval = difference.interval(0.95) if difference else None
        delta = with_interval(mean - line["mean"], interval, digits, sign=True)
        ours = with_interval(mean, mean_interval(values), digits)
        remarks = "; ".join(filter(None, [item.verdict.reason, *item.verdict.notes]))
        where = [line["label"], papers.place(line["table"]), item.row, target_name(line["target"]), item.measure]
        page, runs = linked(ours, pages, item.study), linked(str(len(values)), pages, item.study, line["benchmark"], item.row)
        table.add([*where, item.printed, page, runs, delta, item.kind, remarks or MISSING])
    return table


def _rest(items: Sequence[Comparison]) -> list[Block]:
    """Return what is not measured: a line for each row that can run, with its command, and lists of the rest by reason."""
    names = ("printed for", "in", "our row", "printed", "why not", "python -m harness.run")
    table = Table("Each number stands after its data set and measure.", [Column(name, right=False) for name in names])
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
    return [(note, "; ".join(labels)) for note, labels in notes.items()]
