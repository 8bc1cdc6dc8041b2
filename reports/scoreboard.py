"""The scoreboard: every number that the papers print, with ours and the verdict, or with the reason why there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from types import MappingProxyType

import pandas as pd

from harness.analysis import claims
from harness.analysis import published as papers
from harness.analysis.evidence import NOT_YET, Run
from harness.analysis.names import target_name
from harness.analysis.scoreboard import REPEATED, Comparison, Way, WayTo, compare
from harness.analysis.statistics import mean_interval
from harness.analysis.study import Study
from harness.analysis.verdict import RULES, VERDICTS, difference_from
from reports import claim_tables, departures
from reports.addresses import linked
from reports.formats import MISSING, spread, with_interval
from reports.layout import Block, Bullets, Column, Heading, Paragraph, Table


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
    ways = [way(protocol, benchmark, group, "", 1) for group in ([rows] if together else [[row] for row in rows])]
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
        table.add([*where, _printed(item), page, runs, delta, item.kind, remarks or MISSING])
    return table


def _printed(item: Comparison) -> str:
    """Return the printed value as text."""
    mean = item.line["mean"]
    if item.line["metric"].startswith(("hparam:", "search_cost")):
        return f"{mean:g}" if isfinite(mean) else str(item.line["caveats"]).rpartition("value: ")[2]
    return spread(mean, item.line["std"], item.metric.digits)


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
        by_data.setdefault(target_name(item.line["target"]), []).append(f"{item.measure} {_printed(item)}")
    return "; ".join(f"{data}: {', '.join(texts)}" for data, texts in by_data.items())


def _notes(items: Iterable[Comparison]) -> list[tuple[str, str]]:
    """Return what is not certain about printed numbers, and what they are of: a note, and where it applies."""
    notes: dict[str, dict[str, None]] = {}
    for item in items:
        for note in filter(None, item.line["caveats"].split("; ")):
            if not note.startswith("value: "):
                notes.setdefault(note, {})[f"{papers.place(item.line['table'])} {item.line['label']}"] = None
    return [(note, "; ".join(labels)) for note, labels in notes.items()]
