"""The order of a page: the answer, figures, intervals and tests, costs, what is missing, how it was made and how to read it."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.agreement import of_benchmark
from harness.analysis.study import Study
from reports import (
    about,
    agreement,
    anytime,
    cells,
    clock,
    coverage,
    departures,
    epochs,
    findings,
    overall,
    printed,
    pruning,
    ranked,
    reading,
    reference,
    signal,
    stability,
    supernets,
    tables,
    trainings,
)
from reports.layout import Block, Bullets, Figure, Heading, Table


def first_lines(study: Study) -> list[str]:
    """Return the findings in sentences."""
    return [text for text in (*findings.sentences(study), tables.tally(study), tables.tally_of_trained(study)) if text]


def blocks(study: Study, drawn: Sequence[Figure]) -> list[Block]:
    """Return the blocks of a page with these figures."""
    several = len(study.benchmarks) > 1
    judged = [benchmark for benchmark in study.benchmarks if not study.untested(benchmark)]
    lines = [("", text) for text in first_lines(study)]
    shown: list[Block] = [Bullets(lines)] if lines else []
    for benchmark in judged:
        shown += [Heading(f"Results on {benchmark}" if several else "Results"), *about.budget(study, benchmark)]
        ran, suffix = bool(study.rows(benchmark)), f" on {benchmark}" if several else ""
        if ran or not study.compared(benchmark):
            shown += [ranked.results(study, benchmark), *epochs.older(study, benchmark)]
        shown += [figure for figure in drawn if figure.stem == "ranking" and benchmark == judged[0]]
        if study.compared(benchmark):
            shown += [Heading(f"Next to the published numbers{suffix}")] if ran else []
            shown.append(printed.table(study, [benchmark]))
    for benchmark in study.benchmarks:
        shown += [] if benchmark in judged else trainings.blocks(study, benchmark)
    shown += [figure for figure in drawn if figure.stem not in ("ranking", "ranks")]
    shown += overall.of_study(study) if several else []
    shown += [figure for figure in drawn if figure.stem == "ranks"]
    for benchmark in study.benchmarks:
        shown += _tests(study, benchmark, f" on {benchmark}" if several else "", benchmark in judged)
    for benchmark in study.benchmarks:
        suffix = f" on {benchmark}" if several else ""
        shown += _titled(suffix, ("Cost of weight sharing", clock.costs(study, benchmark) if benchmark in judged else None))
    shown += _titled("", ("Failed runs", tables.failed_runs(study)))
    shown += [*about.missing(study), *about.provenance(study)]
    return [*shown, *reading.explained(shown), *departures.named(shown)]


def _tests(study: Study, benchmark: str, suffix: str, judged: bool) -> list[Block]:
    """Return the intervals and tests of a benchmark."""
    traces = study.evidence.traces
    shown = _agreement(study, benchmark, suffix) if judged else []
    if judged:
        shown += _titled(
            suffix,
            ("Intervals and costs", tables.intervals(study, benchmark)),
            ("Against random search", reference.table(study, benchmark)),
            ("At equal budget", anytime.equal_budget(study, traces, benchmark)),
            ("Bilevel against single level", signal.objectives(study, benchmark)),
            ("Pruned networks", pruning.table(study, traces, benchmark)),
            ("References of regret", coverage.references(study, benchmark)),
            ("Coverage by the table", coverage.covered(study, traces, benchmark)),
            ("Operations of the final cells", cells.operations(study, traces, benchmark)),
        )
    return shown + _titled(
        suffix,
        ("Supernets at the end of the search", supernets.ends(study, traces, benchmark)),
        ("Entropy against the base method", epochs.entropies(study, traces, benchmark)),
        ("Before and after discretisation", epochs.discretised(study, traces, benchmark)),
        ("Ranking by shared weights", signal.ranking(study, traces, benchmark)),
        ("Stability under changed settings", stability.distances(study, benchmark)),
    )


def _agreement(study: Study, benchmark: str, suffix: str) -> list[Block]:
    """Return the comparison with the papers' numbers of a benchmark whose judge knows test accuracies."""
    results = of_benchmark(study, benchmark)
    mean_record = any(part.record.startswith("mean") for part in study.parts(benchmark)) and not study.incomparable
    if not results:
        return []
    return [Heading(f"Agreement with the papers{suffix}"), agreement.table(results), *agreement.caveats(results, mean_record)]


def _titled(suffix: str, *sections: tuple[str, Table | None]) -> list[Block]:
    """Return the tables that are not None, each under its heading."""
    return [block for heading, table in sections if table is not None for block in (Heading(f"{heading}{suffix}"), table)]
